//! `@validateUrlEncoding` and the argument of `@validateByteRange`.

use memchr::memchr_iter;

/// Whether a `%` is not followed by two hexadecimal digits.
pub(super) fn is_bad_url_encoding(value: &[u8]) -> bool {
    memchr_iter(b'%', value).any(|place| {
        let digits = value.get(place + 1..place + 3).unwrap_or_default();
        !(digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Reads `9,10,32-126` into a table of the bytes that are allowed.
///
/// # Errors
/// In words, for what is no byte and for a range that ends before it begins.
pub(super) fn ranges(argument: &str) -> Result<[bool; 256], String> {
    let mut allowed = [false; 256];
    for part in argument.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let byte = |text: &str| {
            text.trim().parse::<u8>().map_err(|_| format!("`{part}` is no range of bytes such as `32-126`"))
        };
        let (first, last) = (byte(first)?, byte(last)?);
        if first > last {
            return Err(format!("the range `{part}` ends before it begins"));
        }
        allowed[usize::from(first)..=usize::from(last)].fill(true);
    }
    Ok(allowed)
}
