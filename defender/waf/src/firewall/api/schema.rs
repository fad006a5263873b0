//! A subset of JSON Schema, compiled: what `OpenAPI` 2 and 3 describe bodies with. Sources: JSON Schema 2020-12, "Validation";
//! `OpenAPI` 3.0.3 and 3.1.0, "Schema Object".
//!
//! What only describes is passed over. What would refuse a value and is not known here is noted, never dropped without a word.

use std::collections::{BTreeMap, HashMap};

use regex_automata::meta::Regex;
use serde_json::{Map, Value};

use super::json::Json;
use crate::operator::syntax_tree;

/// Bytes that the states of one pattern may take.
const PATTERN_BYTES: usize = 1 << 20;
/// How many parts a schema may have.
const MOST_PARTS: usize = 10_000;

/// A schema, compiled; its parts refer to one another by number, 0 is the whole.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(super) parts: Vec<Part>,
    /// Keywords that are not looked at although they might refuse something, with their places.
    pub(super) unenforced: Vec<String>,
}

/// One part. What is empty asks for nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// Nothing is allowed.
    pub(super) never: bool,
    /// Names of types, of which one must be.
    pub(super) kinds: Vec<String>,
    pub(super) one_of_values: Option<Vec<Json>>,
    pub(super) least: Option<f64>,
    pub(super) most: Option<f64>,
    pub(super) above: Option<f64>,
    pub(super) below: Option<f64>,
    pub(super) step: Option<f64>,
    /// Characters of a text, items of an array, members of an object.
    pub(super) length: Span,
    pub(super) items_span: Span,
    pub(super) members_span: Span,
    pub(super) pattern: Option<(String, Regex)>,
    pub(super) format: Option<Format>,
    pub(super) items: Option<usize>,
    pub(super) unique: bool,
    pub(super) members: HashMap<String, usize>,
    pub(super) other_members: Option<usize>,
    pub(super) required: Vec<String>,
    pub(super) all: Vec<usize>,
    pub(super) any: Vec<usize>,
    pub(super) one: Vec<usize>,
    pub(super) not: Option<usize>,
}

/// From and to, both included.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) least: Option<u64>,
    pub(super) most: Option<u64>,
}

/// Formats that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Date,
    DateTime,
    Uuid,
    Ipv4,
    Ipv6,
    Email,
}

/// Keywords that may refuse something and that are not known here.
const UNKNOWN: [&str; 13] = [
    "patternProperties",
    "propertyNames",
    "contains",
    "prefixItems",
    "additionalItems",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "unevaluatedProperties",
    "unevaluatedItems",
    "$dynamicRef",
    "$recursiveRef",
];

impl Schema {
    /// Compiles a schema. References are to its own parts: `#`, `#/definitions/A`, `#/$defs/A`.
    ///
    /// # Errors
    /// In words: what means nothing, and where.
    pub(crate) fn compile(document: &Value) -> Result<Self, String> {
        let mut compiler = Compiler { document, parts: Vec::new(), known: BTreeMap::new(), unenforced: Vec::new() };
        compiler.referred("#", "#")?;
        Ok(Self { parts: compiler.parts, unenforced: compiler.unenforced })
    }
}

struct Compiler<'d> {
    document: &'d Value,
    parts: Vec<Part>,
    /// Parts by the references that lead to them.
    known: BTreeMap<String, usize>,
    unenforced: Vec<String>,
}

impl<'d> Compiler<'d> {
    /// The part that a reference leads to, compiled once.
    fn referred(&mut self, reference: &str, from: &str) -> Result<usize, String> {
        if let Some(part) = self.known.get(reference) {
            return Ok(*part);
        }
        let pointer =
            reference.strip_prefix('#').ok_or_else(|| format!("`{from}`: `{reference}` is not within the schema"))?;
        let document = self.document;
        let target =
            document.pointer(pointer).ok_or_else(|| format!("`{from}`: there is no `{reference}` in the schema"))?;
        let part = self.room(reference)?;
        self.known.insert(reference.to_owned(), part);
        self.fill(part, target, reference)?;
        Ok(part)
    }

    fn part(&mut self, value: &'d Value, place: &str) -> Result<usize, String> {
        let part = self.room(place)?;
        self.fill(part, value, place)?;
        Ok(part)
    }

