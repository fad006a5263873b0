//! Exceptions: places of a request in which a group of rules is to find nothing.
//!
//! Whether a rule would have matched without the excepted values is not guessed: the request is judged once more without them,
//! and what is found both times counts. That happens only for requests with a finding and an excepted value, and it is exact for
//! chained rules and for rules that look at the raw query or body.

use super::{PolicyError, pattern, pattern::Expression, reading::At};
use crate::{
    http::percent_decoded,
    value::{Collection, Request, Value},
};

/// A place in which nothing is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    place: Place,
    /// Matches the whole name; any when there is none.
    key: Option<Expression>,
    /// Matches the whole value, as far as it is decoded; any when there is none.
    value: Option<Expression>,
}

/// Where (`location`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    Path,
    Query,
    QueryValues,
    Cookie,
    UserAgent,
    Header,
    Body,
    RawBody,
    Xml,
    Json,
}

/// Every place with its name in a policy.
const PLACES: [(&str, Place); 10] = [
    ("path", Place::Path),
    ("query", Place::Query),
    ("queryValues", Place::QueryValues),
    ("cookie", Place::Cookie),
    ("UserAgentHeader", Place::UserAgent),
    ("header", Place::Header),
    ("body", Place::Body),
    ("rawBody", Place::RawBody),
    ("XMLPath", Place::Xml),
    ("JSONPath", Place::Json),
];

impl Exception {
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let place = at.field("location")?.choice(&PLACES, Place::Anywhere)?;
        let key = at.field("key")?;
        if matches!(place, Place::Xml | Place::Json) {
            match key.text()? {
                "/" => return Err(key.wrong("is the whole document; name a path within it, such as `/order/note`")),
                path if !path.starts_with('/') => {
                    return Err(key.wrong("has to be a path from the document's root, such as `/order/note`"));
                }
                _ => {}
            }
        }
        let any_case = matches!(place, Place::Header | Place::Anywhere);
        let compile = if any_case { Expression::whole_any_case } else { Expression::whole };
        let exception = Self {
            place,
            key: pattern::expression(&key, compile)?,
            value: pattern::expression(&at.field("value")?, Expression::whole)?,
        };
        match (&exception.key, &exception.value) {
            (None, None) => Err(at.wrong("names neither a `key` nor a `value`, and would except everything")),
            _ => Ok(exception),
        }
    }

    /// Whether an owned value of a request lies in this place.
    fn covers(&self, value: &Value<'_>) -> bool {
        let named = |name: &[u8]| self.key.as_ref().is_none_or(|key| key.matches(name));
        let valued = |text: &[u8]| self.value.as_ref().is_none_or(|expected| expected.matches(text));
        match (self.place, value.collection) {
            (Place::Query, Collection::ArgsGet)
            | (Place::Cookie, Collection::RequestCookies)
            | (Place::Header, Collection::RequestHeaders)
            | (Place::Body, Collection::ArgsPost | Collection::Files | Collection::MultipartPartHeaders)
            | (
                Place::Anywhere,
                Collection::ArgsGet
                | Collection::ArgsPost
                | Collection::RequestCookies
                | Collection::RequestHeaders
                | Collection::Files
                | Collection::MultipartPartHeaders,
            ) => named(value.name) && valued(value.value),
            (Place::Json, Collection::ArgsPost) => {
                json_paths(value.name).is_some_and(|[full, plain]| named(&full) || named(&plain)) && valued(value.value)
            }
            (Place::Xml, Collection::XmlText | Collection::XmlAttributes) => {
                self.names_element(value.name) && valued(value.value)
            }
            // These have no names: either pattern is meant for the value.
            (Place::QueryValues, Collection::ArgsGet)
            | (Place::Path, Collection::RequestFilename)
            | (Place::RawBody, Collection::RequestBody) => named(value.value) && valued(value.value),
            (Place::UserAgent, Collection::RequestHeaders) => {
                value.name.eq_ignore_ascii_case(b"user-agent") && named(value.value) && valued(value.value)
            }
            _ => false,
        }
    }

    /// Whether the path of a text or attribute is meant; where its name is that of its element alone, that counts.
    fn names_element(&self, name: &[u8]) -> bool {
        let Some(key) = &self.key else { return true };
        if name.contains(&b'/') {
            return key.matches(name);
        }
        let last = key.source().rsplit('/').next().unwrap_or_default();
        Expression::whole(last).is_ok_and(|last| last.matches(name))
    }
}

