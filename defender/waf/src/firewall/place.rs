//! Where in a request a value stands, in the words of events.

use super::{
    Field,
    report::shortened,
    scrub::{Place, Scrubber},
};
use crate::{
    engine::{Finding, Matched},
    value::{Collection, Request},
};

/// Bytes of a value in an event.
const VALUE_LIMIT: usize = 256;

/// The place of a value that a rule matched, without its secrets.
pub(super) fn field(matched: &Matched, finding: Option<&Finding>, request: &Request, scrubber: &Scrubber) -> Field {
    let (place, kind) = named_place(matched, request);
    let key = match kind {
        // A name that matched is itself the attack: it is the value.
        _ if is_name(matched.collection) => String::new(),
        "JSONPath" => json_path(&matched.name),
        _ => String::from_utf8_lossy(&matched.name).into_owned(),
    };
    let value = match kind {
        // The whole target or body may hold secrets of all kinds: only what the rule found is told.
        "rawBody" | "request" | "response" => {
            let part = finding.and_then(|finding| matched_data(&finding.data)).unwrap_or_default();
            scrubber.raw(part.as_bytes())
        }
        _ => scrubber.value(place, &matched.name, &matched.value),
    };
    Field { place: kind.to_owned(), key: shortened(&key, VALUE_LIMIT), value: shortened(&value, VALUE_LIMIT) }
}

fn named_place(matched: &Matched, request: &Request) -> (Place, &'static str) {
    use Collection as C;
    let holds = |owner| request.of(owner).any(|value| value.name == matched.name);
    let argument = || match () {
        () if matched.name.starts_with(b"json") && holds(C::ArgsPost) => (Place::Body, "JSONPath"),
        () if holds(C::ArgsGet) => (Place::Query, "query"),
        () => (Place::Body, "body"),
    };
    match matched.collection {
        C::Args | C::ArgsNames | C::ArgsPost | C::ArgsPostNames => argument(),
        C::ArgsGet | C::ArgsGetNames => (Place::Query, "query"),
        C::RequestCookies | C::RequestCookiesNames => (Place::Cookie, "cookie"),
        C::RequestHeaders if matched.name.eq_ignore_ascii_case(b"user-agent") => (Place::Header, "UserAgentHeader"),
        C::RequestHeaders | C::RequestHeadersNames => (Place::Header, "header"),
        C::RequestFilename | C::RequestBasename => (Place::Other, "path"),
        C::Files | C::FilesNames | C::MultipartPartHeaders => (Place::Body, "body"),
        C::XmlText | C::XmlAttributes => (Place::Body, "XMLPath"),
        C::RequestBody => (Place::Body, "rawBody"),
        C::RequestMethod | C::RequestProtocol => (Place::Other, "method"),
        C::ResponseStatus
        | C::ResponseProtocol
        | C::ResponseHeaders
        | C::ResponseHeadersNames
        | C::ResponseContentType
        | C::ResponseContentLength
        | C::ResponseBody => (Place::Other, "response"),
        _ => (Place::Other, "request"),
    }
}

fn is_name(collection: Collection) -> bool {
    use Collection as C;
    matches!(
        collection,
        C::ArgsNames
            | C::ArgsGetNames
            | C::ArgsPostNames
            | C::RequestCookiesNames
            | C::RequestHeadersNames
            | C::FilesNames
    )
}

/// `json.items.0.id` as `/items/0/id`.
fn json_path(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.strip_prefix("json").unwrap_or(&name).replace('.', "/")
}

/// What a rule of the Core Rule Set found: its `logdata` is `Matched Data: … found within NAME: VALUE`.
fn matched_data(data: &str) -> Option<&str> {
    let found = data.strip_prefix("Matched Data: ")?;
    found.split_once(" found within ").map(|(part, _)| part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(collection: Collection, name: &str, value: &str) -> (String, String, String) {
        let mut request = Request::new();
        request.add(Collection::ArgsGet, b"id", b"'");
        request.add(Collection::ArgsPost, b"json.a.0", b"'");
        let matched = Matched { collection, name: name.into(), label: Vec::new(), value: value.as_bytes().to_vec() };
        let field = field(&matched, None, &request, &Scrubber::default());
        (field.place, field.key, field.value)
    }

    /// Places have the words of the vendor's events.
    #[test]
    fn places_have_the_words_of_events() {
        let is = |place: &str, key: &str, value: &str| (place.to_owned(), key.to_owned(), value.to_owned());
        assert_eq!(told(Collection::Args, "id", "'"), is("query", "id", "'"));
        assert_eq!(told(Collection::Args, "json.a.0", "'"), is("JSONPath", "/a/0", "'"));
        assert_eq!(told(Collection::Args, "note", "'"), is("body", "note", "'"));
        assert_eq!(told(Collection::RequestHeaders, "User-Agent", "x"), is("UserAgentHeader", "User-Agent", "x"));
        assert_eq!(told(Collection::RequestCookies, "sid", "7"), is("cookie", "sid", "****"));
        assert_eq!(told(Collection::RequestUriRaw, "", "/?password=x"), is("request", "", ""));
    }

    /// What a rule found is read from its log data.
    #[test]
    fn log_data_names_what_was_found() {
        assert_eq!(matched_data("Matched Data: 1' or found within ARGS:id: 1' or 1"), Some("1' or"));
        assert_eq!(matched_data("other"), None);
    }
}
