//! Bodies held against what an operation says of them.

use quick_xml::{Reader, events::Event};

use super::{
    Operation, Violation, ViolationKind, json::Json, parameter::Parameter, spec::Location, validate::Mismatch,
};
use crate::{Collection, Request};

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Json,
    Xml,
    Form,
    Multipart,
    /// In a way that its content type does not say, or one that is not looked into.
    Other,
}

/// How deep XML may be nested.
const DEEPEST: usize = 128;

impl Written {
    /// Source: RFC 9110, section 8.3; RFC 6839 for `+json` and `+xml`.
    fn of(request: &Request) -> Self {
        let kind = request.first(Collection::RequestHeaders, b"content-type").unwrap_or_default();
        let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        match &essence[..] {
            b"application/x-www-form-urlencoded" => Self::Form,
            b"application/xml" | b"text/xml" => Self::Xml,
            b"application/json" | b"text/json" => Self::Json,
            other if other.starts_with(b"multipart/") => Self::Multipart,
            other if other.ends_with(b"+json") => Self::Json,
            other if other.ends_with(b"+xml") => Self::Xml,
            _ => Self::Other,
        }
    }

    fn takes(self, location: Location) -> bool {
        match location {
            Location::Body | Location::Json => self == Self::Json,
            Location::Xml => self == Self::Xml,
            Location::FormData => matches!(self, Self::Form | Self::Multipart),
            Location::Multipart => self == Self::Multipart,
            _ => false,
        }
    }
}

/// The first thing that is wrong with a whole body.
pub(super) fn judge(operation: &Operation, request: &Request, body: &[u8]) -> Option<Violation> {
    let parameters: Vec<&Parameter> =
        operation.parameters.iter().filter(|parameter| parameter.spec.location.is_body()).collect();
    if parameters.is_empty() {
        return None;
    }
    if body.is_empty() {
        return parameters.iter().find(|one| one.spec.required).map(|one| wrong(one, "is missing", b""));
    }
    if parameters.iter().any(|parameter| parameter.is_any_body()) {
        return None;
    }
    let mut written = Written::of(request);
    let json = parameters.iter().any(|one| Written::Json.takes(one.spec.location));
    // What is not said to be otherwise has to be what the operation takes: applications read it so.
    if written == Written::Other && json {
        written = Written::Json;
    }
    let taken: Vec<&Parameter> =
        parameters.into_iter().filter(|parameter| written.takes(parameter.spec.location)).collect();
    if taken.is_empty() {
        let kind = request.first(Collection::RequestHeaders, b"content-type").unwrap_or_default();
        return Some(Violation::of_body("the body is of a content type that the operation does not take", "", kind));
    }
    match written {
        Written::Json => judge_json(&taken, body),
        Written::Xml => judge_xml(&taken, body),
        Written::Form | Written::Multipart | Written::Other => taken.into_iter().find_map(|parameter| {
            let name = parameter.spec.name.as_bytes();
            let named = request.of(Collection::ArgsPost).filter(|value| value.name == name);
            let values: Vec<&[u8]> = named.map(|value| value.value).collect();
            let file = request.of(Collection::FilesNames).any(|value| value.value == name);
            if values.is_empty() && file { None } else { checked(parameter, &values) }
        }),
    }
}

fn judge_json(parameters: &[&Parameter], body: &[u8]) -> Option<Violation> {
    let document = match Json::parse(body) {
        Ok(document) => document,
        Err(error) => return Some(Violation::of_body(&format!("the body is not read as JSON: {error}"), "", b"")),
    };
    parameters.iter().find_map(|parameter| {
        let name = parameter.spec.name.as_str();
        let whole = parameter.spec.location == Location::Body || matches!(name, "" | "/");
        let found = if whole { Some(&document) } else { at(&document, name) };
        let (base, outcome) = match found {
            None if parameter.spec.required => return Some(wrong(parameter, "is missing", b"")),
            None => return None,
            Some(value) if whole => (String::new(), parameter.check_typed(value)),
            Some(value) => (format!("/{}", name.trim_start_matches('/')), parameter.check_typed(value)),
        };
        outcome.err().map(|Mismatch { place, problem }| {
            let place = format!("{base}{place}");
            let shown = if place.is_empty() { "the body" } else { &place };
            Violation::of_body(&format!("`{shown}` is not as it should be: {problem}"), &place, b"")
        })
    })
}

/// The value at a path of names (`/user/name`), or of a name at the top.
fn at<'j>(document: &'j Json, path: &str) -> Option<&'j Json> {
    let Some(path) = path.strip_prefix('/') else { return document.member(path) };
    path.split('/').try_fold(document, |value, name| match value {
        Json::Array(items) => items.get(name.parse::<usize>().ok()?),
        value => value.member(name),
    })
}

fn judge_xml(parameters: &[&Parameter], body: &[u8]) -> Option<Violation> {
    let leaves = match xml(body) {
        Ok(leaves) => leaves,
        Err(problem) => return Some(Violation::of_body(&format!("the body is not read as XML: {problem}"), "", b"")),
    };
    parameters.iter().find_map(|parameter| {
        let name = parameter.spec.name.as_str();
        let named = |path: &String| match name.strip_prefix('/') {
            Some(_) => path == name,
            None => path.rsplit('/').next() == Some(name),
        };
        let values: Vec<&[u8]> =
            leaves.iter().filter(|(path, _)| named(path)).map(|(_, value)| value.trim_ascii()).collect();
        checked(parameter, &values)
    })
}

/// Every element with its path and the text directly in it; prefixes are dropped.
fn xml(body: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut reader = Reader::from_reader(body);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<usize> = Vec::new();
    let mut elements: Vec<(String, Vec<u8>)> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                if open.len() == DEEPEST {
                    return Err("it is nested too deep".to_owned());
                }
                let name = String::from_utf8_lossy(start.local_name().into_inner()).into_owned();
                let above = open.last().map_or("", |at| elements[*at].0.as_str());
                // Paths are told for as long as anybody names one.
                let path = if above.len() > 4096 { name } else { format!("{above}/{name}") };
                open.push(elements.len());
                elements.push((path, Vec::new()));
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Text(text) => add(&open, &mut elements, &text),
            Event::CData(text) => add(&open, &mut elements, &text),
            Event::Eof if open.is_empty() => return Ok(elements),
            Event::Eof => return Err("an element is not closed".to_owned()),
            _ => {}
        }
    }
}

fn add(open: &[usize], elements: &mut [(String, Vec<u8>)], text: &[u8]) {
    if let Some(at) = open.last() {
        elements[*at].1.extend_from_slice(text);
    }
}

fn checked(parameter: &Parameter, values: &[&[u8]]) -> Option<Violation> {
    parameter.check(values).err().map(|(problem, value)| wrong(parameter, &problem, &value))
}

fn wrong(parameter: &Parameter, problem: &str, value: &[u8]) -> Violation {
    Violation::of_parameter(ViolationKind::Body, parameter, problem, value)
}
