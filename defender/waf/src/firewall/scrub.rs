//! Takes secrets out of what is told of a request: values of telling names, all cookies' values, credentials by their form,
//! and what the user's own rules say. A value too many is hidden rather than one too few.

use super::{PolicyError, pattern, pattern::Expression, reading::At};
use crate::http::percent_decoded;

/// What stands in a secret's place.
pub const MASK: &str = "****";
/// Names that contain one of these words hold secrets.
const TELLING: [&str; 20] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "privatekey",
    "private_key",
    "credential",
    "authorization",
    "cookie",
    "session",
    "signature",
];
/// Credentials by their form: what follows `Bearer` or `Basic`, JSON web tokens (RFC 7519), access keys of AWS, private keys,
/// the password within a URL, a member of JSON with a telling name.
const FORMS: &str = r#"(?i-u)\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{6,}|(?-i)\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.)*|://[^/\s:@]+:[^/\s@]+@|(?i)"[^"]*(?:passw|pwd|passphrase|secret|token|api[_-]?key|credential|authorization|session)[^"]*"\s*:\s*"(?:[^"\\]|\\.)*"?"#;

/// Where a value stands, as far as scrubbing is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An argument of the query.
    Query,
    /// A cookie.
    Cookie,
    /// A header field.
    Header,
    /// A field of a body.
    Body,
    /// Anything else.
    Other,
}

/// What is secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrubber {
    rules: Vec<Rule>,
    forms: Option<Expression>,
}

/// A user's rule: by name, by form, or by both.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    place: Option<Place>,
    key: Option<Expression>,
    value: Option<Expression>,
    placeholder: String,
}

/// Locations of the vendor's rules, as places here.
const LOCATIONS: [(&str, Place); 9] = [
    ("path", Place::Other),
    ("query", Place::Query),
    ("queryValues", Place::Query),
    ("cookie", Place::Cookie),
    ("header", Place::Header),
    ("body", Place::Body),
    ("rawBody", Place::Body),
    ("XMLPath", Place::Body),
    ("JSONPath", Place::Body),
];

impl Default for Scrubber {
    fn default() -> Self {
        Self { rules: Vec::new(), forms: Expression::anywhere(FORMS).ok() }
    }
}

impl Scrubber {
    /// `sensitiveDataRules` of a policy.
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        Ok(Self { rules: at.list(|rule| Rule::read(&rule))?, ..Self::default() })
    }

    /// A value as it may be told.
    #[must_use]
    pub fn value(&self, place: Place, name: &[u8], value: &[u8]) -> String {
        if value.is_empty() {
            return String::new();
        }
        let mut shown = value.to_vec();
        for rule in self.rules.iter().filter(|rule| rule.place.is_none_or(|wanted| wanted == place)) {
            match (&rule.key, &rule.value) {
                (Some(key), _) if !key.matches(name) => {}
                (Some(_), None) => return rule.placeholder.clone(),
                (_, Some(form)) => shown = replaced(&shown, form, &rule.placeholder),
                (None, None) => {}
            }
        }
        if place == Place::Cookie || is_telling(name) {
            return MASK.to_owned();
        }
        if let Some(forms) = &self.forms {
            shown = replaced(&shown, forms, MASK);
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Whether there are rules of the user's own.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether a rule of the user's own hides a value, or a part of it.
    #[must_use]
    pub fn names(&self, place: Place, name: &[u8], value: &[u8]) -> bool {
        let of_place = self.rules.iter().filter(|rule| rule.place.is_none_or(|wanted| wanted == place));
        let mut fits = of_place.filter(|rule| rule.key.as_ref().is_none_or(|key| key.matches(name)));
        fits.any(|rule| rule.value.as_ref().is_none_or(|form| form.places(value).next().is_some()))
    }

    /// A query, or a form, with the values of its secret arguments hidden.
    #[must_use]
    pub fn pairs(&self, place: Place, text: &[u8], separator: u8) -> String {
        let mut shown = String::new();
        for (index, pair) in text.split(|byte| *byte == separator).enumerate() {
            if index > 0 {
                shown.push(char::from(separator));
            }
            let Some(equals) = memchr::memchr(b'=', pair) else {
                shown.push_str(&self.value(Place::Other, b"", pair));
                continue;
            };
            let (raw_name, raw_value) = (&pair[..equals], &pair[equals + 1..]);
            let (name, value) = (percent_decoded(raw_name), percent_decoded(raw_value));
            shown.push_str(&String::from_utf8_lossy(raw_name));
            shown.push('=');
            let clean = self.value(place, name.trim_ascii(), &value);
            // What has nothing to hide is told as it came, with its escapes.
            let untouched = clean == String::from_utf8_lossy(&value);
            shown.push_str(if untouched { std::str::from_utf8(raw_value).unwrap_or(&clean) } else { &clean });
        }
        shown
    }

    /// A piece of a raw target or body, in which values of all kinds may stand.
    #[must_use]
    pub fn raw(&self, text: &[u8]) -> String {
        if self.rules.iter().any(|rule| rule.key.is_some()) {
            // Which names its values have, nobody knows.
            return MASK.to_owned();
        }
        let separator = if text.contains(&b'&') { b'&' } else { b'?' };
        if text.contains(&b'=') {
            self.pairs(Place::Body, text, separator)
        } else {
            self.value(Place::Other, b"", text)
        }
    }

    /// A header field's value.
    #[must_use]
    pub fn header(&self, name: &[u8], value: &[u8]) -> String {
        if name.eq_ignore_ascii_case(b"cookie") {
            return self.pairs(Place::Cookie, value, b';');
        }
        if name.eq_ignore_ascii_case(b"referer") {
            let mark = memchr::memchr(b'?', value).unwrap_or(value.len());
            let before = self.value(Place::Header, name, &value[..mark]);
            let query = value.get(mark + 1..).map(|query| format!("?{}", self.pairs(Place::Query, query, b'&')));
            return before + &query.unwrap_or_default();
        }
        self.value(Place::Header, name, value)
    }
}

impl Rule {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let place = at.field("location")?;
        let place = match place.text()? {
            "" => None,
            _ => Some(place.choice(&LOCATIONS, Place::Other)?),
        };
        let placeholder = at.field("placeholder")?;
        let rule = Self {
            place,
            key: pattern::expression(&at.field("key")?, Expression::whole_any_case)?,
            value: pattern::expression(&at.field("value")?, Expression::anywhere)?,
            placeholder: Some(placeholder.text()?).filter(|text| !text.is_empty()).unwrap_or(MASK).to_owned(),
        };
        if rule.key.is_none() && rule.value.is_none() {
            return Err(at.wrong("names neither a `key` nor a `value`"));
        }
        Ok(rule)
    }
}

