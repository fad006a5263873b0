//! Paths with what differs from request to request made one.

use std::collections::HashSet;

/// The path with values replaced: `{id}` for numbers, identifiers, dates and tokens, and for whatever follows a path of `wide`.
/// A second one is `{id2}`, so that names are unique within a path.
pub(super) fn general(path: &str, wide: &HashSet<String>) -> String {
    let mut general = String::with_capacity(path.len());
    let mut values = 0;
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let is_open = segment.starts_with('{') && segment.ends_with('}');
        let open = is_open || is_value(segment) || wide.contains(if general.is_empty() { "/" } else { &general });
        general.push('/');
        if open {
            values += 1;
            general.push_str("{id");
            if values > 1 {
                general.push_str(&values.to_string());
            }
            general.push('}');
        } else {
            general.push_str(segment);
        }
    }
    if general.is_empty() { "/".to_owned() } else { general }
}

/// Whether a segment is a value rather than a name.
fn is_value(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let plain = segment.trim_start_matches('-');
    let numeric = !plain.is_empty()
        && plain.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-' | b':'));
    let hexadecimal = segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let token = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=.~".contains(&byte));
    (numeric && digits > 0)
        || (segment.len() >= 8 && hexadecimal && digits > 0)
        || (segment.len() >= 20 && token && digits >= 3)
        || segment.contains('@')
        || segment.len() > 64
        || !segment.is_ascii()
}

/// The paths above a path, the nearest first.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| if at == 0 { "/" } else { &path[..at] }).collect::<Vec<_>>().into_iter().rev()
}

/// The segment that follows `ancestor` in a path; none for what is not below it, and for what is open already.
pub(super) fn follower<'p>(path: &'p str, ancestor: &str) -> Option<&'p str> {
    let rest = if ancestor == "/" { path } else { path.strip_prefix(ancestor)? };
    let segment = rest.strip_prefix('/')?.split('/').next()?;
    (!segment.is_empty() && !segment.starts_with('{')).then_some(segment)
}
