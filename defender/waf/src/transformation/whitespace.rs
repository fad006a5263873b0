//! Transformations that drop or join blanks and NULs, and `cmdLine`.

use memchr::memchr;

use super::is_space;

/// The non-breaking space of Latin-1.
const NBSP: u8 = 0xA0;

/// `removeNulls`.
pub(super) fn remove_nulls(value: &[u8]) -> Option<Vec<u8>> {
    memchr(0, value)?;
    Some(value.iter().copied().filter(|byte| *byte != 0).collect())
}

/// `replaceNulls`: by spaces.
pub(super) fn replace_nulls(value: &[u8]) -> Option<Vec<u8>> {
    memchr(0, value)?;
    Some(value.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect())
}

/// `removeWhitespace`: with the non-breaking space.
pub(super) fn remove(value: &[u8]) -> Option<Vec<u8>> {
    let gone = |byte: u8| is_space(byte) || byte == NBSP;
    value.iter().any(|byte| gone(*byte)).then(|| value.iter().copied().filter(|byte| !gone(*byte)).collect())
}

/// `compressWhitespace`: each run of blanks becomes one space.
pub(super) fn compress(value: &[u8]) -> Option<Vec<u8>> {
    let first = value.iter().position(|byte| is_space(*byte))?;
    let mut output = Vec::with_capacity(value.len());
    output.extend_from_slice(&value[..first]);
    let mut inside = false;
    for byte in &value[first..] {
        let space = is_space(*byte);
        if !space {
            output.push(*byte);
        } else if !inside {
            output.push(b' ');
        }
        inside = space;
    }
    Some(output)
}

/// `trim`, `trimLeft`, `trimRight`.
pub(super) fn trim(value: &[u8], left: bool, right: bool) -> Option<Vec<u8>> {
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        if !(left && is_space(*first)) {
            break;
        }
        rest = tail;
    }
    while let [head @ .., last] = rest {
        if !(right && is_space(*last)) {
            break;
        }
        rest = head;
    }
    (rest.len() < value.len()).then(|| rest.to_vec())
}

/// `cmdLine`: what a Windows or Unix shell would ignore goes: `"`, `'`, `\` and `^` are dropped, blanks, commas and
/// semicolons become one space, which is dropped before `/` and `(`; letters become lower case.
pub(super) fn cmd_line(value: &[u8]) -> Option<Vec<u8>> {
    let first = value.iter().position(|byte| {
        matches!(byte, b'"' | b'\'' | b'\\' | b'^' | b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' | b'A'..=b'Z')
    })?;
    let mut output = Vec::with_capacity(value.len());
    output.extend_from_slice(&value[..first]);
    let mut space = false;
    for byte in &value[first..] {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !space {
                    output.push(b' ');
                }
                space = true;
            }
            b'/' | b'(' => {
                if space {
                    output.pop();
                }
                output.push(*byte);
                space = false;
            }
            other => {
                output.push(other.to_ascii_lowercase());
                space = false;
            }
        }
    }
    Some(output)
}