/// `json.items.0.id` as `/items/0/id` and, without the indexes of lists, as `/items/id`.
fn json_paths(name: &[u8]) -> Option<[Vec<u8>; 2]> {
    let path = name.strip_prefix(b"json.")?;
    let mut paths = [Vec::new(), Vec::new()];
    for step in path.split(|byte| *byte == b'.') {
        paths[0].push(b'/');
        paths[0].extend_from_slice(step);
        if !step.iter().all(u8::is_ascii_digit) {
            paths[1].push(b'/');
            paths[1].extend_from_slice(step);
        }
    }
    Some(paths)
}

/// Whether the exceptions cover any of a request's values.
#[must_use]
pub fn cover(request: &Request, exceptions: &[Exception]) -> bool {
    !exceptions.is_empty() && request.owned().any(|value| exceptions.iter().any(|exception| exception.covers(&value)))
}

/// The request without the values that the exceptions cover; none when they cover nothing of it.
#[must_use]
pub fn without(request: &Request, exceptions: &[Exception]) -> Option<Request> {
    let covered = |value: &Value<'_>| exceptions.iter().any(|exception| exception.covers(value));
    if !cover(request, exceptions) {
        return None;
    }
    let removed: Vec<Value<'_>> = request.owned().filter(|value| covered(value)).collect();
    let mut left = Request::new();
    for value in request.owned().filter(|value| !covered(value)) {
        match raw(&value, &removed) {
            Some(text) => left.add(value.collection, value.name, &text),
            None => left.add(value.collection, value.name, value.value),
        }
    }
    if removed.iter().any(|value| value.collection == Collection::RequestFilename) {
        left.set(Collection::RequestFilename, b"/");
        left.set(Collection::RequestBasename, b"");
    }
    Some(left)
}

/// A value that holds others, such as the query, without those that are removed.
fn raw(value: &Value<'_>, removed: &[Value<'_>]) -> Option<Vec<u8>> {
    let is = |collection| removed.iter().any(|gone| gone.collection == collection);
    match value.collection {
        Collection::RequestUri | Collection::RequestUriRaw | Collection::RequestLine
            if is(Collection::ArgsGet) || is(Collection::RequestFilename) =>
        {
            let path_removed = is(Collection::RequestFilename);
            Some(without_arguments_of_uri(value, removed, path_removed))
        }
        Collection::QueryString if is(Collection::ArgsGet) => {
            Some(without_pairs(value.value, b'&', Collection::ArgsGet, removed))
        }
        Collection::RequestBody if is(Collection::ArgsPost) => Some(without_fields(value.value, removed)),
        Collection::RequestHeaders if is(Collection::RequestCookies) && value.name.eq_ignore_ascii_case(b"cookie") => {
            Some(without_pairs(value.value, b';', Collection::RequestCookies, removed))
        }
        _ => None,
    }
}

/// A target, or a request line with one, without its removed arguments and its path.
fn without_arguments_of_uri(value: &Value<'_>, removed: &[Value<'_>], path_removed: bool) -> Vec<u8> {
    let mut left = Vec::new();
    for (index, word) in value.value.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            left.push(b' ');
        }
        let is_target = index == 1 || value.collection != Collection::RequestLine;
        let mark = memchr::memchr(b'?', word).unwrap_or(word.len());
        let path = if is_target && path_removed { &b"/"[..] } else { &word[..mark] };
        left.extend_from_slice(path);
        if let Some(query) = word.get(mark + 1..) {
            left.push(b'?');
            left.extend_from_slice(&without_pairs(query, b'&', Collection::ArgsGet, removed));
        }
    }
    left
}

