//! Base 64 and hexadecimal.

use memchr::memchr;

use super::{hex_digit, hex_pair};

/// The value of a byte in base 64. RFC 4648, section 4.
fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Joins sextets to bytes; bits that fill no byte are dropped.
fn join(sextets: impl Iterator<Item = u8>, room: usize) -> Vec<u8> {
    let mut output = Vec::with_capacity(room);
    let mut bits = 0_u32;
    let mut count = 0;
    for sextet in sextets {
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            output.push((bits >> count).to_le_bytes()[0]);
        }
    }
    output
}

/// `base64Decode`: up to the first byte that is neither of the alphabet nor a line's end; padding is not asked for.
pub(super) fn base64_decode(value: &[u8]) -> Option<Vec<u8>> {
    let text = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    (!value.is_empty()).then(|| join(text.map_while(sextet), value.len() / 4 * 3 + 3))
}

/// `base64DecodeExt`: bytes outside the alphabet are skipped, and so is padding, `-` and `_` count too (RFC 4648, section 5);
/// a single `=` after the first character of a quartet leaves nothing.
pub(super) fn base64_decode_ext(value: &[u8]) -> Option<Vec<u8>> {
    let sextet_ext = |byte: u8| match byte {
        b'-' => Some(62),
        b'_' => Some(63),
        other => sextet(other),
    };
    let mut count = 0_usize;
    for (place, byte) in value.iter().enumerate() {
        if *byte == b'=' && count % 4 == 1 && value.get(place + 1) != Some(&b'=') {
            return Some(Vec::new());
        }
        count += usize::from(sextet_ext(*byte).is_some());
    }
    (!value.is_empty()).then(|| join(value.iter().copied().filter_map(sextet_ext), value.len() / 4 * 3 + 3))
}

/// `base64Encode`, padded. RFC 4648, section 4.
pub(super) fn base64_encode(value: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut output = Vec::with_capacity(value.len().div_ceil(3) * 4);
    for chunk in value.chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            let sextet = (bits >> (18 - 6 * place)) & 63;
            output.push(if place <= chunk.len() { ALPHABET[sextet as usize] } else { b'=' });
        }
    }
    output
}

/// `hexDecode`: two bytes make one; an odd last byte is dropped. What is no digit is reckoned as if it were, as
/// libmodsecurity does.
pub(super) fn hex_decode(value: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'.. => (byte & 0xDF).wrapping_sub(b'A').wrapping_add(10),
        _ => byte.wrapping_sub(b'0'),
    };
    value.chunks_exact(2).map(|pair| digit(pair[0]).wrapping_mul(16).wrapping_add(digit(pair[1]))).collect()
}

/// `hexEncode`, lower case.
pub(super) fn hex_encode(value: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    value.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// `sqlHexDecode`: `0x` and at least one pair of digits become the bytes of the pairs; all else stays.
pub(super) fn sql_hex_decode(value: &[u8]) -> Option<Vec<u8>> {
    let mut next = memchr(b'0', value);
    next?;
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = next {
        output.extend_from_slice(&rest[..start]);
        rest = &rest[start..];
        let digits = match rest {
            [b'0', b'x' | b'X', digits @ ..] if hex_pair(digits).is_some() => digits,
            _ => {
                output.push(b'0');
                rest = &rest[1..];
                next = memchr(b'0', rest);
                continue;
            }
        };
        let length = digits.iter().take_while(|byte| hex_digit(**byte).is_some()).count() & !1;
        output.extend(digits[..length].chunks_exact(2).filter_map(hex_pair));
        rest = &digits[length..];
        next = memchr(b'0', rest);
    }
    output.extend_from_slice(rest);
    Some(output)
}
