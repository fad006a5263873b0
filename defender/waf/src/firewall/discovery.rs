//! API discovery: which endpoints an application has, learnt from requests that it answered.
//!
//! What is kept is bounded: [`MOST_ENDPOINTS`] endpoints and [`MOST_PARAMETERS`] names in all. Values are never kept, only
//! what kind they are. [`Discovery::take`] gives what was learnt since it was last taken, for a report.

mod path;
mod shape;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::LazyLock,
};

use serde::Serialize;

pub use self::shape::Shape;
use self::shape::{Budget, Words};
use super::api::json::Json;
use crate::{Collection, Request};

/// How many endpoints are kept.
pub const MOST_ENDPOINTS: usize = 1_000;
/// How many names of query parameters and of members of bodies are kept, of all endpoints together.
pub const MOST_PARAMETERS: usize = 20_000;
/// How many different segments may follow a path before they are held for values.
const MOST_SIBLINGS: usize = 50;
/// Segments that a path may have to be kept.
const MOST_SEGMENTS: usize = 16;
/// Bytes that a path or a name may have to be kept.
const MOST_NAME: usize = 512;
/// Bodies of an endpoint that are all looked at; of the others each one of so many, since reading one costs more than all else.
const FIRST_BODIES: u64 = 64;
/// Bytes of a body that is looked at.
pub(super) const MOST_BODY: usize = 64 << 10;

/// What was learnt of an application.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    endpoints: HashMap<(String, String), Endpoint>,
    /// Paths that are followed by values.
    wide: HashSet<String>,
    budget: Budget,
    dropped: u64,
}

/// A request that was answered, with its answer.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// What the head tells, and the body if it was read.
    pub request: &'a Request,
    /// The whole body, without its content coding; none when it was not held as a whole.
    pub body: Option<&'a [u8]>,
    /// The response's status.
    pub status: u16,
    /// Whether the client spoke TLS.
    pub secure: bool,
    /// Whether a rule for sensitive data matched; what is sensitive by its name is seen here as well.
    pub sensitive: bool,
    /// Milliseconds since 1970.
    pub now: u64,
}

/// An endpoint.
#[allow(clippy::struct_excessive_bools)] // flags that a report has
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The path, `{id}` for what differs.
    pub path: String,
    /// The method.
    pub method: String,
    /// Requests since it was last told of.
    pub hits: u64,
    /// When the first and the last request came, in milliseconds since 1970.
    pub first_seen: u64,
    /// See `first_seen`.
    pub last_seen: u64,
    /// How often each status was answered since it was last told of.
    pub statuses: BTreeMap<u16, u64>,
    /// Query parameters, as the properties of an object.
    #[serde(skip_serializing_if = "Shape::is_nothing")]
    pub query: Shape,
    /// JSON bodies, as a JSON Schema.
    #[serde(skip_serializing_if = "Shape::is_nothing")]
    pub body: Shape,
    /// Whether passwords, tokens, card numbers and the like were seen.
    pub sensitive: bool,
    /// Whether it was answered to somebody who gave nothing to be known by.
    pub unauthenticated: bool,
    /// Whether it was asked for without TLS.
    pub unencrypted: bool,
    /// Bodies that came so far.
    #[serde(skip)]
    bodies: u64,
}

/// What was learnt since it was last asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Learnt {
    /// Endpoints with requests, by path and method, each with all that is known of it.
    pub endpoints: Vec<Endpoint>,
    /// All paths known so far that values follow: endpoints told of before whose paths go on from one of these are one now.
    pub wide: Vec<String>,
    /// Requests to endpoints for which there was no room.
    pub dropped: u64,
}

impl Discovery {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns from a request, if it is one to an API: answered without an error, to a path without an extension, of a content
    /// type of text or applications, or none.
    pub fn observe(&mut self, seen: &Observation<'_>) {
        let Some((method, path)) = asked(seen) else { return };
        let path = path::general(&path, &self.wide);
        if path.len() > MOST_NAME || path.matches('/').count() > MOST_SEGMENTS {
            self.dropped += 1;
            return;
        }
        let key = (path, method);
        if let Some(endpoint) = self.endpoints.get_mut(&key) {
            return endpoint.learn(seen, &mut self.budget);
        }
        if self.endpoints.len() >= MOST_ENDPOINTS {
            self.dropped += 1;
            return;
        }
        let mut endpoint = Endpoint::new(&key, seen.now);
        endpoint.learn(seen, &mut self.budget);
        self.endpoints.insert(key.clone(), endpoint);
        if self.wide.len() < MOST_ENDPOINTS {
            self.widen(&key.0);
        }
    }

    /// What was learnt since this was last called; hits and statuses begin anew.
    pub fn take(&mut self) -> Learnt {
        let mut endpoints: Vec<Endpoint> = self.endpoints.values().filter(|one| one.hits > 0).cloned().collect();
        endpoints.sort_by(|one, other| (&one.path, &one.method).cmp(&(&other.path, &other.method)));
        for endpoint in self.endpoints.values_mut() {
            endpoint.hits = 0;
            endpoint.statuses.clear();
        }
        let mut wide: Vec<String> = self.wide.iter().cloned().collect();
        wide.sort();
        Learnt { endpoints, wide, dropped: std::mem::take(&mut self.dropped) }
    }

