//! Header fields that have to be there, or not to be (`headerSpecs`).

use super::{Effect, PolicyError, pattern::Wildcard, reading::At};
use crate::http::Head;

/// What is wanted of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderSpec {
    /// Its name.
    pub name: String,
    values: Vec<Wildcard>,
    /// True: only these values. False: all but these.
    allow: bool,
    required: bool,
    /// What follows when it is otherwise.
    pub effect: Effect,
}

/// What is wrong with a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong<'h> {
    /// It is missing.
    Missing,
    /// It has this value.
    Value(&'h [u8]),
}

impl HeaderSpec {
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let name = at.field("name")?;
        if name.text()?.is_empty() {
            return Err(name.wrong("is missing"));
        }
        Ok(Self {
            name: name.text()?.to_owned(),
            values: at.field("values")?.texts()?.iter().map(|value| Wildcard::new(value)).collect(),
            allow: at.field("allow")?.flag()?,
            required: at.field("required")?.flag()?,
            effect: at.field("effect")?.effect()?,
        })
    }

    /// What is wrong with the field in a request. Each line of the field is a value, and of a denied list so is each part
    /// between commas (RFC 9110, section 5.6.1): adding a harmless part is no way around it.
    #[must_use]
    pub fn wrong<'h>(&self, head: &'h Head) -> Option<Wrong<'h>> {
        let named = |header: &crate::http::Header<'_>| header.name.eq_ignore_ascii_case(self.name.as_bytes());
        let is_listed = |value: &[u8]| self.values.iter().any(|listed| listed.matches(value));
        let mut found = false;
        for header in head.headers().filter(named) {
            found = true;
            let listed = is_listed(header.value)
                || (!self.allow && header.value.split(|byte| *byte == b',').any(|part| is_listed(part.trim_ascii())));
            if listed != self.allow && !self.values.is_empty() {
                return Some(Wrong::Value(header.value));
            }
        }
        (self.required && !found).then_some(Wrong::Missing)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::read_head;

    fn is_wrong(spec: &Value, fields: &str) -> bool {
        let spec = HeaderSpec::read(&At::root(spec)).unwrap();
        let (head, _) = read_head(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap().unwrap();
        spec.wrong(&head).is_some()
    }

    /// Allowed values are the only ones, on every line of the field.
    #[test]
    fn only_allowed_values_are_right() {
        let spec = json!({"name": "X-Team", "values": ["red", "blue*"], "allow": true, "effect": "prevent"});
        assert!(!is_wrong(&spec, "X-Team: RED\r\n") && !is_wrong(&spec, "x-team: blue-7\r\n") && !is_wrong(&spec, ""));
        assert!(is_wrong(&spec, "X-Team: green\r\n") && is_wrong(&spec, "X-Team: red\r\nX-Team: green\r\n"));
    }

    /// Denied values are wrong also as a part of a list.
    #[test]
    fn denied_values_are_wrong_in_lists_too() {
        let spec = json!({"name": "X-Team", "values": ["red"], "allow": false, "effect": "alert"});
        assert!(is_wrong(&spec, "X-Team: red\r\n") && is_wrong(&spec, "X-Team: blue, red\r\n"));
        assert!(!is_wrong(&spec, "X-Team: blue\r\n"));
    }

    /// A required field is wrong when it is missing; a field without a name is refused.
    #[test]
    fn required_fields_have_to_be_there() {
        let spec = json!({"name": "X-Team", "required": true, "allow": true, "effect": "ban"});
        assert!(is_wrong(&spec, "") && !is_wrong(&spec, "X-Team: any\r\n"));
        assert_eq!(HeaderSpec::read(&At::root(&json!({}))).unwrap_err().to_string(), "`name` is missing");
    }
}
