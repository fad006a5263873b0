//! What is told of a request: the event of `contract/audit.schema.json`, kind `request`.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{
    Effect, endpoint,
    network::Country,
    scrub::{Place, Scrubber},
};
use crate::http::Head;

/// Bytes of a request's header fields that are told.
const HEADERS_LIMIT: usize = 4096;
/// Bytes of any other text that are told.
const TEXT_LIMIT: usize = 1024;

/// Something to tell of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The policy's rule.
    pub rule: String,
    /// The application within it (`appID`).
    pub application: String,
    /// What was done.
    pub effect: Effect,
    /// The kind of attack, in the vendor's words: `sqli`, `xss`, `malformedRequest`, …
    pub attack: String,
    /// Which part of the policy: `firewall`, `accessControl`, `bot`, `dos`, `custom`, `api`.
    pub protection: &'static str,
    /// What was seen, for a human.
    pub message: String,
    /// Where.
    pub field: Field,
    /// The rules that matched.
    pub rules: Vec<u32>,
    /// The points that they made together.
    pub score: i64,
    /// The request, when the exchange has ended.
    pub request: Summary,
}

/// The place of an attack in a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Field {
    /// `queryValues`, `cookie`, `header`, `body`, `path`, `JSONPath`, …
    #[serde(rename = "type")]
    pub place: String,
    /// Its name there.
    pub key: String,
    /// Its value, scrubbed and shortened.
    pub value: String,
}

/// A request as it may be told: scrubbed and bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The number on the block page.
    pub event_id: String,
    /// The method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// The host.
    pub host: String,
    /// The header fields, one on each line.
    pub headers: String,
    /// Their names.
    pub header_names: Vec<String>,
    /// The response's header fields' names.
    pub response_header_names: Vec<String>,
    /// The response's status, if there was one.
    pub status: Option<u16>,
    /// The client's own name for itself.
    pub user_agent: String,
    /// The client's address.
    pub address: String,
    /// The addresses over which the request came, the connection's last.
    pub peers: Vec<String>,
    /// The country of the client's address.
    pub country: Option<String>,
}

/// Who a request came from, for a [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client.
    pub address: IpAddr,
    /// The addresses on the way, the connection's last.
    pub peers: Vec<IpAddr>,
    /// The client's country, when it is known.
    pub country: Option<Country>,
    /// Whether the connection is encrypted.
    pub secure: bool,
}

impl Report {
    /// The event as it travels, without `rule` and `effect`, which stand beside it in an audit.
    #[must_use]
    pub fn event(&self) -> Value {
        let mut event = json!({
            "kind": "request",
            "application": self.application,
            "type": self.attack,
            "protection": self.protection,
            "message": self.message,
            "field": self.field,
            "rules": self.rules,
            "score": self.score,
        });
        if let (Some(event), Ok(Value::Object(request))) = (event.as_object_mut(), serde_json::to_value(&self.request))
        {
            event.extend(request);
        }
        event
    }

    /// What matched, for the audit's `matched`.
    #[must_use]
    pub fn matched(&self) -> Option<&str> {
        Some(self.field.value.as_str()).filter(|value| !value.is_empty())
    }
}

impl Summary {
    /// A request as it may be told.
    #[must_use]
    pub fn new(head: &Head, origin: &Origin, scrubber: &Scrubber, id: &str) -> Self {
        let (path, query) = endpoint::split_target(head.target());
        let host = shortened(&String::from_utf8_lossy(endpoint::host(head)), TEXT_LIMIT);
        let path = shortened(&scrubber.value(Place::Other, b"", path), TEXT_LIMIT);
        let query = shortened(&scrubber.pairs(Place::Query, query, b'&'), TEXT_LIMIT);
        let scheme = if origin.secure { "https" } else { "http" };
        let mark = if query.is_empty() { "" } else { "?" };
        Self {
            event_id: id.to_owned(),
            method: shortened(&String::from_utf8_lossy(head.method()), 32),
            url: format!("{scheme}://{host}{path}{mark}{query}"),
            path,
            query,
            host,
            headers: headers(head, scrubber),
            header_names: names(head.headers().map(|header| header.name)),
            response_header_names: Vec::new(),
            status: None,
            user_agent: head
                .header("user-agent")
                .map(|value| scrubber.header(b"user-agent", value))
                .unwrap_or_default(),
            address: origin.address.to_string(),
            peers: origin.peers.iter().map(ToString::to_string).collect(),
            country: origin.country.map(|country| country.to_string()),
        }
    }
}

fn headers(head: &Head, scrubber: &Scrubber) -> String {
    let mut text = String::new();
    for header in head.headers() {
        let name = String::from_utf8_lossy(header.name);
        text.push_str(&format!("{name}: {}\r\n", scrubber.header(header.name, header.value)));
        if text.len() > HEADERS_LIMIT {
            break;
        }
    }
    shortened(&text, HEADERS_LIMIT)
}

/// Names, each once, at most a hundred.
pub(super) fn names<'n>(all: impl Iterator<Item = &'n [u8]>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in all {
        let name = shortened(&String::from_utf8_lossy(name), 128);
        if names.len() < 100 && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A text of at most so many bytes; a cut is marked.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit.saturating_sub('…'.len_utf8())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::read_head;

    fn summary(head: &str) -> Summary {
        let (head, _) = read_head(head.as_bytes()).unwrap().unwrap();
        let origin = Origin {
            address: "203.0.113.9".parse().unwrap(),
            peers: vec!["10.0.0.7".parse().unwrap()],
            country: None,
            secure: true,
        };
        Summary::new(&head, &origin, &Scrubber::default(), "77")
    }

    /// A request is told with what is needed to find it again, without its secrets.
    #[test]
    fn requests_are_told_without_secrets() {
        let told = summary(
            "GET /a?id=1&password=hush HTTP/1.1\r\nHost: shop.test\r\nCookie: sid=hush\r\nAuthorization: Bearer hush99\r\n\
             User-Agent: probe\r\n\r\n",
        );
        assert_eq!(told.url, "https://shop.test/a?id=1&password=****");
        assert_eq!(told.headers, "Host: shop.test\r\nCookie: sid=****\r\nAuthorization: ****\r\nUser-Agent: probe\r\n");
        assert_eq!(told.header_names, ["Host", "Cookie", "Authorization", "User-Agent"]);
        assert!(!serde_json::to_string(&told).unwrap().contains("hush"));
    }

    /// What is told of a request is bounded, and a cut is marked.
    #[test]
    fn what_is_told_is_bounded() {
        let long = "é".repeat(5000);
        let told = summary(&format!("GET /{0}?a={0} HTTP/1.1\r\nHost: a\r\nX-Long: {0}\r\n\r\n", "b".repeat(5000)));
        assert!(told.headers.len() <= HEADERS_LIMIT && told.headers.ends_with('…') && told.url.len() < 3000);
        assert!(shortened(&long, 100).len() <= 100 && shortened(&long, 0).len() <= 3);
    }
}