    fn room(&mut self, place: &str) -> Result<usize, String> {
        if self.parts.len() == MOST_PARTS || place.matches('/').count() > 200 {
            return Err(format!("`{place}`: the schema has more than {MOST_PARTS} parts, or is nested too deep"));
        }
        self.parts.push(Part::default());
        Ok(self.parts.len() - 1)
    }

    fn fill(&mut self, at: usize, value: &'d Value, place: &str) -> Result<(), String> {
        let members = match value {
            Value::Bool(allowed) => {
                self.parts[at].never = !allowed;
                return Ok(());
            }
            Value::Object(members) => members,
            _ => return Err(format!("`{place}` is no schema")),
        };
        let mut part = Part::default();
        if let Some(reference) = members.get("$ref") {
            let reference = reference.as_str().ok_or_else(|| format!("`{place}`: `$ref` is no text"))?;
            part.all.push(self.referred(reference, place)?);
        }
        plain(&mut part, members, place)?;
        self.nested(&mut part, members, place)?;
        let unknown = UNKNOWN.iter().filter(|name| members.contains_key(**name));
        self.unenforced.extend(unknown.map(|name| format!("{place}/{name}")));
        self.parts[at] = part;
        Ok(())
    }

    /// What is made of further schemas.
    fn nested(&mut self, part: &mut Part, members: &'d Map<String, Value>, place: &str) -> Result<(), String> {
        let below = |name: &str| format!("{place}/{name}");
        if let Some(properties) = members.get("properties") {
            let place = below("properties");
            let properties = properties.as_object().ok_or_else(|| format!("`{place}` is no object"))?;
            for (name, schema) in properties {
                let property = self.part(schema, &format!("{place}/{name}"))?;
                part.members.insert(name.clone(), property);
            }
        }
        for (name, one) in
            [("items", &mut part.items), ("additionalProperties", &mut part.other_members), ("not", &mut part.not)]
        {
            if let Some(schema) = members.get(name) {
                if schema.is_array() {
                    self.unenforced.push(below(name));
                } else {
                    *one = Some(self.part(schema, &below(name))?);
                }
            }
        }
        for (name, many) in [("allOf", &mut part.all), ("anyOf", &mut part.any), ("oneOf", &mut part.one)] {
            let place = below(name);
            let Some(schemas) = members.get(name) else { continue };
            let schemas = schemas.as_array().ok_or_else(|| format!("`{place}` is no array"))?;
            for (index, schema) in schemas.iter().enumerate() {
                many.push(self.part(schema, &format!("{place}/{index}"))?);
            }
        }
        Ok(())
    }
}

/// What is said of the value itself.
fn plain(part: &mut Part, members: &Map<String, Value>, place: &str) -> Result<(), String> {
    part.kinds = kinds(members, place)?;
    let values = members
        .get("enum")
        .map(|values| values.as_array().cloned().ok_or_else(|| format!("`{place}/enum` is no array")));
    let values = values.transpose()?.or_else(|| members.get("const").map(|value| vec![value.clone()]));
    part.one_of_values = values.map(|values| values.iter().map(json).collect());
    if members.get("nullable") == Some(&Value::Bool(true))
        && let Some(values) = &mut part.one_of_values
    {
        values.push(Json::Null);
    }
    let number = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("`{place}/{name}` is no number")),
    };
    (part.least, part.most, part.step) = (number("minimum")?, number("maximum")?, number("multipleOf")?);
    part.step = part.step.filter(|step| *step > 0.0);
    // A flag until draft 4 and in OpenAPI 3.0, a number since.
    match members.get("exclusiveMinimum") {
        Some(Value::Bool(true)) => part.above = part.least,
        Some(Value::Bool(false)) | None => {}
        Some(_) => part.above = number("exclusiveMinimum")?,
    }
    match members.get("exclusiveMaximum") {
        Some(Value::Bool(true)) => part.below = part.most,
        Some(Value::Bool(false)) | None => {}
        Some(_) => part.below = number("exclusiveMaximum")?,
    }
    let count = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| format!("`{place}/{name}` is no count")),
    };
    part.length = Span { least: count("minLength")?, most: count("maxLength")? };
    part.items_span = Span { least: count("minItems")?, most: count("maxItems")? };
    part.members_span = Span { least: count("minProperties")?, most: count("maxProperties")? };
    part.unique = members.get("uniqueItems") == Some(&Value::Bool(true));
    part.pattern = pattern(members, place)?;
    part.format = members.get("format").and_then(Value::as_str).and_then(Format::named);
    part.required = required(members, place)?;
    Ok(())
}

