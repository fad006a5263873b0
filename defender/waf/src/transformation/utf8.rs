//! `utf8toUnicode`.

/// Writes each UTF-8 sequence as `%uHHHH` in lower case, with five or six digits beyond the basic plane. As libmodsecurity
/// does it: NULs vanish, a first byte without its continuation vanishes (save 0xF5 to 0xF7, which stay), stray continuation
/// bytes stay, and overlong forms and surrogates are written too, followed by their first byte.
pub(super) fn to_unicode(value: &[u8]) -> Option<Vec<u8>> {
    let first = value.iter().position(|byte| *byte == 0 || !byte.is_ascii())?;
    let mut output = Vec::with_capacity(value.len() * 2);
    output.extend_from_slice(&value[..first]);
    let mut rest = &value[first..];
    while let [byte, tail @ ..] = rest {
        let length = match byte {
            0 => {
                rest = tail;
                continue;
            }
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            _ => {
                output.push(*byte);
                rest = tail;
                continue;
            }
        };
        if *byte >= 0xF5 && length == 4 {
            output.push(*byte);
        }
        rest = match code_point(rest, length) {
            Some(code) => {
                output.extend_from_slice(format!("%u{code:04x}").as_bytes());
                if (0xD800..=0xDFFF).contains(&code) || is_overlong(code, length) {
                    output.push(*byte);
                }
                &rest[length..]
            }
            None => tail,
        };
    }
    Some(output)
}

/// The number that a sequence of this length writes; nothing when a continuation byte is missing.
fn code_point(bytes: &[u8], length: usize) -> Option<u32> {
    let (first, continuation) = bytes.get(..length)?.split_first()?;
    let mut code = u32::from(*first) & (0x7F >> length);
    for byte in continuation {
        if byte & 0xC0 != 0x80 {
            return None;
        }
        code = code << 6 | u32::from(byte & 0x3F);
    }
    Some(code)
}

/// Whether fewer bytes would have done. RFC 3629, section 3.
fn is_overlong(code: u32, length: usize) -> bool {
    match length {
        2 => code < 0x80,
        3 => code < 0x800,
        _ => code < 0x1_0000,
    }
}