fn is_telling(name: &[u8]) -> bool {
    let contains = |word: &str| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
    TELLING.iter().any(|word| contains(word))
}

fn replaced(text: &[u8], form: &Expression, placeholder: &str) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    let mut at = 0;
    for place in form.places(text).filter(|place| !place.is_empty()) {
        clean.extend_from_slice(&text[at..place.start]);
        clean.extend_from_slice(placeholder.as_bytes());
        at = place.end;
    }
    clean.extend_from_slice(&text[at..]);
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Values of telling names are hidden wherever they stand, and nothing else.
    #[test]
    fn telling_names_are_hidden() {
        let scrubber = Scrubber::default();
        assert_eq!(
            scrubber.pairs(Place::Query, b"id=%271&user_password=s3cret&Pass%77ord=x", b'&'),
            "id=%271&user_password=****&Pass%77ord=****"
        );
        assert_eq!(scrubber.header(b"Cookie", b"sid=abc; theme=dark"), "sid=****; theme=****");
        assert_eq!(scrubber.header(b"Authorization", b"Basic dXNlcjpwYXNz"), "****");
        assert_eq!(scrubber.header(b"Referer", b"https://a.test/?token=7&x=1"), "https://a.test/?token=****&x=1");
        assert_eq!(scrubber.value(Place::Body, b"note", b"hello"), "hello");
    }

    /// Credentials are known by their form, whatever they are called.
    #[test]
    fn credentials_are_known_by_form() {
        let scrubber = Scrubber::default();
        let hidden = |text: &str| !scrubber.value(Place::Body, b"note", text.as_bytes()).contains("s3cret99");
        assert!(hidden("Bearer s3cret99") && hidden("https://u:s3cret99@h/") && hidden("eyJs3cret99.abc.def"));
        assert!(hidden("-----BEGIN PRIVATE KEY-----\ns3cret99"));
        assert_eq!(scrubber.value(Place::Body, b"x", b"AKIAIOSFODNN7EXAMPLE"), MASK);
        assert_eq!(scrubber.raw(br#"{"a":"1","db_Password" : "s\"3","b":2}"#), r#"{"a":"1",****,"b":2}"#);
        assert_eq!(scrubber.raw(b"/x?password=s3&b=c"), "/x?password=****&b=c");
    }

    /// A user's rule hides by name or by form, with its own placeholder.
    #[test]
    fn rules_of_ones_own() {
        let value = json!([{"location": "query", "key": "card.*", "placeholder": "[card]"},
            {"value": "[0-9]{4}-[0-9]{4}", "placeholder": "#"}]);
        let scrubber = Scrubber::read(&At::root(&value)).unwrap();
        assert_eq!(scrubber.value(Place::Query, b"cardNumber", b"17"), "[card]");
        assert_eq!(scrubber.value(Place::Body, b"cardNumber", b"17"), "17");
        assert_eq!(scrubber.value(Place::Other, b"", b"n 1234-5678."), "n #.");
        let error = Scrubber::read(&At::root(&json!([{"placeholder": "x"}]))).unwrap_err();
        assert_eq!(error.to_string(), "`[0]` names neither a `key` nor a `value`");
    }

    proptest! {
        /// No secret of a telling name is in what is told, whatever stands around it.
        #[test]
        fn secrets_never_show(before in "[a-z=&%;]{0,8}", secret in "[G-Z]{6,12}", after in "[a-z&=%]{0,8}") {
            let text = format!("{before}&password={secret}&{after}");
            prop_assert!(!Scrubber::default().pairs(Place::Query, text.as_bytes(), b'&').contains(&secret));
        }
    }
}
