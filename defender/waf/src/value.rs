//! What the rules look at: a request and a response as named values.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where a value comes from; `SecLang` calls it a variable. Source: `ModSecurity` reference manual v3, "Variables".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Collection {
    /// `ARGS`: query and body arguments.
    Args,
    /// `ARGS_GET`.
    ArgsGet,
    /// `ARGS_POST`.
    ArgsPost,
    /// `ARGS_NAMES`; a value is the name itself.
    ArgsNames,
    /// `ARGS_GET_NAMES`.
    ArgsGetNames,
    /// `ARGS_POST_NAMES`.
    ArgsPostNames,
    /// `ARGS_COMBINED_SIZE`: bytes of all names and values.
    ArgsCombinedSize,
    /// `REQUEST_HEADERS`.
    RequestHeaders,
    /// `REQUEST_HEADERS_NAMES`.
    RequestHeadersNames,
    /// `REQUEST_COOKIES`.
    RequestCookies,
    /// `REQUEST_COOKIES_NAMES`.
    RequestCookiesNames,
    /// `REQUEST_LINE`: method, target and protocol as they came.
    RequestLine,
    /// `REQUEST_METHOD`.
    RequestMethod,
    /// `REQUEST_PROTOCOL`.
    RequestProtocol,
    /// `REQUEST_URI`: path and query, not decoded, without scheme and host.
    RequestUri,
    /// `REQUEST_URI_RAW`: the target as it came.
    RequestUriRaw,
    /// `REQUEST_FILENAME`: the path, decoded once.
    RequestFilename,
    /// `REQUEST_BASENAME`: the path after its last slash.
    RequestBasename,
    /// `QUERY_STRING`, not decoded.
    QueryString,
    /// `REQUEST_BODY`: the raw body of forms and of JSON, and of all else when forced.
    RequestBody,
    /// `REQUEST_BODY_LENGTH`.
    RequestBodyLength,
    /// `REQBODY_PROCESSOR`: `URLENCODED`, `MULTIPART`, `JSON`, `XML` or empty.
    ReqbodyProcessor,
    /// `REQBODY_ERROR`: 1 when the body could not be parsed.
    ReqbodyError,
    /// `REQBODY_ERROR_MSG`.
    ReqbodyErrorMsg,
    /// `REQBODY_PROCESSOR_ERROR`: as `REQBODY_ERROR`.
    ReqbodyProcessorError,
    /// `INBOUND_DATA_ERROR`: 1 when the body was longer than what is inspected.
    InboundDataError,
    /// `REQBODY_NOTES`: what is odd about the body without being wrong, named by kind: `charset`, `coding`, `mismatch`, …
    /// Ours, not `ModSecurity`'s; see [`crate::inspection`].
    ReqbodyNotes,
    /// `MULTIPART_STRICT_ERROR`: 1 when a multipart body has any oddity.
    MultipartStrictError,
    /// `MULTIPART_UNMATCHED_BOUNDARY`.
    MultipartUnmatchedBoundary,
    /// `MULTIPART_PART_HEADERS`: one value a header line, named by the part's name.
    MultipartPartHeaders,
    /// `FILES`: file names as the client gave them, named by the field.
    Files,
    /// `FILES_NAMES`: names of the fields.
    FilesNames,
    /// `FILES_COMBINED_SIZE`.
    FilesCombinedSize,
    /// `FILES_SIZES`.
    FilesSizes,
    /// `XML:/*`: the document's text. Attributes are [`Collection::XmlAttributes`].
    XmlText,
    /// `XML://@*`: the attributes' values.
    XmlAttributes,
    /// `REMOTE_ADDR`.
    RemoteAddr,
    /// `UNIQUE_ID`.
    UniqueId,
    /// `RESPONSE_STATUS`.
    ResponseStatus,
    /// `RESPONSE_PROTOCOL`.
    ResponseProtocol,
    /// `RESPONSE_HEADERS`.
    ResponseHeaders,
    /// `RESPONSE_HEADERS_NAMES`.
    ResponseHeadersNames,
    /// `RESPONSE_CONTENT_TYPE`.
    ResponseContentType,
    /// `RESPONSE_CONTENT_LENGTH`.
    ResponseContentLength,
    /// `RESPONSE_BODY`.
    ResponseBody,
    /// `OUTBOUND_DATA_ERROR`.
    OutboundDataError,
    /// `MATCHED_VAR`: the last value that matched, transformed.
    MatchedVar,
    /// `MATCHED_VAR_NAME`: its name, such as `ARGS:id`.
    MatchedVarName,
    /// `MATCHED_VARS`: all values that the last rule matched.
    MatchedVars,
    /// `MATCHED_VARS_NAMES`.
    MatchedVarsNames,
    /// `TX`: what rules keep for one another.
    Tx,
    /// `DURATION`, `TIME…`, `ENV`, `GEO`, `RULE`, `IP`, `SESSION`, `USER`, `GLOBAL`, `RESOURCE` and others that the Core Rule
    /// Set does not use while its persistent collections are off: always empty.
    Absent,
}