    /// How many endpoints are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// True while nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Holds what follows a part of this path for values, when too many different segments do.
    fn widen(&mut self, path: &str) {
        let crowded = path::ancestors(path).find(|ancestor| {
            let followers: HashSet<&str> =
                self.endpoints.keys().filter_map(|(known, _)| path::follower(known, ancestor)).collect();
            followers.len() > MOST_SIBLINGS
        });
        let Some(crowded) = crowded.map(str::to_owned) else { return };
        self.wide.insert(crowded.clone());
        let below = self.endpoints.keys().filter(|(known, _)| path::follower(known, &crowded).is_some());
        let below: Vec<_> = below.cloned().collect();
        for key in below {
            let Some(endpoint) = self.endpoints.remove(&key) else { continue };
            let renamed = (path::general(&key.0, &self.wide), key.1.clone());
            match self.endpoints.get_mut(&renamed) {
                Some(known) => known.merge(endpoint, &mut self.budget),
                None => {
                    self.endpoints.insert(renamed.clone(), Endpoint { path: renamed.0, ..endpoint });
                }
            }
        }
    }
}

impl Endpoint {
    fn new((path, method): &(String, String), now: u64) -> Self {
        Self {
            path: path.clone(),
            method: method.clone(),
            hits: 0,
            first_seen: now,
            last_seen: now,
            statuses: BTreeMap::new(),
            query: Shape::default(),
            body: Shape::default(),
            sensitive: false,
            unauthenticated: false,
            unencrypted: false,
            bodies: 0,
        }
    }

    fn learn(&mut self, seen: &Observation<'_>, budget: &mut Budget) {
        self.hits += 1;
        self.last_seen = self.last_seen.max(seen.now);
        *self.statuses.entry(seen.status).or_default() += 1;
        self.unencrypted |= !seen.secure;
        self.unauthenticated = self.unauthenticated || !is_authenticated(seen.request);
        self.sensitive |= seen.sensitive;
        for value in seen.request.of(Collection::ArgsGet) {
            let name = String::from_utf8_lossy(value.name);
            self.sensitive = self.sensitive || shape::is_sensitive(&name, value.value);
            self.query.learn_text(&name, value.value, budget);
        }
        if let Some(body) = seen.body.filter(|body| !body.is_empty() && is_json(seen.request))
            && self.is_due()
            && let Ok(body) = Json::parse(body)
        {
            self.sensitive |= self.body.learn(&body, budget);
        }
    }

    /// Whether the next body is one that is looked at.
    fn is_due(&mut self) -> bool {
        self.bodies += 1;
        self.bodies <= FIRST_BODIES || self.bodies.is_multiple_of(FIRST_BODIES)
    }

    fn merge(&mut self, other: Self, budget: &mut Budget) {
        self.hits += other.hits;
        self.bodies += other.bodies;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.query.merge(other.query, budget);
        self.body.merge(other.body, budget);
        self.sensitive |= other.sensitive;
        self.unauthenticated |= other.unauthenticated;
        self.unencrypted |= other.unencrypted;
    }
}

/// Method and path of a request to an API; none for all else.
fn asked(seen: &Observation<'_>) -> Option<(String, String)> {
    const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
    if !(200..400).contains(&seen.status) {
        return None;
    }
    let kind = seen.request.first(Collection::RequestHeaders, b"content-type").unwrap_or_default().to_ascii_lowercase();
    if !(kind.is_empty() || kind.starts_with(b"text/") || kind.starts_with(b"application/")) {
        return None;
    }
    let base = seen.request.first(Collection::RequestBasename, b"").unwrap_or_default();
    let extension = memchr::memrchr(b'.', base).map(|dot| &base[dot + 1..]);
    // Versions such as `v1.2` are no extensions.
    if extension.is_some_and(|extension| extension.iter().any(u8::is_ascii_alphabetic)) {
        return None;
    }
    let method = seen.request.first(Collection::RequestMethod, b"")?;
    let method = METHODS.iter().find(|known| known.as_bytes() == method)?;
    let path = seen.request.first(Collection::RequestFilename, b"")?;
    let path =
        std::str::from_utf8(path).ok().filter(|path| path.starts_with('/') && !path.contains(char::is_control))?;
    Some(((*method).to_owned(), path.to_owned()))
}

/// Whether a request gives something to be known by: a header or a cookie whose name says so.
fn is_authenticated(request: &Request) -> bool {
    const HEADERS: [&[u8]; 8] = [
        b"authorization",
        b"proxy-authorization",
        b"x-api-key",
        b"api-key",
        b"x-auth-token",
        b"x-access-token",
        b"x-amz-security-token",
        b"x-forwarded-client-cert",
    ];
    const COOKIES: [&str; 6] = ["session", "sid", "auth", "token", "jwt", "login"];
    static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(&COOKIES));
    let header = request.of(Collection::RequestHeaders);
    let mut header = header.filter(|value| !value.value.is_empty());
    let mut cookies = request.of(Collection::RequestCookies).filter(|cookie| !cookie.name.starts_with(b"bartizan_"));
    header.any(|value| HEADERS.iter().any(|known| value.name.eq_ignore_ascii_case(known)))
        || cookies.any(|cookie| WORDS.are_in(cookie.name))
}

pub(super) fn is_json(request: &Request) -> bool {
    let kind = request.first(Collection::RequestHeaders, b"content-type").unwrap_or_default().to_ascii_lowercase();
    memchr::memmem::find(&kind, b"json").is_some()
}
