//! Base64 that looks like text once decoded: what some applications decode before they use it, and the rules would not see.

/// The shortest value that is tried: eight characters are six bytes, as `${7*7}` is.
const SHORTEST: usize = 8;
/// The longest.
const LONGEST: usize = 64 << 10;

/// What a value says when it is base64 (either alphabet, padded or not, with or without line ends) of printable text;
/// nothing otherwise. A word that only happens to be of the alphabet decodes to unprintable bytes nearly always.
#[must_use]
pub(super) fn text(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    let value = data_of_uri(value).unwrap_or(value);
    if !(SHORTEST..=LONGEST).contains(&value.len()) || !value.iter().all(|byte| is_of_alphabet(*byte)) {
        return None;
    }
    let padding = value.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = value[..value.len() - padding].iter().filter(|byte| sextet(**byte).is_some()).count();
    if padding > 2 || memchr::memchr(b'=', &value[..value.len() - padding]).is_some() || digits % 4 == 1 {
        return None;
    }
    let decoded = bytes(value);
    is_text(&decoded).then_some(decoded)
}

/// The data of `data:text/html;base64,…`.
fn data_of_uri(value: &[u8]) -> Option<&[u8]> {
    if !value.get(..5)?.eq_ignore_ascii_case(b"data:") {
        return None;
    }
    let comma = memchr::memchr(b',', &value[..value.len().min(200)])?;
    let head = value[..comma].to_ascii_lowercase();
    head.ends_with(b";base64").then(|| &value[comma + 1..])
}

/// The bytes that sextets make; what is none of the alphabets is passed over, an incomplete byte at the end is left out.
pub(super) fn bytes(value: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(value.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0);
    for sextet in value.iter().filter_map(|byte| sextet(*byte)) {
        bits = bits << 6 | u32::from(sextet);
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push((bits >> held & 0xff) as u8);
        }
    }
    decoded
}

fn is_of_alphabet(byte: u8) -> bool {
    // A space stands where a `+` was decoded as a form says.
    sextet(byte).is_some() || matches!(byte, b'=' | b'\r' | b'\n')
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' | b' ' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Whether bytes are text: UTF-8 without control characters but line ends, and of letters and signs mostly.
fn is_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let allowed = |one: char| !one.is_control() || matches!(one, '\t' | '\r' | '\n' | '\0');
    let plain = text.chars().filter(|one| one.is_ascii() && *one != '\0').count();
    !text.is_empty() && text.chars().all(allowed) && plain * 2 >= text.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transformation::Transformation;

    /// An attack is found in each way to write base64; words, numbers and digests stay what they are.
    #[test]
    fn only_text_is_decoded() {
        assert_eq!(text(b"PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==").unwrap(), b"<script>alert(1)</script>");
        assert_eq!(text(b"PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg").unwrap(), b"<script>alert(1)</script>");
        assert_eq!(text(b"data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTw=").unwrap(), b"<script>alert(1)<");
        for value in [
            "internationalization",
            "1234567890123456",
            "d41d8cd98f00b204e9800998ecf8427e",
            "PHNj",
            "password",
            "a=b=c=d=e=f=g",
        ] {
            assert_eq!(text(value.as_bytes()), None, "{value}");
        }
    }

    proptest! {
        /// Whatever text is long enough comes back from base64.
        #[test]
        fn texts_come_back(given in "[ -~]{6,60}") {
            let coded = Transformation::Base64Encode.apply(given.as_bytes()).into_owned();
            prop_assert_eq!(text(&coded), Some(given.into_bytes()));
        }

        /// No bytes make the reader panic, and nothing grows.
        #[test]
        fn any_bytes_are_read(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(text(&value).is_none_or(|found| found.len() <= value.len()));
        }
    }
}