/// How many collections there are; [`Collection::Absent`] is the last.
pub(crate) const COLLECTIONS: usize = Collection::Absent as usize + 1;

/// Every collection with its name in `SecLang`. `XML` alone is the text.
const NAMES: [(&str, Collection); 52] = [
    ("ARGS", Collection::Args),
    ("ARGS_GET", Collection::ArgsGet),
    ("ARGS_POST", Collection::ArgsPost),
    ("ARGS_NAMES", Collection::ArgsNames),
    ("ARGS_GET_NAMES", Collection::ArgsGetNames),
    ("ARGS_POST_NAMES", Collection::ArgsPostNames),
    ("ARGS_COMBINED_SIZE", Collection::ArgsCombinedSize),
    ("REQUEST_HEADERS", Collection::RequestHeaders),
    ("REQUEST_HEADERS_NAMES", Collection::RequestHeadersNames),
    ("REQUEST_COOKIES", Collection::RequestCookies),
    ("REQUEST_COOKIES_NAMES", Collection::RequestCookiesNames),
    ("REQUEST_LINE", Collection::RequestLine),
    ("REQUEST_METHOD", Collection::RequestMethod),
    ("REQUEST_PROTOCOL", Collection::RequestProtocol),
    ("REQUEST_URI", Collection::RequestUri),
    ("REQUEST_URI_RAW", Collection::RequestUriRaw),
    ("REQUEST_FILENAME", Collection::RequestFilename),
    ("REQUEST_BASENAME", Collection::RequestBasename),
    ("QUERY_STRING", Collection::QueryString),
    ("REQUEST_BODY", Collection::RequestBody),
    ("REQUEST_BODY_LENGTH", Collection::RequestBodyLength),
    ("REQBODY_PROCESSOR", Collection::ReqbodyProcessor),
    ("REQBODY_ERROR", Collection::ReqbodyError),
    ("REQBODY_ERROR_MSG", Collection::ReqbodyErrorMsg),
    ("REQBODY_PROCESSOR_ERROR", Collection::ReqbodyProcessorError),
    ("REQBODY_NOTES", Collection::ReqbodyNotes),
    ("INBOUND_DATA_ERROR", Collection::InboundDataError),
    ("MULTIPART_STRICT_ERROR", Collection::MultipartStrictError),
    ("MULTIPART_UNMATCHED_BOUNDARY", Collection::MultipartUnmatchedBoundary),
    ("MULTIPART_PART_HEADERS", Collection::MultipartPartHeaders),
    ("FILES", Collection::Files),
    ("FILES_NAMES", Collection::FilesNames),
    ("FILES_COMBINED_SIZE", Collection::FilesCombinedSize),
    ("FILES_SIZES", Collection::FilesSizes),
    ("XML:/*", Collection::XmlText),
    ("XML", Collection::XmlText),
    ("XML://@*", Collection::XmlAttributes),
    ("REMOTE_ADDR", Collection::RemoteAddr),
    ("UNIQUE_ID", Collection::UniqueId),
    ("RESPONSE_STATUS", Collection::ResponseStatus),
    ("RESPONSE_PROTOCOL", Collection::ResponseProtocol),
    ("RESPONSE_HEADERS", Collection::ResponseHeaders),
    ("RESPONSE_HEADERS_NAMES", Collection::ResponseHeadersNames),
    ("RESPONSE_CONTENT_TYPE", Collection::ResponseContentType),
    ("RESPONSE_CONTENT_LENGTH", Collection::ResponseContentLength),
    ("RESPONSE_BODY", Collection::ResponseBody),
    ("OUTBOUND_DATA_ERROR", Collection::OutboundDataError),
    ("MATCHED_VAR", Collection::MatchedVar),
    ("MATCHED_VAR_NAME", Collection::MatchedVarName),
    ("MATCHED_VARS", Collection::MatchedVars),
    ("MATCHED_VARS_NAMES", Collection::MatchedVarsNames),
    ("TX", Collection::Tx),
];

