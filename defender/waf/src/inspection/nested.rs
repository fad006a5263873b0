//! Documents within values: JSON, XML, forms, base64, charsets and encodings laid over one another, to a depth of two.

use super::{base64, charset, sniff};
use crate::{
    body::{Processor, json, xml},
    http::{Head, percent_decoded},
    value::{Collection, Request},
};

/// How often something within something is looked into.
const DEPTH: usize = 2;
/// Bytes that may be added for each that is looked at, and those in any case.
const GROWTH: usize = 4;
const FREE: usize = 64 << 10;
/// How deep documents within values may be nested.
const DOCUMENT_DEPTH: usize = 64;
/// Fields that have base64 of their own, or what nobody reads as text.
const OPAQUE_FIELDS: [&str; 12] = [
    "authorization", "proxy-authorization", "cookie", "host", "content-type", "content-length", "content-encoding",
    "if-none-match", "if-match", "sec-websocket-key", "traceparent", "signature",
];
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
            room += GROWTH * value.value.len();
            look(&value.value, &mut |inner, value_within| {
                open.push(Found {
                    collection: inner.unwrap_or(*collection),
                    name: value.name.to_vec(),
                    value: value_within,
                    depth: 1,
                });
            });
        }
    }
    add(request, open, room);
}

/// Adds what lies within a head's values.
pub(super) fn fill_head(request: &mut Request, head: &Head) {
    fill(request, &[Collection::ArgsGet, Collection::RequestCookies]);
    let mut open = Vec::new();
    let mut found = |name: &[u8], value: &[u8]| {
        if let Some(value) = base64::text(value) {
            open.push(Found { collection: Collection::ArgsGet, name: name.to_vec(), value, depth: 1 });
        }
    };
    for header in head.headers() {
        if !OPAQUE_FIELDS.iter().any(|name| header.name.eq_ignore_ascii_case(name.as_bytes())) {
            found(header.name, header.value);
        }
    }
    let path = request.first(Collection::RequestFilename, b"").unwrap_or_default().to_vec();
    path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()).take(SEGMENTS).for_each(|segment| {
        found(b"path", segment);
    });
    add(request, open, FREE);
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
    if let Some(text) = base64::text(value) {
        tell(None, text);
    }
    if let Some(text) = charset::shortest(value) {
        tell(None, text);
    }
    if let Some(text) = encoded_again(value) {
        tell(None, text);
    }
}

/// The value decoded twice, when it was encoded so: rules decode once more than applications do.
fn encoded_again(value: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(value, b"%25")?;
    let once = percent_decoded(value);
    Some(percent_decoded(&once)).filter(|twice| *twice != once)
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
        all.flat_map(|collection| request.of(collection).map(|found| (collection, text(found.value))).collect::<Vec<_>>())
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
