//! `@detectSQLi` and `@detectXSS`, by libinjection.

/// The fingerprint of an SQL injection, such as `s&1c`; nothing when the value is none.
#[must_use]
pub fn fingerprint(value: &[u8]) -> Option<String> {
    let result = libinjectionrs::detect_sqli(value);
    result
        .is_injection()
        .then(|| result.fingerprint.map(|fingerprint| fingerprint.as_str().to_owned()).unwrap_or_default())
}

/// Whether a browser would run a script in the value.
pub(super) fn is_cross_site_scripting(value: &[u8]) -> bool {
    libinjectionrs::detect_xss(value).is_injection()
}