/// Names that `ModSecurity` knows and that hold nothing here.
const ABSENT: [&str; 54] = [
    "AUTH_TYPE",
    "DURATION",
    "ENV",
    "FILES_TMPNAMES",
    "FILES_TMP_CONTENT",
    "FULL_REQUEST",
    "FULL_REQUEST_LENGTH",
    "GEO",
    "GLOBAL",
    "HIGHEST_SEVERITY",
    "IP",
    "MODSEC_BUILD",
    "MSC_PCRE_ERROR",
    "MSC_PCRE_LIMITS_EXCEEDED",
    "MULTIPART_BOUNDARY_QUOTED",
    "MULTIPART_BOUNDARY_WHITESPACE",
    "MULTIPART_CRLF_LF_LINES",
    "MULTIPART_DATA_AFTER",
    "MULTIPART_DATA_BEFORE",
    "MULTIPART_FILENAME",
    "MULTIPART_FILE_LIMIT_EXCEEDED",
    "MULTIPART_HEADER_FOLDING",
    "MULTIPART_INVALID_HEADER_FOLDING",
    "MULTIPART_INVALID_PART",
    "MULTIPART_INVALID_QUOTING",
    "MULTIPART_LF_LINE",
    "MULTIPART_MISSING_SEMICOLON",
    "MULTIPART_NAME",
    "PATH_INFO",
    "REMOTE_HOST",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQBODY_PROCESSOR_ERROR_MSG",
    "RESOURCE",
    "RULE",
    "SERVER_ADDR",
    "SERVER_NAME",
    "SERVER_PORT",
    "SESSION",
    "SESSIONID",
    "STATUS_LINE",
    "TIME",
    "TIME_DAY",
    "TIME_EPOCH",
    "TIME_HOUR",
    "TIME_MIN",
    "TIME_MON",
    "TIME_SEC",
    "TIME_WDAY",
    "TIME_YEAR",
    "URLENCODED_ERROR",
    "USER",
    "USERID",
    "WEBAPPID",
];

impl Collection {
    /// The collection of this name in `SecLang`, such as `ARGS_NAMES` or `XML:/*`, spelt in any case, without `&` or `!`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, collection)| *collection);
        known.or_else(|| ABSENT.iter().any(|known| known.eq_ignore_ascii_case(name)).then_some(Self::Absent))
    }

    /// Its name in `SecLang`; empty for what is always empty.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, collection)| *collection == self).map_or("", |(name, _)| *name)
    }
}

/// One value with its name; both as the client sent them, decoded as its collection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Where it comes from.
    pub collection: Collection,
    /// The name within a collection (`id` of `ARGS:id`), in the client's spelling; empty where there are no names.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

