//! `urlDecode`, `urlDecodeUni`, `urlEncode`.

use memchr::memchr2;

use super::{hex_pair, low_byte};

/// What the 65,536 characters of `%uHHHH` become in a code page; a line `SecUnicodeMapFile unicode.mapping 20127` chooses
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnicodeMap(Box<[Option<u8>]>);

impl UnicodeMap {
    /// Reads the map of a code page from a file as `ModSecurity`'s `unicode.mapping`: a line that begins with the number of
    /// the code page, then lines of `HHHH:HH` pairs up to an empty line or the next number.
    ///
    /// # Errors
    /// In words, for a code page that is not there and for a pair that is none.
    pub fn parse(text: &str, code_page: u32) -> Result<Self, String> {
        let mut map = vec![None; 0x1_0000].into_boxed_slice();
        let mut inside = false;
        let mut found = false;
        for line in text.lines() {
            let mut words = line.split_whitespace().peekable();
            match words.peek().map(|word| word.parse::<u32>()) {
                None => inside = false,
                Some(Ok(page)) => {
                    inside = page == code_page;
                    found |= inside;
                }
                Some(Err(_)) if inside => read_pairs(words, &mut map)?,
                Some(Err(_)) => {}
            }
        }
        if found { Ok(Self(map)) } else { Err(format!("no code page `{code_page}` in the unicode map")) }
    }

    fn get(&self, digits: [u8; 4]) -> Option<u8> {
        let code = u16::from_be_bytes([hex_pair(&digits[..2])?, hex_pair(&digits[2..])?]);
        self.0.get(usize::from(code)).copied().flatten()
    }
}

/// Reads pairs `HHHH:HH` into the map.
fn read_pairs<'t>(words: impl Iterator<Item = &'t str>, map: &mut [Option<u8>]) -> Result<(), String> {
    for word in words {
        let pair = word.split_once(':').and_then(|(from, to)| {
            let from = u16::from_str_radix(from, 16).ok()?;
            Some((from, u8::from_str_radix(to, 16).ok()?))
        });
        let (from, to) = pair.ok_or_else(|| format!("`{word}` in the unicode map is no pair such as `2019:27`"))?;
        if let Some(place) = map.get_mut(usize::from(from)) {
            *place = Some(to);
        }
    }
    Ok(())
}

/// `urlDecode`: `%HH` and `+`; a `%` without two digits stays.
pub(super) fn decode(value: &[u8]) -> Option<Vec<u8>> {
    decode_by(value, |rest| hex_pair(rest).map(|byte| (byte, 2)))
}

/// `urlDecodeUni`: as `urlDecode`, and `%uHHHH` in the way of IIS: by the map when there is one and it knows the character,
/// otherwise the low byte, the full-width forms of ASCII as ASCII.
pub(super) fn decode_unicode(value: &[u8], map: Option<&UnicodeMap>) -> Option<Vec<u8>> {
    decode_by(value, |rest| {
        let [b'u' | b'U', a, b, c, d, ..] = rest else {
            return hex_pair(rest).map(|byte| (byte, 2));
        };
        let digits = [*a, *b, *c, *d];
        let low = low_byte(digits)?;
        Some((map.and_then(|map| map.get(digits)).unwrap_or(low), 5))
    })
}

/// Copies the value, `+` as a space, and after each `%` what `escape` makes of the following bytes: a byte and how many it
/// took, or nothing, which leaves the `%`.
fn decode_by(value: &[u8], escape: impl Fn(&[u8]) -> Option<(u8, usize)>) -> Option<Vec<u8>> {
    let mut next = memchr2(b'%', b'+', value);
    next?;
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = next {
        output.extend_from_slice(&rest[..start]);
        let (mark, after) = (rest[start], &rest[start + 1..]);
        rest = after;
        if mark == b'+' {
            output.push(b' ');
        } else if let Some((byte, taken)) = escape(after) {
            output.push(byte);
            rest = &after[taken..];
        } else {
            output.push(b'%');
        }
        next = memchr2(b'%', b'+', rest);
    }
    output.extend_from_slice(rest);
    Some(output)
}

/// `urlEncode`: all but ASCII letters, digits and `*`; a space becomes `+`.
pub(super) fn encode(value: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut output = Vec::with_capacity(value.len() * 3);
    for byte in value {
        match byte {
            b' ' => output.push(b'+'),
            b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => output.push(*byte),
            _ => output.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
    output
}
