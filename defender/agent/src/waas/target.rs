//! The target of a request as an application that is no proxy is asked for it. Source: RFC 9112, section 3.2.

/// Path and query, and the host where the target names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// In origin form, or `*`.
    pub path: &'a [u8],
    /// What `Host` has to be.
    pub authority: Option<&'a [u8]>,
}

/// Takes a target apart; none when it names another host than `Host` does: which of the two an application goes by is a
/// matter of opinion, and the firewall has judged one.
#[must_use]
pub fn parts<'a>(target: &'a [u8], host: Option<&[u8]>) -> Option<Target<'a>> {
    if target.starts_with(b"/") || target == b"*" {
        return Some(Target { path: target, authority: None });
    }
    let colon = target.windows(3).position(|window| window == b"://")?;
    let rest = &target[colon + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let same = host.is_none_or(|host| host.eq_ignore_ascii_case(authority));
    // A query without a path has none that could be sent alone.
    let path = if path.is_empty() { &b"/"[..] } else { path };
    (same && !authority.is_empty() && path.starts_with(b"/")).then_some(Target { path, authority: Some(authority) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An absolute target becomes path and host, and must not contradict `Host`.
    #[test]
    fn targets_are_taken_apart() {
        let found = |target: &'static str, host: &'static str| parts(target.as_bytes(), Some(host.as_bytes()));

        assert_eq!(found("/a?b", "x"), Some(Target { path: b"/a?b", authority: None }));
        assert_eq!(found("http://Shop:80/a", "shop:80"), Some(Target { path: b"/a", authority: Some(b"Shop:80") }));
        assert_eq!(found("http://shop", "shop"), Some(Target { path: b"/", authority: Some(b"shop") }));
        for target in ["http://other/a", "http:///a", "http://shop?a", "a"] {
            assert_eq!(found(target, "shop"), None, "{target}");
        }
    }
}
