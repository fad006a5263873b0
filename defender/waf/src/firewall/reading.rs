//! Reads a policy's JSON so that every error names the place: `applications[0].sqli.effect`.
//!
//! What is absent or `null` is what its default says; unknown fields are no error (`contract/README`'s rule for receivers).

use std::fmt;

use serde_json::{Map, Value};

use super::{Effect, PolicyError};

/// A value of the policy with the way that leads to it.
#[derive(Clone, Copy)]
pub(super) struct At<'v> {
    value: Option<&'v Value>,
    step: Step<'v>,
    before: Option<&'v At<'v>>,
}

#[derive(Clone, Copy)]
enum Step<'v> {
    Root,
    Field(&'v str),
    Item(usize),
}

impl<'v> At<'v> {
    /// The whole policy.
    pub(super) fn root(value: &'v Value) -> Self {
        Self { value: Some(value), step: Step::Root, before: None }
    }

    /// The value itself; none when it is absent or `null`.
    pub(super) fn value(&self) -> Option<&'v Value> {
        self.value.filter(|value| !value.is_null())
    }

    /// A field of an object; absent fields of absent objects are absent.
    ///
    /// # Errors
    /// When the value is there and no object.
    pub(super) fn field<'a>(&'a self, name: &'a str) -> Result<At<'a>, PolicyError>
    where
        'v: 'a,
    {
        let value = self.object()?.and_then(|object| object.get(name));
        Ok(At { value, step: Step::Field(name), before: Some(self) })
    }

    /// The fields of an object; none when it is absent.
    pub(super) fn object(&self) -> Result<Option<&'v Map<String, Value>>, PolicyError> {
        match self.value() {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.wrong("has to be an object")),
        }
    }

    /// What `read` makes of every item of a list; an absent list is empty.
    pub(super) fn list<T>(&self, read: impl Fn(At<'_>) -> Result<T, PolicyError>) -> Result<Vec<T>, PolicyError> {
        let items = match self.value() {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.wrong("has to be a list")),
        };
        let each = items.iter().enumerate();
        each.map(|(index, value)| read(At { value: Some(value), step: Step::Item(index), before: Some(self) }))
            .collect()
    }

    /// A text; empty when absent.
    pub(super) fn text(&self) -> Result<&'v str, PolicyError> {
        match self.value() {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.wrong("has to be a text")),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self) -> Result<Vec<String>, PolicyError> {
        self.list(|item| item.text().map(str::to_owned))
    }

    /// True or false; false when absent.
    pub(super) fn flag(&self) -> Result<bool, PolicyError> {
        match self.value() {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong("has to be true or false")),
        }
    }

    /// A whole number up to `most`; none when absent.
    pub(super) fn number(&self, most: u64) -> Result<Option<u64>, PolicyError> {
        match self.value().map(Value::as_u64) {
            None => Ok(None),
            Some(Some(number)) if number <= most => Ok(Some(number)),
            _ => Err(self.wrong(&format!("has to be a whole number from 0 to {most}"))),
        }
    }

    /// A port, 0 when absent.
    pub(super) fn port(&self) -> Result<u16, PolicyError> {
        let number = self.number(u64::from(u16::MAX))?.unwrap_or_default();
        u16::try_from(number).map_err(|_| self.wrong("has to be a port"))
    }

    /// One of the names.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)], otherwise: T) -> Result<T, PolicyError> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(otherwise);
        }
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        found.ok_or_else(|| {
            let names = choices.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.wrong(&format!("is `{text}`, which is none of {names}"))
        })
    }

    /// An effect; `disable` when absent or empty, as the vendor's API leaves out what is off.
    pub(super) fn effect(&self) -> Result<Effect, PolicyError> {
        let known = [Effect::Disable, Effect::Alert, Effect::Prevent, Effect::Ban];
        self.choice(&known.map(|effect| (effect.name(), effect)), Effect::Disable)
    }

    /// An error about this value.
    pub(super) fn wrong(&self, problem: &str) -> PolicyError {
        PolicyError(format!("`{self}` {problem}"))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            before.fmt(formatter)?;
        }
        let is_first = self.before.is_none_or(|before| matches!(before.step, Step::Root));
        match self.step {
            Step::Root if self.before.is_none() && formatter.alternate() => formatter.write_str("the policy"),
            Step::Root => Ok(()),
            Step::Field(name) if is_first => formatter.write_str(name),
            Step::Field(name) => write!(formatter, ".{name}"),
            Step::Item(index) => write!(formatter, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error names the whole way, items by their number.
    #[test]
    fn places_are_named() {
        let value = serde_json::json!({"a": [{}, {"b": {"effect": "bann"}}]});
        let root = At::root(&value);
        let list = root.field("a").unwrap();
        let error = list.list(|item| item.field("b")?.field("effect")?.effect()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a[1].b.effect` is `bann`, which is none of `disable`, `alert`, `prevent`, `ban`"
        );
    }

    /// What is absent is its default, however deep; what is there and of another kind is an error.
    #[test]
    fn absent_values_are_defaults() {
        let value = serde_json::json!({"n": 70000, "t": null});
        let root = At::root(&value);
        assert_eq!(root.field("x").unwrap().field("y").unwrap().effect().unwrap(), Effect::Disable);
        assert_eq!(root.field("t").unwrap().text().unwrap(), "");
        assert!(root.field("n").unwrap().port().unwrap_err().to_string().contains("`n` has to be a whole number"));
        assert!(root.field("n").unwrap().field("z").is_err());
    }
}
