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
    let text = String::from_utf8_lossy(body);
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.spec.name.as_str()).collect();
    let found = match xml(&text, &names) {
        Ok(found) => found,
        Err(problem) => return Some(Violation::of_body(&format!("the body is not read as XML: {problem}"), "", b"")),
    };
    parameters.iter().zip(found).find_map(|(parameter, texts)| {
        let values: Vec<&[u8]> = texts.iter().map(|text| text.trim().as_bytes()).collect();
        checked(parameter, &values)
    })
}

/// For each name the texts of the elements that it means: `/a/b` is a path from the top, `b` any element of that name.
/// Prefixes are dropped.
///
/// # Errors
/// In words: what is not well-formed, or nested too deep.
fn xml(text: &str, names: &[&str]) -> Result<Vec<Vec<String>>, String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut found = vec![Vec::new(); names.len()];
    // Open elements, and of the wanted ones where their text goes.
    let mut open: Vec<String> = Vec::new();
    let mut filled: Vec<Vec<(usize, usize)>> = Vec::new();
    loop {
        let piece = match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) if open.len() < DEEPEST => {
                open.push(start.local_name().as_ref().to_owned());
                let wanted = (0..names.len()).filter(|at| is_meant(names[*at], &open));
                let wanted: Vec<_> = wanted.map(|at| (at, found[at].len())).collect();
                wanted.iter().for_each(|(at, _)| found[*at].push(String::new()));
                filled.push(wanted);
                continue;
            }
            Event::Start(_) => return Err("it is nested too deep".to_owned()),
            Event::End(_) => {
                open.pop();
                filled.pop();
                continue;
            }
            Event::Text(text) => text.to_string(),
            Event::CData(text) => text.to_string(),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(letter)) => letter.to_string(),
                _ => quick_xml::escape::resolve_predefined_entity(&name)
                    .map_or_else(|| format!("&{};", &*name), str::to_owned),
            },
            Event::Eof if open.is_empty() => return Ok(found),
            Event::Eof => return Err("an element is not closed".to_owned()),
            _ => continue,
        };
        for (at, index) in filled.last().into_iter().flatten() {
            found[*at][*index].push_str(&piece);
        }
    }
}

/// Whether a name means the innermost of the open elements.
fn is_meant(name: &str, open: &[String]) -> bool {
    match name.strip_prefix('/') {
        Some(path) => path.split('/').eq(open.iter().map(String::as_str)),
        None => open.last().is_some_and(|last| last == name),
    }
}

fn checked(parameter: &Parameter, values: &[&[u8]]) -> Option<Violation> {
    parameter.check(values).err().map(|(problem, value)| wrong(parameter, &problem, &value))
}

fn wrong(parameter: &Parameter, problem: &str, value: &[u8]) -> Violation {
    Violation::of_parameter(ViolationKind::Body, parameter, problem, value)
}