/// A request, or a response, as the rules see it: every value that is known so far. [`crate::http`] fills in what the head
/// tells, [`crate::body`] what the body tells.
///
/// All bytes lie in one buffer: a request of a thousand values costs two allocations. Arguments, headers, cookies and
/// files are kept once and seen under all their collections (`ARGS`, `ARGS_GET`, `ARGS_NAMES`, …).
#[derive(Debug, Clone, Default)]
pub struct Request {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// By collection: from which entry on and up to which, itself not included, entries of it lie.
    spans: Spans,
    identity: Identity,
    /// Where a value was replaced, each time.
    edited: Vec<Collection>,
}

/// A response as the rules see it: the same kind of values.
pub type Response = Request;

/// A name and, just behind it, its value. Numbers of 32 bits: a body of small values has more entries than bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    start: u32,
    middle: u32,
    end: u32,
    collection: Collection,
}

impl Entry {
    fn name(self) -> std::ops::Range<usize> {
        self.start as usize..self.middle as usize
    }

    fn value(self) -> std::ops::Range<usize> {
        self.middle as usize..self.end as usize
    }
}

#[derive(Debug, Clone)]
struct Spans([(u32, u32); COLLECTIONS]);

impl Default for Spans {
    fn default() -> Self {
        Self([(u32::MAX, 0); COLLECTIONS])
    }
}

/// Which request it is: no two have the same, also not one and its copy, which may become another.
#[derive(Debug)]
struct Identity(u64);

impl Default for Identity {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// How far a request was looked at; see [`Request::state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    identity: u64,
    edits: usize,
    /// How many entries there were.
    pub entries: usize,
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.entries == other.entries
    }
}

impl Eq for Request {}

impl Request {
    /// A request of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for so many further values of so many bytes together.
    pub(crate) fn reserve(&mut self, values: usize, bytes: usize) {
        self.entries.reserve(values);
        self.bytes.reserve(bytes);
    }

    /// Adds a value under the collection that owns it: `ArgsGet` or `ArgsPost` (never `Args` or a `…Names`).
    pub fn add(&mut self, collection: Collection, name: &[u8], value: &[u8]) {
        let place = self.entries.len() as u32;
        let span = &mut self.spans.0[collection as usize];
        *span = (span.0.min(place), place + 1);
        let entry = self.keep(collection, name, value);
        self.entries.push(entry);
    }

    /// Replaces whatever a collection without names holds.
    pub fn set(&mut self, collection: Collection, value: &[u8]) {
        let mut places = self.places(collection).filter(|place| self.entries[*place].collection == collection);
        match (places.next(), places.next()) {
            (None, _) => return self.add(collection, b"", value),
            (Some(place), None) if self.text(place, false) == value => return,
            (Some(place), None) => {
                drop(places);
                self.entries[place] = self.keep(collection, b"", value);
            }
            _ => {
                drop(places);
                self.entries.retain(|entry| entry.collection != collection);
                self.spans = Spans::default();
                for (place, entry) in self.entries.iter().enumerate() {
                    let span = &mut self.spans.0[entry.collection as usize];
                    *span = (span.0.min(place as u32), place as u32 + 1);
                }
                self.add(collection, b"", value);
                // Places have moved.
                self.identity = Identity::default();
            }
        }
        self.edited.push(collection);
    }