/// Pairs `name=value` without those that are removed.
fn without_pairs(text: &[u8], separator: u8, collection: Collection, removed: &[Value<'_>]) -> Vec<u8> {
    let kept = text.split(|byte| *byte == separator).filter(|pair| {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = (&pair[..equals], pair.get(equals + 1..).unwrap_or_default());
        let is = |name: &[u8], value: &[u8]| {
            removed.iter().any(|gone| gone.collection == collection && gone.name == name && gone.value == value)
        };
        let is_gone = match collection {
            Collection::RequestCookies => is(name.trim_ascii(), value.trim_ascii()),
            _ => is(&percent_decoded(name), &percent_decoded(value)),
        };
        !is_gone
    });
    kept.collect::<Vec<_>>().join(&separator)
}

/// A body without the removed fields: pairs of a form, or whole strings of JSON. A shorter piece is never taken out, or the
/// sender of an excepted field could cut holes into the others.
fn without_fields(body: &[u8], removed: &[Value<'_>]) -> Vec<u8> {
    if !removed.iter().any(|gone| gone.name.starts_with(b"json")) {
        return without_pairs(body, b'&', Collection::ArgsPost, removed);
    }
    let mut left = body.to_vec();
    for gone in removed.iter().filter(|gone| gone.collection == Collection::ArgsPost && !gone.value.is_empty()) {
        let quoted = [&b"\""[..], gone.value, b"\""].concat();
        if let Some(start) = memchr::memmem::find(&left, &quoted) {
            left.drain(start + 1..start + 1 + gone.value.len());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exception(value: &serde_json::Value) -> Result<Exception, PolicyError> {
        Exception::read(&At::root(value))
    }

    fn request() -> Request {
        let mut request = Request::new();
        request.set(Collection::RequestLine, b"GET /a/b?id=%27x&n=1 HTTP/1.1");
        request.set(Collection::RequestUri, b"/a/b?id=%27x&n=1");
        request.set(Collection::RequestFilename, b"/a/b");
        request.set(Collection::QueryString, b"id=%27x&n=1");
        request.add(Collection::ArgsGet, b"id", b"'x");
        request.add(Collection::ArgsGet, b"n", b"1");
        request.add(Collection::RequestHeaders, b"Cookie", b"sid=7; theme='x");
        request.add(Collection::RequestCookies, b"sid", b"7");
        request.add(Collection::RequestCookies, b"theme", b"'x");
        request.add(Collection::RequestHeaders, b"X-Note", b"'x");
        request.add(Collection::RequestHeaders, b"User-Agent", b"probe/1");
        request.set(Collection::RequestBody, br#"{"items":[{"note":"'x"}]}"#);
        request.add(Collection::ArgsPost, b"json.items.0.note", b"'x");
        request
    }

    fn left(value: &serde_json::Value) -> Request {
        without(&request(), &[exception(value).unwrap()]).unwrap()
    }

    /// Excepted arguments vanish from all that holds them: the query, the target, the request line.
    #[test]
    fn arguments_vanish_everywhere() {
        let left = left(&json!({"location": "query", "key": "id"}));
        assert_eq!(left.first(Collection::ArgsGet, b"id"), None);
        assert_eq!(left.first(Collection::QueryString, b""), Some(&b"n=1"[..]));
        assert_eq!(left.first(Collection::RequestUri, b""), Some(&b"/a/b?n=1"[..]));
        assert_eq!(left.first(Collection::RequestLine, b""), Some(&b"GET /a/b?n=1 HTTP/1.1"[..]));
        assert_eq!(left.first(Collection::RequestCookies, b"theme"), Some(&b"'x"[..]));
    }

    /// Each place covers its own values only.
    #[test]
    fn places_cover_their_values() {
        let cookie = left(&json!({"location": "cookie", "key": "theme"}));
        assert_eq!(cookie.first(Collection::RequestHeaders, b"cookie"), Some(&b"sid=7"[..]));
        let header = left(&json!({"location": "header", "key": "x-note"}));
        assert_eq!(header.first(Collection::RequestHeaders, b"x-note"), None);
        let json = left(&json!({"location": "JSONPath", "key": "/items/note"}));
        assert_eq!(json.first(Collection::RequestBody, b""), Some(&br#"{"items":[{"note":""}]}"#[..]));
        let path = left(&json!({"location": "path", "key": "/a/.*"}));
        assert_eq!(path.first(Collection::RequestUri, b""), Some(&b"/?id=%27x&n=1"[..]));
        assert!(left(&json!({"location": "queryValues", "value": "'x"})).first(Collection::ArgsGet, b"id").is_none());
        let agent = left(&json!({"location": "UserAgentHeader", "value": "probe/[0-9]"}));
        assert_eq!(agent.first(Collection::RequestHeaders, b"user-agent"), None);
    }

    /// A name or value has to match as a whole, and both where both are given.
    #[test]
    fn a_part_of_a_name_is_no_exception() {
        let covers = |value: serde_json::Value| without(&request(), &[exception(&value).unwrap()]).is_some();
        assert!(!covers(json!({"location": "query", "key": "i"})));
        assert!(!covers(json!({"location": "query", "key": "id", "value": "x"})));
        assert!(covers(json!({"location": "query", "key": "id", "value": ".x"})));
        assert!(!covers(json!({"location": "body", "key": "id"})));
    }

    /// What would except everything is refused, with its place.
    #[test]
    fn exceptions_of_everything_are_refused() {
        let error = |value| exception(&value).unwrap_err().to_string();
        assert!(error(json!({"location": "JSONPath", "key": "/"})).starts_with("`key` is the whole document"));
        assert!(error(json!({"location": "XMLPath", "key": "a/b"})).contains("from the document's root"));
        assert!(error(json!({"location": "query"})).contains("would except everything"));
        assert!(error(json!({"location": "nowhere", "key": "a"})).contains("`location` is `nowhere`"));
        assert!(error(json!({"location": "query", "key": "("})).contains("no regular expression"));
    }
}
