//! Conditions as trees, and the one form in which they are printed.

use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

use regex_automata::meta::Regex;

use super::function::{Function, Unwrapping};

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    /// At least two, one of which must hold.
    Any(Vec<Tree>),
    /// At least two, all of which must hold.
    All(Vec<Tree>),
    /// What must not hold.
    Not(Box<Tree>),
    /// A test of what an operand gives.
    Term(Operand, Test),
    /// `jwtValid(…)`.
    Valid(Operand),
}

/// What is tested.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Field(Field),
    /// The values that a map has under a key.
    Selected(Field, String),
    /// Each value changed.
    Changed(Function, Box<Operand>),
    /// What each value, a JSON Web Token, has in it.
    Token(Unwrapping, Box<Operand>),
}

/// What is asked of the values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Equal(Value),
    Unequal(Value),
    Less(u32),
    Greater(u32),
    AtMost(u32),
    AtLeast(u32),
    Contains(String),
    Fits(Pattern),
    StartsWith(String),
    EndsWith(String),
    In(Vec<Value>),
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(u32),
    /// A network as it was written.
    Network(String, IpAddr, u8),
}

/// A pattern as it was written, and compiled.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) source: String,
    pub(super) regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// When something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// With the request's head.
    RequestHead,
    /// With the request's body.
    RequestBody,
    /// With the response's head.
    ResponseHead,
    /// With the response's body.
    ResponseBody,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Texts.
    List,
    /// Texts by name.
    Map,
    Number,
    Address,
}

/// What a condition may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Host,
    Headers,
    HeaderNames,
    HeaderValues,
    Cookies,
    CookieNames,
    CookieValues,
    QueryParams,
    QueryParamNames,
    QueryParamValues,
    BodyParams,
    BodyParamNames,
    BodyParamValues,
    Body,
    Method,
    Version,
    Scheme,
    Extension,
    Path,
    Ip,
    Country,
    Status,
    ContentType,
    ResponseBody,
    ResponseHeaders,
    ResponseHeaderNames,
    ResponseHeaderValues,
}

impl Field {
    /// Every field with its name, what it holds and when it is known.
    pub(super) const ALL: [(&'static str, Self, Kind, Moment); 27] = [
        ("req.host", Self::Host, Kind::Text, Moment::RequestHead),
        ("req.headers", Self::Headers, Kind::Map, Moment::RequestHead),
        ("req.header_names", Self::HeaderNames, Kind::List, Moment::RequestHead),
        ("req.header_values", Self::HeaderValues, Kind::List, Moment::RequestHead),
        ("req.cookies", Self::Cookies, Kind::Map, Moment::RequestHead),
        ("req.cookie_names", Self::CookieNames, Kind::List, Moment::RequestHead),
        ("req.cookie_values", Self::CookieValues, Kind::List, Moment::RequestHead),
        ("req.query_params", Self::QueryParams, Kind::Map, Moment::RequestHead),
        ("req.query_param_names", Self::QueryParamNames, Kind::List, Moment::RequestHead),
        ("req.query_param_values", Self::QueryParamValues, Kind::List, Moment::RequestHead),
        ("req.body_params", Self::BodyParams, Kind::Map, Moment::RequestBody),
        ("req.body_param_names", Self::BodyParamNames, Kind::List, Moment::RequestBody),
        ("req.body_param_values", Self::BodyParamValues, Kind::List, Moment::RequestBody),
        ("req.body", Self::Body, Kind::Text, Moment::RequestBody),
        ("req.http_method", Self::Method, Kind::Text, Moment::RequestHead),
        ("req.http_version", Self::Version, Kind::Text, Moment::RequestHead),
        ("req.http_scheme", Self::Scheme, Kind::Text, Moment::RequestHead),
        ("req.file_extension", Self::Extension, Kind::Text, Moment::RequestHead),
        ("req.path", Self::Path, Kind::Text, Moment::RequestHead),
        ("req.ip", Self::Ip, Kind::Address, Moment::RequestHead),
        ("req.country_code", Self::Country, Kind::Text, Moment::RequestHead),
        ("resp.status_code", Self::Status, Kind::Number, Moment::ResponseHead),
        ("resp.content_type", Self::ContentType, Kind::Text, Moment::ResponseHead),
        ("resp.body", Self::ResponseBody, Kind::Text, Moment::ResponseBody),
        ("resp.headers", Self::ResponseHeaders, Kind::Map, Moment::ResponseHead),
        ("resp.header_names", Self::ResponseHeaderNames, Kind::List, Moment::ResponseHead),
        ("resp.header_values", Self::ResponseHeaderValues, Kind::List, Moment::ResponseHead),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, ..)| *known == name).map(|&(_, field, ..)| field)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, field, ..)| *field == self).map_or("", |&(name, ..)| name)
    }

    pub(super) fn kind(self) -> Kind {
        Self::ALL.iter().find(|(_, field, ..)| *field == self).map_or(Kind::Text, |&(_, _, kind, _)| kind)
    }

    pub(super) fn moment(self) -> Moment {
        let found = Self::ALL.iter().find(|(_, field, ..)| *field == self);
        found.map_or(Moment::RequestHead, |&(.., moment)| moment)
    }

    /// True for what is equal in any case. Sources: RFC 9110, sections 4.2.3 and 5.1; ISO 3166 codes.
    pub(super) fn ignores_case(self) -> bool {
        use Field::{ContentType, Country, HeaderNames, Host, ResponseHeaderNames, Scheme};
        matches!(self, Host | HeaderNames | Scheme | Country | ContentType | ResponseHeaderNames)
    }
}

