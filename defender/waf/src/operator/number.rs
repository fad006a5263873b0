//! Numbers as the comparing operators read them.

/// The number that the text begins with, as C's `atoll` reads it: blanks, a sign, digits; 0 when there is none. What is
/// beyond 64 bits counts as the utmost number there is, so that no size overflows into a small one.
pub(crate) fn read(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let negative = text.starts_with(b"-");
    let digits = if negative { &text[1..] } else { text.strip_prefix(b"+").unwrap_or(text) };
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0_i64, |number, byte| {
        let digit = i64::from(byte - b'0');
        let shifted = number.saturating_mul(10);
        if negative { shifted.saturating_sub(digit) } else { shifted.saturating_add(digit) }
    })
}
