//! What may stand as a request's target and as its host. Sources: RFC 9112, section 3.2; RFC 3986, section 3.2.2.

/// Whether a target has one of the four forms: `/path`, `scheme://…`, `host:port` (CONNECT), `*` (OPTIONS).
///
/// Bytes beyond ASCII and odd ones such as `<` pass, for rules to judge. Blanks, control characters and `#` do not: where
/// the target ends would be a matter of opinion.
pub(super) fn is_target(method: &[u8], target: &[u8]) -> bool {
    if target.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b' ' | b'#')) {
        return false;
    }
    match method {
        b"CONNECT" => is_host_with_port(target),
        b"OPTIONS" if target == b"*" => true,
        _ => target.starts_with(b"/") || authority(target).is_some(),
    }
}

/// What follows `scheme://` of an absolute target.
pub(super) fn authority(target: &[u8]) -> Option<&[u8]> {
    let scheme = memchr::memmem::find(target, b"://").filter(|length| *length > 0)?;
    target[..scheme].iter().all(u8::is_ascii_alphabetic).then(|| &target[scheme + 3..])
}

/// The host of an absolute target, with its port.
pub(super) fn host(target: &[u8]) -> Option<&[u8]> {
    let after = (!target.starts_with(b"/")).then(|| authority(target)).flatten()?;
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'\\')).unwrap_or(after.len());
    Some(&after[..end])
}

/// Whether `Host` may have this value. The grammar allows `%` in a name, but no name of the Internet has one, and who decodes
/// it sees another host than who does not.
pub(super) fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]".contains(byte))
}

fn is_host_with_port(text: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', text) else { return false };
    let port = &text[colon + 1..];
    is_host(&text[..colon]) && (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form that RFC 9112 names is taken, each where it belongs.
    #[test]
    fn targets_have_one_of_four_forms() {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/a%00<é>?b=c"),
            ("GET", "http://shop.test"),
            ("OPTIONS", "*"),
            ("CONNECT", "shop.test:443"),
            ("CONNECT", "[::1]:443"),
        ] {
            assert!(is_target(method.as_bytes(), target.as_bytes()), "{method} {target}");
        }
        for (method, target) in [
            ("GET", "\\"),
            ("GET", "a"),
            ("GET", "*"),
            ("GET", "/a b"),
            ("GET", "/a#b"),
            ("GET", "/a\tb"),
            ("GET", "://a"),
            ("CONNECT", "shop.test"),
            ("CONNECT", "/"),
            ("CONNECT", "shop.test:http"),
        ] {
            assert!(!is_target(method.as_bytes(), target.as_bytes()), "{method} {target}");
        }
    }

    /// Names, addresses and ports are hosts; what could be read as another host is none.
    #[test]
    fn hosts_are_names_or_addresses() {
        for host in ["shop", "shop.test:80", "[::1]:80", "127.0.0.1"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in ["", "shop%00", "a b", "a/b", "a@b", "a\\b", "é"] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