impl Operand {
    /// What it gives: a map's key gives a text.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Field(field) => field.kind(),
            Self::Selected(..) => Kind::Text,
            Self::Changed(_, inner) | Self::Token(_, inner) => inner.kind(),
        }
    }

    pub(super) fn ignores_case(&self) -> bool {
        matches!(self, Self::Field(field) if field.ignores_case())
    }

    fn field(&self) -> Field {
        match self {
            Self::Field(field) | Self::Selected(field, _) => *field,
            Self::Changed(_, inner) | Self::Token(_, inner) => inner.field(),
        }
    }
}

impl Tree {
    /// When all that it speaks of is known.
    pub(super) fn moment(&self) -> Moment {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().map(Self::moment).max().unwrap_or(Moment::RequestHead),
            Self::Not(part) => part.moment(),
            Self::Term(operand, _) | Self::Valid(operand) => operand.field().moment(),
        }
    }

    /// Printed as a part of something that binds as `All` does or closer.
    fn closed(&self) -> impl Display {
        let parted = matches!(self, Self::Any(_) | Self::All(_));
        fmt::from_fn(move |out| if parted { write!(out, "({self})") } else { write!(out, "{self}") })
    }
}

impl Display for Tree {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(parts) => join(out, parts, " or ", |part| match part {
                Self::All(_) => part.to_string(),
                _ => part.closed().to_string(),
            }),
            Self::All(parts) => join(out, parts, " and ", |part| part.closed().to_string()),
            Self::Not(part) => write!(out, "not {}", part.closed()),
            Self::Term(operand, test) => write!(out, "{operand} {test}"),
            Self::Valid(operand) => write!(out, "jwtValid({operand})"),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => out.write_str(field.name()),
            Self::Selected(field, key) => write!(out, "{}[{}]", field.name(), Quoted(key)),
            Self::Changed(function, inner) => write!(out, "{}({inner})", function.name()),
            Self::Token(unwrapping, inner) => match unwrapping.key() {
                Some(key) => write!(out, "{}({inner}, {})", unwrapping.name(), Quoted(key)),
                None => write!(out, "{}({inner})", unwrapping.name()),
            },
        }
    }
}

impl Display for Test {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(value) => write!(out, "= {value}"),
            Self::Unequal(value) => write!(out, "!= {value}"),
            Self::Less(number) => write!(out, "< {number}"),
            Self::Greater(number) => write!(out, "> {number}"),
            Self::AtMost(number) => write!(out, "<= {number}"),
            Self::AtLeast(number) => write!(out, ">= {number}"),
            Self::Contains(text) => write!(out, "contains {}", Quoted(text)),
            Self::Fits(pattern) => write!(out, "contains /{}/", pattern.source),
            Self::StartsWith(text) => write!(out, "startswith {}", Quoted(text)),
            Self::EndsWith(text) => write!(out, "endswith {}", Quoted(text)),
            Self::In(values) => {
                out.write_str("in (")?;
                join(out, values, ", ", Value::to_string)?;
                out.write_str(")")
            }
        }
    }
}

impl Display for Value {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Text(text) | Self::Network(text, ..) => write!(out, "{}", Quoted(text)),
        }
    }
}

/// A text in double quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str("\"")?;
        for letter in self.0.chars() {
            match letter {
                '"' => out.write_str("\\\"")?,
                '\\' => out.write_str("\\\\")?,
                '\n' => out.write_str("\\n")?,
                '\t' => out.write_str("\\t")?,
                '\r' => out.write_str("\\r")?,
                letter => write!(out, "{letter}")?,
            }
        }
        out.write_str("\"")
    }
}

fn join<T>(out: &mut Formatter<'_>, parts: &[T], between: &str, print: impl Fn(&T) -> String) -> fmt::Result {
    out.write_str(&parts.iter().map(print).collect::<Vec<_>>().join(between))
}
