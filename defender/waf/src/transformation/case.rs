//! `lowercase` and `uppercase`: ASCII letters only, as in the C locale.

/// `lowercase`.
pub(super) fn lower(value: &[u8]) -> Option<Vec<u8>> {
    value.iter().any(u8::is_ascii_uppercase).then(|| value.to_ascii_lowercase())
}

/// `uppercase`.
pub(super) fn upper(value: &[u8]) -> Option<Vec<u8>> {
    value.iter().any(u8::is_ascii_lowercase).then(|| value.to_ascii_uppercase())
}
