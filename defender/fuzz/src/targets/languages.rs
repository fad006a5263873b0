//! Transformations, and the languages that people write.

use std::borrow::Cow;

use defender_waf::{
    firewall::{
        Policy,
        expression::{Expression, RuleKind},
    },
    seclang::{Source, load},
    transformation::{Transformation, reference},
};

/// Fast and naive transformations say the same of any value, and a value is borrowed exactly when it stays as it is.
pub fn transformations(data: &[u8]) {
    for transformation in Transformation::all() {
        let output = transformation.apply(data);
        assert_eq!(output[..], reference::apply(transformation, data)[..], "{transformation:?}");
        assert_eq!(matches!(output, Cow::Borrowed(_)), *output == *data, "{transformation:?}");
    }
}

/// Any text is a ruleset or refused.
pub fn seclang(data: &[u8]) {
    let words = Source { name: "words.data", text: b"one\ntwo" };
    let _ = load(&[Source { name: "fuzz.conf", text: data }], &[words]);
}

/// Any text is a condition or refused, and what is printed of a condition reads as the same one.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for kind in [RuleKind::Request, RuleKind::Response] {
        let Ok(condition) = Expression::parse(kind, text) else { continue };
        let printed = condition.to_string();
        assert_eq!(Expression::parse(kind, &printed).as_ref(), Ok(&condition), "{printed}");
    }
}

/// Any bytes are a policy or refused.
pub fn policy(data: &[u8]) {
    if let Ok(policy) = Policy::parse(data) {
        let _ = policy.check();
    }
}