    /// All values of a collection, in the order in which they came. A value of a `…Names` collection is the name of an
    /// entry, once for each entry.
    pub fn of(&self, collection: Collection) -> impl Iterator<Item = Value<'_>> {
        let (first, second, names) = owners(collection);
        let (one, two) = (self.spans.0[first as usize], self.spans.0[second as usize]);
        let (start, end) = (one.0.min(two.0) as usize, one.1.max(two.1) as usize);
        let entries = self.entries.get(start..end).unwrap_or_default();
        entries.iter().filter(move |entry| entry.collection == first || entry.collection == second).map(move |entry| {
            let name = &self.bytes[entry.name()];
            let value = if names { name } else { &self.bytes[entry.value()] };
            Value { collection, name, value }
        })
    }

    /// All that was added, in its order, each under the collection that owns it.
    pub fn owned(&self) -> impl Iterator<Item = Value<'_>> {
        self.entries.iter().map(|entry| Value {
            collection: entry.collection,
            name: &self.bytes[entry.name()],
            value: &self.bytes[entry.value()],
        })
    }

    /// The first value of a collection with this name, names compared without regard to case (RFC 9110, section 5.1).
    #[must_use]
    pub fn first(&self, collection: Collection, name: &[u8]) -> Option<&[u8]> {
        self.of(collection).find(|value| value.name.eq_ignore_ascii_case(name)).map(|value| value.value)
    }

    /// How far it is known.
    pub(crate) fn state(&self) -> State {
        State { identity: self.identity.0, edits: self.edited.len(), entries: self.entries.len() }
    }

    /// Of which collections values were replaced since an earlier state; nothing when that was of another request. All else
    /// that changed are entries that were added.
    pub(crate) fn edited_since(&self, earlier: State) -> Option<&[Collection]> {
        (self.identity.0 == earlier.identity).then(|| self.edited.get(earlier.edits..).unwrap_or_default())
    }

    /// The collection that owns an entry, and the entry's name.
    pub(crate) fn entry(&self, place: usize) -> (Collection, &[u8]) {
        let entry = self.entries[place];
        (entry.collection, &self.bytes[entry.name()])
    }

    /// An entry's name or its value.
    pub(crate) fn text(&self, place: usize, name: bool) -> &[u8] {
        let entry = self.entries[place];
        &self.bytes[if name { entry.name() } else { entry.value() }]
    }

    /// The places among which the entries of an owning collection are.
    fn places(&self, collection: Collection) -> std::ops::Range<usize> {
        let (start, end) = self.spans.0[collection as usize];
        start.min(end) as usize..end as usize
    }

    /// The collections that own the entries after the first ones.
    pub(crate) fn owners_from(&self, entries: usize) -> impl Iterator<Item = Collection> + '_ {
        self.entries.iter().skip(entries).map(|entry| entry.collection)
    }

    /// Lets go of all entries but the first ones, which stay what they are for whoever looked at them.
    pub(crate) fn truncate(&mut self, entries: usize) {
        let mut left = Self { edited: std::mem::take(&mut self.edited), ..Self::default() };
        let kept = &self.entries[..entries.min(self.entries.len())];
        left.bytes.reserve_exact(kept.iter().map(|entry| (entry.end - entry.start) as usize).sum());
        left.entries.reserve_exact(kept.len());
        for entry in kept {
            left.add(entry.collection, &self.bytes[entry.name()], &self.bytes[entry.value()]);
        }
        left.identity = std::mem::take(&mut self.identity);
        *self = left;
    }

    /// Bytes of all names and values that were ever added.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory that its values take.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    fn keep(&mut self, collection: Collection, name: &[u8], value: &[u8]) -> Entry {
        let mut append = |text: &[u8]| {
            // Bodies are far shorter: their limit is 1 GiB. What would lie behind the last number is cut.
            let room = u32::MAX as usize - self.bytes.len();
            self.bytes.extend_from_slice(&text[..text.len().min(room)]);
            self.bytes.len() as u32
        };
        let (start, middle) = (append(b""), append(name));
        Entry { start, middle, end: append(value), collection }
    }
}

