//! Documents within values: JSON, XML, forms, base64, charsets and encodings laid over one another, to a depth of two.

use super::{base64, charset, graphql, sniff};
use crate::{
    body::{Processor, json, xml},
    http::{Head, percent_decoded},
    transformation::Transformation,
    value::{Collection, Request},
};

/// How often something within something is looked into.
const DEPTH: usize = 2;
/// Bytes that may be added for each that is looked at, and those in any case.
const GROWTH: usize = 4;
const FREE: usize = 64 << 10;
/// How deep documents within values may be nested.
const DOCUMENT_DEPTH: usize = 64;
/// Fields whose values have signs, or base64, of their own: rules judge those as what they are.
const OPAQUE_FIELDS: [&str; 24] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "baggage",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "digest",
    "forwarded",
    "host",
    "if-match",
    "if-none-match",
    "link",
    "proxy-authorization",
    "sec-websocket-key",
    "signature",
    "signature-input",
    "traceparent",
    "via",
];
/// Signs without which no attack on a field or a path works that is not seen anyway.
const SIGNS: &[u8] = b"<>'\"`$|\\";
/// The longest field that is looked at.
const LONGEST_FIELD: usize = 4 << 10;
/// Bytes of a name that are told with what lies within its value.
const LONGEST_NAME: usize = 128;
/// Segments of a path that are looked at.
const SEGMENTS: usize = 16;

/// A value that was found within another.
struct Found {
    collection: Collection,
    name: Vec<u8>,
    value: Vec<u8>,
    depth: usize,
}

/// Adds what lies within the values of these collections, each under the name of the value that it lies in (a part of a
/// document with its path after that). What would come to far more than the values themselves is left out, with a note.
pub(super) fn fill(request: &mut Request, collections: &[Collection]) {
    let mut open: Vec<Found> = Vec::new();
    let mut room = FREE;
    for collection in collections {
        for value in request.of(*collection) {
            room += GROWTH * (value.name.len() + value.value.len());
            // A `=` within an injection looks like one between a name and a value.
            let in_name = || value.name.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'`' | b'(' | b'<' | b' '));
            let of_form =
                !value.name.starts_with(b"json.") && matches!(collection, Collection::ArgsGet | Collection::ArgsPost);
            if of_form && !value.value.is_empty() && in_name() {
                let (name, joined) = (short(value.name), [value.name, value.value].join(&b'='));
                open.push(Found { collection: *collection, name, value: joined, depth: 1 });
            }
            // Without a value, the name is all that was sent.
            let looked = if value.value.is_empty() { value.name } else { value.value };
            look(looked, &mut |inner, found| {
                let (collection, name) = (inner.unwrap_or(*collection), short(value.name));
                open.push(Found { collection, name, value: found, depth: 1 });
            });
        }
    }
    add(request, open, room);
}

/// Adds what lies within a head's values. What is found outside of the query is seen as an argument: few rules look at paths and
/// fields, and an application may take its input from there.
pub(super) fn fill_head(request: &mut Request, head: &Head) {
    fill(request, &[Collection::ArgsGet, Collection::RequestCookies]);
    let mut open = Vec::new();
    let mut found = |name: &[u8], value: &[u8]| {
        let mut add =
            |value| open.push(Found { collection: Collection::ArgsGet, name: name.to_vec(), value, depth: 1 });
        // Addresses have some of the signs by their nature.
        let signs = if name.eq_ignore_ascii_case(b"referer") { b"<'\"`" } else { SIGNS };
        if sniff::document(value).is_none() && value.iter().any(|byte| signs.contains(byte)) {
            add(value.to_vec());
        }
        look(value, &mut |_, value| add(value));
    };
    for header in head.headers().filter(|header| header.value.len() <= LONGEST_FIELD) {
        let is_opaque = OPAQUE_FIELDS.iter().any(|name| header.name.eq_ignore_ascii_case(name.as_bytes()));
        // Client hints have quotes by their grammar.
        let is_hint = header.name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"sec-"));
        if !is_opaque && !is_hint {
            found(header.name, header.value);
        }
        // A `;` of an entity ends a cookie for those who read cookies.
        if header.name.eq_ignore_ascii_case(b"cookie") && memchr::memmem::find(header.value, b"&#").is_some() {
            found(header.name, &Transformation::HtmlEntityDecode.apply(header.value));
        }
    }
    let path = request.first(Collection::RequestFilename, b"").unwrap_or_default().to_vec();
    let whole = path.strip_prefix(b"/").unwrap_or(&path);
    let has_signs = whole.iter().any(|byte| SIGNS.contains(byte) || matches!(byte, b';' | b'(' | b'{' | b'\n'));
    // A statement needs no signs, but words.
    if has_signs || memchr::memchr_iter(b' ', whole).count() > 1 {
        found_in_path(&mut open, whole.to_vec());
        look(whole, &mut |_, value| found_in_path(&mut open, value));
    }
    path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()).take(SEGMENTS).for_each(|segment| {
        look(segment, &mut |_, value| found_in_path(&mut open, value));
    });
    if let Some(value) = base64::text(whole) {
        found_in_path(&mut open, value);
    }
    add(request, open, FREE);
}

fn found_in_path(open: &mut Vec<Found>, value: Vec<u8>) {
    open.push(Found { collection: Collection::ArgsGet, name: b"path".to_vec(), value, depth: 1 });
}

