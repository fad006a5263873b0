//! Parameters: what a specification says of one, and whether its values are so.

use super::{
    json::Json,
    schema::Schema,
    spec::{Location, ParameterSpec, Style, ValueType},
    validate::Mismatch,
};

/// A parameter, compiled.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) spec: ParameterSpec,
    schema: Option<Schema>,
}

impl Parameter {
    /// Compiles a parameter; what of its schema is not looked at is appended to `unenforced`.
    ///
    /// # Errors
    /// In words, for a schema that means nothing.
    pub(super) fn compile(spec: &ParameterSpec, unenforced: &mut Vec<String>) -> Result<Self, String> {
        let schema = spec.schema.as_ref().map(Schema::compile).transpose();
        let schema = schema.map_err(|error| format!("parameter `{}`: {error}", spec.name))?;
        let places = schema.iter().flat_map(|schema| &schema.unenforced);
        unenforced.extend(places.map(|place| format!("parameter `{}`: {place}", spec.name)));
        let mut spec = spec.clone();
        spec.schema = None;
        if spec.kind == ValueType::Array {
            spec.array = true;
        }
        Ok(Self { spec, schema })
    }

    /// True for an object whose members are written as parameters of their own names, which nobody then knows beforehand.
    pub(super) fn is_scattered(&self) -> bool {
        self.spec.kind == ValueType::Object && self.spec.explode && self.spec.style == Style::Form
    }

    /// True for a query parameter of this name.
    pub(super) fn is_query(&self, name: &[u8]) -> bool {
        let deep = self.spec.style == Style::DeepObject;
        let known = self.spec.name.as_bytes();
        let inside =
            |rest: &[u8]| rest.is_empty() || (deep && rest.starts_with(b"[")) || (self.spec.array && rest == b"[]");
        self.spec.location == Location::Query && name.strip_prefix(known).is_some_and(inside)
    }

    /// Whether the whole body may be anything at all.
    pub(super) fn is_any_body(&self) -> bool {
        let shaped = matches!(self.spec.kind, ValueType::Object | ValueType::Array) || self.spec.array;
        self.spec.location == Location::Body && self.schema.is_none() && !shaped
    }

    /// Holds the values that a request has under this name against it.
    ///
    /// # Errors
    /// In words: what is wrong, to be put behind the parameter's name, and the value.
    pub(super) fn check(&self, values: &[&[u8]]) -> Result<(), (String, Vec<u8>)> {
        if self.is_scattered() || self.spec.style == Style::DeepObject {
            return Ok(());
        }
        match values {
            [] if self.spec.required => Err(("is missing".to_owned(), Vec::new())),
            [] => Ok(()),
            values if self.spec.array => {
                let parts: Vec<&[u8]> = values.iter().flat_map(|value| self.parts(value)).collect();
                parts.iter().try_for_each(|part| self.check_one(part))
            }
            [value] => self.check_one(self.undressed(value)),
            [_, second, ..] => Err((format!("comes {} times", values.len()), second.to_vec())),
        }
    }

