//! Transformations that undo escapes by backslash: `jsDecode`, `cssDecode`, `escapeSeqDecode`.

use memchr::memchr;

use super::{hex_digit, hex_pair, is_space, low_byte};

/// Copies the value, each backslash with what follows it replaced by what `escape` makes of it: it is given the bytes after
/// the backslash (at least one) and gives the byte that they stand for, or none, and how many of them it took.
/// `trailing` tells whether a backslash at the very end stays.
fn decode(value: &[u8], trailing: bool, escape: impl Fn(&[u8]) -> (Option<u8>, usize)) -> Option<Vec<u8>> {
    let mut next = memchr(b'\\', value);
    next?;
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = next {
        output.extend_from_slice(&rest[..start]);
        rest = &rest[start + 1..];
        if rest.is_empty() {
            if trailing {
                output.push(b'\\');
            }
            break;
        }
        let (byte, taken) = escape(rest);
        output.extend(byte);
        rest = &rest[taken..];
        next = memchr(b'\\', rest);
    }
    output.extend_from_slice(rest);
    Some(output)
}

/// `jsDecode`: `\uHHHH` gives its low byte (full-width forms their ASCII), `\xHH`, `\OOO` up to 377, `\a` and its like; any
/// other escaped byte stands for itself.
pub(super) fn js_decode(value: &[u8]) -> Option<Vec<u8>> {
    decode(value, true, |rest| {
        if let [b'u', a, b, c, d, ..] = rest
            && let Some(byte) = low_byte([*a, *b, *c, *d])
        {
            return (Some(byte), 5);
        }
        if let [b'x', digits @ ..] = rest
            && let Some(byte) = hex_pair(digits)
        {
            return (Some(byte), 3);
        }
        if let Some((number, mut length)) = octal(rest) {
            let wide = number > 0xFF;
            length -= usize::from(wide);
            return (Some((if wide { number >> 3 } else { number }).to_le_bytes()[0]), length);
        }
        (rest.first().map(|byte| control(*byte).unwrap_or(*byte)), 1)
    })
}

/// `escapeSeqDecode`: the escapes of ANSI C; of an octal number the low byte. An escape that is none loses its backslash.
pub(super) fn sequence_decode(value: &[u8]) -> Option<Vec<u8>> {
    decode(value, true, |rest| {
        if let [b'x' | b'X', digits @ ..] = rest
            && let Some(byte) = hex_pair(digits)
        {
            return (Some(byte), 3);
        }
        if let Some((number, length)) = octal(rest) {
            return (Some(number.to_le_bytes()[0]), length);
        }
        (rest.first().map(|byte| control(*byte).unwrap_or(*byte)), 1)
    })
}

/// The number of up to three octal digits at the start, and how many they are.
fn octal(text: &[u8]) -> Option<(u16, usize)> {
    let length = text.iter().take(3).take_while(|byte| (b'0'..=b'7').contains(*byte)).count();
    let number = text.iter().take(length).fold(0, |number, byte| number * 8 + u16::from(byte - b'0'));
    (length > 0).then_some((number, length))
}

/// The control character of a C escape's letter.
fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0B,
        _ => return None,
    })
}

/// `cssDecode`: up to six hexadecimal digits give their last two as a byte (full-width forms their ASCII) and take one blank
/// after them along; an escaped line feed vanishes, as does a backslash at the end; any other escaped byte stands for
/// itself. Source: CSS 2.2, section 4.1.3.
pub(super) fn css_decode(value: &[u8]) -> Option<Vec<u8>> {
    decode(value, false, |rest| {
        let length = rest.iter().take(6).take_while(|byte| hex_digit(**byte).is_some()).count();
        if length == 0 {
            let first = rest.first().copied();
            return (first.filter(|byte| *byte != b'\n'), 1);
        }
        let (digits, after) = rest.split_at(length);
        let blank = after.first().is_some_and(|byte| is_space(*byte));
        (css_byte(digits), length + usize::from(blank))
    })
}

/// The byte of one to six hexadecimal digits.
fn css_byte(digits: &[u8]) -> Option<u8> {
    match digits {
        [only] => hex_digit(*only),
        [leading @ .., a, b, c, d] if leading.iter().all(|digit| *digit == b'0') => low_byte([*a, *b, *c, *d]),
        [.., high, low] => hex_pair(&[*high, *low]),
        [] => None,
    }
}