fn kinds(members: &Map<String, Value>, place: &str) -> Result<Vec<String>, String> {
    const KNOWN: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
    let wrong = || format!("`{place}/type` is none of {}", KNOWN.join(", "));
    let mut kinds: Vec<String> = match members.get("type") {
        None => return Ok(Vec::new()),
        // Swagger 2's `file` is any content.
        Some(Value::String(kind)) if kind == "file" => return Ok(Vec::new()),
        Some(Value::String(kind)) => vec![kind.clone()],
        Some(Value::Array(kinds)) => {
            kinds.iter().map(|kind| kind.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong()),
    };
    if !kinds.iter().all(|kind| KNOWN.contains(&kind.as_str())) {
        return Err(wrong());
    }
    if members.get("nullable") == Some(&Value::Bool(true)) {
        kinds.push("null".to_owned());
    }
    Ok(kinds)
}

fn pattern(members: &Map<String, Value>, place: &str) -> Result<Option<(String, Regex)>, String> {
    let Some(value) = members.get("pattern") else { return Ok(None) };
    let source = value.as_str().ok_or_else(|| format!("`{place}/pattern` is no text"))?;
    let tree = syntax_tree(source).map_err(|error| format!("`{place}/pattern`: {error}"))?;
    let limits = Regex::config()
        .utf8_empty(false)
        .nfa_size_limit(Some(PATTERN_BYTES))
        .onepass_size_limit(Some(PATTERN_BYTES))
        .hybrid_cache_capacity(PATTERN_BYTES);
    let regex = Regex::builder().configure(limits).build_from_hir(&tree);
    let regex = regex.map_err(|_| format!("`{place}/pattern`: the pattern `{source}` is too large"))?;
    Ok(Some((source.to_owned(), regex)))
}

fn required(members: &Map<String, Value>, place: &str) -> Result<Vec<String>, String> {
    match members.get("required") {
        // Swagger 2 and draft 3 have flags of the same name on parameters and properties.
        None | Some(Value::Bool(_)) => Ok(Vec::new()),
        Some(Value::Array(names)) => {
            let wrong = || format!("`{place}/required` is no array of names");
            names.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(format!("`{place}/required` is no array of names")),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Json::Integer(number.into()),
            (_, Some(number)) => Json::Integer(number.into()),
            _ => Json::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Json::Text(text.clone()),
        Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        Value::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), json(value))).collect())
        }
    }
}

impl Format {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "date" => Self::Date,
            "date-time" => Self::DateTime,
            "uuid" => Self::Uuid,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "email" => Self::Email,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Uuid => "uuid",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Email => "email",
        }
    }

    /// Whether a text is of this format. Sources: RFC 3339, section 5.6; RFC 9562, section 4; RFC 5321, section 4.1.2, roughly.
    pub(super) fn holds(self, text: &str) -> bool {
        match self {
            Self::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
            Self::Date => is_date(text),
            Self::DateTime => {
                text.split_once(['T', 't', ' ']).is_some_and(|(date, time)| is_date(date) && is_time(time))
            }
            Self::Uuid => shaped(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
            Self::Email => text.rsplit_once('@').is_some_and(|(local, domain)| {
                let plain = |text: &str| {
                    !text.is_empty() && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
                };
                plain(local) && plain(domain)
            }),
        }
    }
}

/// `x` stands for a hexadecimal digit, `9` for a decimal one, all else for itself.
fn shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'x' => byte.is_ascii_hexdigit(),
            b'9' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn is_date(text: &str) -> bool {
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    shaped(text, "9999-99-99") && (1..=12).contains(&number(5, 7)) && (1..=31).contains(&number(8, 10))
}

fn is_time(text: &str) -> bool {
    let Some((time, rest)) = text.split_at_checked(8) else { return false };
    let fraction = rest.strip_prefix('.').map_or(0, |digits| 1 + digits.bytes().take_while(u8::is_ascii_digit).count());
    let zone = &rest[fraction..];
    let signed = zone.strip_prefix(['+', '-']).is_some_and(|zone| shaped(zone, "99:99"));
    shaped(time, "99:99:99") && fraction != 1 && (zone.eq_ignore_ascii_case("z") || signed)
}