/// Which collections own the entries that are seen under this one, and whether their names are what is looked at.
pub(crate) fn owners(collection: Collection) -> (Collection, Collection, bool) {
    use Collection as C;
    match collection {
        C::Args => (C::ArgsGet, C::ArgsPost, false),
        C::ArgsNames => (C::ArgsGet, C::ArgsPost, true),
        C::ArgsGetNames => (C::ArgsGet, C::ArgsGet, true),
        C::ArgsPostNames => (C::ArgsPost, C::ArgsPost, true),
        C::RequestHeadersNames => (C::RequestHeaders, C::RequestHeaders, true),
        C::RequestCookiesNames => (C::RequestCookies, C::RequestCookies, true),
        C::ResponseHeadersNames => (C::ResponseHeaders, C::ResponseHeaders, true),
        C::FilesNames => (C::Files, C::Files, true),
        owner => (owner, owner, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collection is found by its name in any case, and tells it.
    #[test]
    fn collections_have_the_names_of_seclang() {
        assert_eq!(Collection::named("args_names"), Some(Collection::ArgsNames));
        assert_eq!(Collection::named("XML://@*"), Some(Collection::XmlAttributes));
        assert_eq!(Collection::named("GEO"), Some(Collection::Absent));
        assert_eq!(Collection::named("ARG"), None);
        for (name, collection) in NAMES.into_iter().filter(|(name, _)| *name != "XML") {
            assert_eq!((Collection::named(name), collection.name()), (Some(collection), name));
        }
    }

    #[test]
    fn arguments_are_seen_under_all_their_collections() {
        let mut request = Request::new();
        request.add(Collection::ArgsGet, b"id", b"1");
        request.add(Collection::ArgsPost, b"Name", b"x");

        let seen = |collection| request.of(collection).map(|value| value.value.to_vec()).collect::<Vec<_>>();
        assert_eq!(seen(Collection::Args), [b"1", b"x"]);
        assert_eq!(seen(Collection::ArgsNames), [b"id".to_vec(), b"Name".to_vec()]);
        assert_eq!(seen(Collection::ArgsPost), [b"x"]);
        assert_eq!(request.first(Collection::Args, b"name"), Some(&b"x"[..]));
    }

    /// A value is replaced in its place, several by one, and a state tells that it happened.
    #[test]
    fn values_are_replaced() {
        let mut request = Request::new();
        request.set(Collection::RequestMethod, b"GET");
        request.add(Collection::ArgsGet, b"id", b"1");
        let before = request.state();
        request.set(Collection::RequestMethod, b"GET");
        request.add(Collection::ArgsGet, b"id", b"2");
        assert_eq!(request.edited_since(before), Some(&[][..]));
        assert_eq!(request.clone().edited_since(before), None);

        request.set(Collection::RequestMethod, b"POST");
        assert_eq!(request.edited_since(before), Some(&[Collection::RequestMethod][..]));
        assert_eq!(request.first(Collection::RequestMethod, b""), Some(&b"POST"[..]));
        request.set(Collection::ArgsGet, b"3");
        assert_eq!(request.of(Collection::Args).map(|value| value.value).collect::<Vec<_>>(), [b"3"]);
        assert_eq!(request.of(Collection::RequestMethod).count(), 1);
    }

    /// What came first stays, with what replaced it later, and so does how far it was looked at.
    #[test]
    fn later_values_are_let_go_of() {
        let mut request = Request::new();
        request.set(Collection::ArgsCombinedSize, b"3");
        request.add(Collection::ArgsGet, b"id", b"1");
        let head = request.state();
        request.add(Collection::ArgsPost, b"text", &[b'a'; 4096]);
        request.set(Collection::ArgsCombinedSize, b"4103");
        let (whole, size) = (request.state(), request.size());
        request.truncate(head.entries);

        assert_eq!(request.of(Collection::Args).map(|value| value.value).collect::<Vec<_>>(), [b"1"]);
        assert_eq!(request.first(Collection::ArgsCombinedSize, b""), Some(&b"4103"[..]));
        assert_eq!(request.edited_since(whole), Some(&[][..]));
        assert_eq!((request.state().entries, request.size() < size - 4096), (head.entries, true));
    }
}