/// Adds values, and what lies within them while that is not too deep.
fn add(request: &mut Request, mut open: Vec<Found>, mut room: usize) {
    while let Some(found) = open.pop() {
        let size = found.name.len() + found.value.len();
        let Some(left) = room.checked_sub(size) else {
            request.add(Collection::ReqbodyNotes, b"nested", b"more lies within values than is looked at");
            return;
        };
        room = left;
        request.add(found.collection, &found.name, &found.value);
        if found.depth < DEPTH {
            look(&found.value, &mut |inner, value| {
                let collection = inner.unwrap_or(found.collection);
                open.push(Found { collection, name: found.name.clone(), value, depth: found.depth + 1 });
            });
        }
    }
}

/// Calls `tell` for each text that lies within a value, with the collection when it is another than the value's.
fn look(value: &[u8], tell: &mut dyn FnMut(Option<Collection>, Vec<u8>)) {
    if value.len() < 4 {
        return;
    }
    match sniff::document(value) {
        Some(Processor::Json) => {
            // What is told before a fault is told: applications stop reading at different places.
            let _ = json::read(value, DOCUMENT_DEPTH, &mut |name, leaf| {
                tell(None, leaf.to_vec());
                let own = memchr::memrchr(b'.', name).map_or(name, |dot| &name[dot + 1..]);
                if own.iter().any(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_') {
                    tell(None, own.to_vec());
                }
            });
        }
        Some(Processor::Xml) => {
            let mut document = Request::new();
            let _ = xml::read(&mut document, value, DOCUMENT_DEPTH, true);
            for collection in [Collection::XmlText, Collection::XmlAttributes] {
                document.of(collection).for_each(|found| tell(Some(collection), found.value.to_vec()));
            }
        }
        _ => {}
    }
    for text in graphql::strings(value) {
        tell(None, text);
    }
    if let Some(text) = base64::text(value) {
        tell(None, text);
    }
    if let Some(text) = charset::shortest(value) {
        tell(None, text);
    }
    if let Some(text) = encoded_again(value) {
        tell(None, text);
    }
    if is_escaped(value) {
        tell(None, Transformation::JsDecode.apply(value).into_owned());
    }
}

/// A name as it is told with each of the many values that may lie within one.
pub(super) fn short(name: &[u8]) -> Vec<u8> {
    name[..name.len().min(LONGEST_NAME)].to_vec()
}

/// The value with what is still percent-encoded decoded, twice if need be.
fn encoded_again(value: &[u8]) -> Option<Vec<u8>> {
    let is_encoded = |text: &[u8]| {
        memchr::memchr_iter(b'%', text)
            .any(|at| text.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
    };
    is_encoded(value).then(|| {
        let once = percent_decoded(value);
        if is_encoded(&once) { percent_decoded(&once) } else { once }
    })
}

/// Whether a value has `\uXXXX`.
fn is_escaped(value: &[u8]) -> bool {
    let is_escape = |escape: &[u8]| escape.starts_with(b"u") && escape[1..].iter().all(u8::is_ascii_hexdigit);
    memchr::memchr_iter(b'\\', value).any(|at| value.get(at + 1..at + 6).is_some_and(is_escape))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn within(value: &[u8]) -> Vec<(Collection, String)> {
        let mut request = Request::new();
        request.add(Collection::ArgsPost, b"a", value);
        fill(&mut request, &[Collection::ArgsPost]);
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let all = [Collection::ArgsPost, Collection::XmlText, Collection::XmlAttributes].into_iter();
        all.flat_map(|collection| {
            request.of(collection).map(|found| (collection, text(found.value))).collect::<Vec<_>>()
        })
        .skip(1)
        .collect()
    }

    /// Two layers are taken off, a third one is not.
    #[test]
    fn values_are_looked_into_twice() {
        // {"b":"<script>"} , as base64, as JSON, as base64
        let once = br#"{"b":"<script>"}"#;
        let twice = crate::transformation::Transformation::Base64Encode.apply(once).into_owned();
        let thrice = [b"[\"", &twice[..], b"\"]"].concat();

        assert_eq!(within(once)[0], (Collection::ArgsPost, "<script>".into()));
        assert!(within(&twice).contains(&(Collection::ArgsPost, "<script>".into())));
        assert!(within(&thrice).contains(&(Collection::ArgsPost, String::from_utf8(once.to_vec()).unwrap())));
        assert!(!within(&thrice).contains(&(Collection::ArgsPost, "<script>".into())));
    }

    /// A long name of a value in which much lies is not told with each of it: that would be thousands of times the body.
    #[test]
    fn names_stay_in_proportion() {
        let mut request = Request::new();
        let document = format!("[{}1]", "1,".repeat(50_000));
        request.add(Collection::ArgsPost, &vec![b'n'; 500_000], document.as_bytes());
        fill(&mut request, &[Collection::ArgsPost]);

        assert!(request.of(Collection::ArgsPost).skip(1).all(|value| value.name.len() <= LONGEST_NAME));
    }

    /// Markup within a value is seen as what a document's text is seen as.
    #[test]
    fn xml_within_a_value_is_taken_apart() {
        assert_eq!(
            within(b"<a b='1'>x</a>"),
            [(Collection::XmlText, "x".into()), (Collection::XmlAttributes, "1".into())]
        );
    }

    proptest! {
        /// No value makes the reader panic, and what is added stays in proportion to it.
        #[test]
        fn any_value_is_looked_into(value in "[\\[\\]{}\":,<>/a-cA-C0-9+=%]{0,200}") {
            let added: usize = within(value.as_bytes()).iter().map(|(_, text)| text.len()).sum();
            prop_assert!(added <= FREE + GROWTH * value.len());
        }
    }
}
