//! How often bytes and strings occur in ordinary values, roughly: it only chooses between demands that are all right.

use super::sets::ByteSet;

/// A set of bytes that so many values meet is not worth a look.
pub(super) const NEARLY_ALWAYS: f32 = 2.5;

/// How many of a byte an ordinary value of twenty bytes holds.
const fn of_byte(byte: u8) -> f32 {
    match byte {
        b'e' | b'a' | b'i' | b'o' | b't' | b'n' | b'r' | b's' => 0.9,
        b'l' | b'c' | b'd' | b'u' | b'm' | b'p' => 0.5,
        b'h' | b'g' | b'b' | b'f' | b'y' | b'v' | b'w' | b'k' | b' ' | b'-' | b'.' | b'/' => 0.3,
        b'x' | b'z' | b'j' | b'q' | b'A'..=b'Z' | b'_' | b'=' | b':' | b',' => 0.15,
        b'0'..=b'9' => 0.4,
        b'+' | b'%' | b'&' | b'?' | b';' | b'(' | b')' | b'@' => 0.06,
        b'\'' | b'"' | b'!' | b'*' | b'\n' | b'\r' | b'#' | b'|' => 0.03,
        0x80..=0xFF => 0.01,
        _ => 0.012,
    }
}

/// By byte, as [`of_byte`] tells.
static OF_BYTE: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = of_byte(byte as u8);
        byte += 1;
    }
    table
};

/// How many bytes of a set an ordinary value holds.
pub(super) fn of_set(set: &ByteSet) -> f32 {
    set.bytes().map(|byte| OF_BYTE[usize::from(byte)]).sum()
}

/// How many of these strings, in lower case, an ordinary value holds. Bytes of a string are taken for independent.
pub(super) fn of_strings(strings: &[Vec<u8>]) -> f32 {
    let one = |string: &Vec<u8>| string.iter().map(|byte| OF_BYTE[usize::from(*byte)] / 12.0).product::<f32>() * 12.0;
    strings.iter().map(one).sum()
}