    /// The values of an array that was written as one text.
    fn parts<'v>(&self, value: &'v [u8]) -> Vec<&'v [u8]> {
        let value = self.undressed(value);
        let separator = match self.spec.style {
            Style::Form if self.spec.explode => return vec![value],
            Style::Label if self.spec.explode => b'.',
            Style::Matrix if self.spec.explode => b';',
            style => style.separator(),
        };
        let prefix = format!("{}=", self.spec.name);
        let bare = |part: &'v [u8]| match self.spec.style {
            Style::Matrix => part.strip_prefix(prefix.as_bytes()).unwrap_or(part),
            _ => part,
        };
        value.split(|byte| *byte == separator).map(|part| bare(part.trim_ascii())).collect()
    }

    /// Without what some styles put before the value. Source: RFC 6570, sections 3.2.5 and 3.2.7.
    fn undressed<'v>(&self, value: &'v [u8]) -> &'v [u8] {
        match self.spec.style {
            Style::Label => value.strip_prefix(b".").unwrap_or(value),
            Style::Matrix => {
                let rest = value.strip_prefix(b";").unwrap_or(value);
                let named = rest.strip_prefix(self.spec.name.as_bytes());
                named.and_then(|rest| rest.strip_prefix(b"=")).unwrap_or(rest)
            }
            _ => value,
        }
    }

    fn check_one(&self, value: &[u8]) -> Result<(), (String, Vec<u8>)> {
        let wrong = |problem: String| Err((problem, value.to_vec()));
        if value.is_empty() {
            return if self.spec.allow_empty_value { Ok(()) } else { wrong("is empty".to_owned()) };
        }
        let text = String::from_utf8_lossy(value);
        let Some(json) = self.read(&text) else {
            return wrong(format!("is no {}", self.kind_name()));
        };
        self.check_json(&json).or_else(|mismatch| wrong(mismatch.problem))
    }

    /// A text as a value of the parameter's type.
    fn read(&self, text: &str) -> Option<Json> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self.spec.kind {
            ValueType::Integer => {
                let whole = digits(text.strip_prefix('-').unwrap_or(text));
                whole.then(|| {
                    text.parse().map_or_else(|_| Json::Number(text.parse().unwrap_or(f64::MAX)), Json::Integer)
                })
            }
            ValueType::Number => {
                let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
                text.parse::<f64>().ok().filter(|number| plain && number.is_finite()).map(Json::Number)
            }
            ValueType::Boolean => match text {
                "true" => Some(Json::Bool(true)),
                "false" => Some(Json::Bool(false)),
                _ => None,
            },
            ValueType::String | ValueType::Object | ValueType::Array => Some(Json::Text(text.to_owned())),
        }
    }

    fn kind_name(&self) -> &'static str {
        match self.spec.kind {
            ValueType::Integer => "integer",
            ValueType::Number => "number",
            ValueType::Boolean => "boolean",
            ValueType::String => "string",
            ValueType::Object => "object",
            ValueType::Array => "array",
        }
    }

    /// Holds a value of a JSON body (which has a type of its own) against it.
    ///
    /// # Errors
    /// What is wrong, and where in the value.
    pub(super) fn check_typed(&self, value: &Json) -> Result<(), Mismatch> {
        let wrong = |problem: String| Err(Mismatch { place: String::new(), problem });
        // Whoever gives a schema says with it what the value is.
        if self.schema.is_some() {
            return self.check_json(value);
        }
        let kinds_fit = |value: &Json| {
            let kind = value.kind();
            let wanted = self.kind_name();
            kind == wanted || (wanted == "number" && kind == "integer") || self.spec.kind == ValueType::Array
        };
        match value {
            Json::Array(items) if self.spec.array => match items.iter().find(|item| !kinds_fit(item)) {
                Some(item) => wrong(format!("has an item of type {}, not {}", item.kind(), self.kind_name())),
                None => items.iter().try_for_each(|item| self.check_json(item)),
            },
            value if self.spec.array => wrong(format!("is of type {}, not array", value.kind())),
            value if !kinds_fit(value) => wrong(format!("is of type {}, not {}", value.kind(), self.kind_name())),
            value => self.check_json(value),
        }
    }

    fn check_json(&self, value: &Json) -> Result<(), Mismatch> {
        let wrong = |problem: String| Err(Mismatch { place: String::new(), problem });
        if let Some(number) = value.number() {
            if let Some(least) = self.spec.min.filter(|least| number < *least) {
                return wrong(format!("is less than {least}"));
            }
            if let Some(most) = self.spec.max.filter(|most| number > *most) {
                return wrong(format!("is more than {most}"));
            }
        }
        match &self.schema {
            Some(schema) => schema.check(value),
            None => Ok(()),
        }
    }
}
