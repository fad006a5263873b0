//! `htmlEntityDecode`.

use memchr::memchr;

use super::hex_digit;

/// The entities that are known by name, without regard to case, and what they stand for.
const NAMED: [(&[u8], u8); 5] = [(b"quot", b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", 0xA0)];

/// Decodes `&#DDD`, `&#xHH` and the five named entities, each with or without its semicolon. A number gives its low byte;
/// one beyond 63 bits gives 255, as C's `strtol` has it. What is no entity stays.
pub(super) fn entity_decode(value: &[u8]) -> Option<Vec<u8>> {
    let mut next = memchr(b'&', value);
    next?;
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = next {
        output.extend_from_slice(&rest[..start]);
        rest = &rest[start..];
        if let Some((byte, after)) = entity(&rest[1..]) {
            output.push(byte);
            rest = after.strip_prefix(b";").unwrap_or(after);
        } else {
            output.push(b'&');
            rest = &rest[1..];
        }
        next = memchr(b'&', rest);
    }
    output.extend_from_slice(rest);
    Some(output)
}

/// The entity that follows an ampersand, and what follows it, its semicolon included.
fn entity(text: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'#', b'x' | b'X', digits @ ..] = text {
        return number(digits, 16);
    }
    if let [b'#', digits @ ..] = text {
        return number(digits, 10);
    }
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (name, after) = text.split_at(length);
    NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, byte)| (*byte, after))
}

/// The low byte of the number that the text begins with, and what follows it.
fn number(text: &[u8], base: u8) -> Option<(u8, &[u8])> {
    let length = text.iter().take_while(|byte| hex_digit(**byte).is_some_and(|digit| digit < base)).count();
    let (digits, after) = text.split_at(length);
    if digits.is_empty() {
        return None;
    }
    let number = digits
        .iter()
        .filter_map(|byte| hex_digit(*byte))
        .fold(0_i64, |number, digit| number.saturating_mul(i64::from(base)).saturating_add(i64::from(digit)));
    Some((number.to_le_bytes()[0], after))
}
