//! XML as its texts and its attributes' values. Nothing that a document defines is ever expanded or fetched: an entity
//! stays as it is written.

use std::collections::HashSet;

use quick_xml::{Reader, events::Event};

use super::BodyError;
use crate::value::{Collection, Request};

/// How much of an element's name is told with each of its texts: a long name would be told as often as there are texts.
const SHOWN_NAME: usize = 64;

/// Adds every text as `XML:/*` and every attribute's value as `XML://@*`, named by element or attribute. With `hidden`, what
/// documents do not show is added as texts too: declarations of the document's type, comments, instructions.
///
/// # Errors
/// [`BodyError`] at what is not well-formed, or deeper than `depth`; what stood before was added.
pub(crate) fn read(request: &mut Request, text: &[u8], depth: usize, hidden: bool) -> Result<(), BodyError> {
    // What is no UTF-8 shows as U+FFFD; every ASCII byte of an attack stays what it is.
    let text = String::from_utf8_lossy(text);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().trim_text(true);
    let mut open: Vec<Vec<u8>> = Vec::new();
    let mut elements = 0_usize;
    loop {
        let at = reader.buffer_position();
        let event =
            reader.read_event().map_err(|error| BodyError(format!("the XML is malformed at byte {at}: {error}")))?;
        match event {
            Event::Start(element) => {
                elements += 1;
                attributes(request, &element, at)?;
                open.push(element.name().as_ref().as_bytes().to_vec());
                if open.len() > depth {
                    return Err(BodyError(format!("the XML is nested too deep at byte {at}")));
                }
            }
            Event::Empty(element) => {
                elements += 1;
                attributes(request, &element, at)?;
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Text(part) => add(request, &open, part.as_bytes()),
            Event::CData(part) => add(request, &open, part.as_bytes()),
            Event::GeneralRef(name) => add(request, &open, &reference(name.as_bytes())),
            Event::DocType(text) if hidden => {
                request.add(Collection::XmlText, b"!DOCTYPE", &[b"<!DOCTYPE ", text.as_bytes(), b">"].concat());
            }
            Event::Comment(text) if hidden => request.add(Collection::XmlText, b"!--", text.as_bytes()),
            Event::PI(text) if hidden => request.add(Collection::XmlText, b"?", text.as_bytes()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof if open.is_empty() && elements > 0 => return Ok(()),
            Event::Eof => return Err(BodyError(format!("the XML ends too early, at byte {at}"))),
        }
    }
}

fn add(request: &mut Request, open: &[Vec<u8>], text: &[u8]) {
    let name = open.last().map(Vec::as_slice).unwrap_or_default();
    request.add(Collection::XmlText, &name[..name.len().min(SHOWN_NAME)], text);
}

fn attributes(request: &mut Request, element: &quick_xml::events::BytesStart<'_>, at: u64) -> Result<(), BodyError> {
    let mut seen = HashSet::new();
    // The reader's own look for names that occur twice compares each with all others.
    for attribute in element.attributes().with_checks(false) {
        let attribute =
            attribute.map_err(|error| BodyError(format!("an attribute is malformed after byte {at}: {error}")))?;
        if !seen.insert(attribute.key.as_ref().to_owned()) {
            return Err(BodyError(format!("an attribute occurs twice after byte {at}")));
        }
        request.add(
            Collection::XmlAttributes,
            attribute.key.as_ref().as_bytes(),
            &expanded(attribute.value.as_bytes()),
        );
    }
    Ok(())
}

/// A text with its five predefined entities and character references as the characters that they mean.
fn expanded(text: &[u8]) -> Vec<u8> {
    let mut found = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = memchr::memchr(b'&', rest) {
        found.extend_from_slice(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(end) = memchr::memchr(b';', &rest[..rest.len().min(12)]) {
            found.extend_from_slice(&reference(&rest[..end]));
            rest = &rest[end + 1..];
        } else {
            found.push(b'&');
        }
    }
    found.extend_from_slice(rest);
    found
}

/// What `&name;` stands for; one that we do not know stays as it is written.
fn reference(name: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(name).unwrap_or_default();
    let number = text.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => number.parse().ok(),
    });
    let character = number.and_then(char::from_u32).or(match text {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    });
    match character {
        Some(character) => character.to_string().into_bytes(),
        None => [b"&", name, b";"].concat(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(text: &str) -> (Result<(), BodyError>, Vec<String>, Vec<String>) {
        let mut request = Request::new();
        let outcome = read(&mut request, text.as_bytes(), 16, false);
        let texts = |collection| {
            request.of(collection).map(|value| String::from_utf8_lossy(value.value).into_owned()).collect()
        };
        (outcome, texts(Collection::XmlText), texts(Collection::XmlAttributes))
    }

    #[test]
    fn texts_and_attributes_are_seen() {
        let (outcome, texts, attributes) =
            seen("<?xml version='1.0'?><a b='1&lt;2' c=\"&#x41;\">x<d/>&amp;<![CDATA[<y>]]></a>");

        assert_eq!(outcome, Ok(()));
        assert_eq!(texts, ["x", "&", "<y>"]);
        assert_eq!(attributes, ["1<2", "A"]);
    }

    #[test]
    fn entities_of_the_document_are_not_expanded() {
        let (_, texts, _) = seen("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>");

        assert_eq!(texts, ["&e;"]);
    }

    /// A document's type, its comments and instructions are seen by those who ask for them.
    #[test]
    fn hidden_texts_are_seen_on_request() {
        let mut request = Request::new();
        let text = "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><!--c--><?p i?><a/>";
        read(&mut request, text.as_bytes(), 16, true).unwrap();

        let seen: Vec<_> = request.of(Collection::XmlText).map(|value| value.value.to_vec()).collect();
        assert!(seen[0].starts_with(b"<!DOCTYPE a [<!ENTITY e SYSTEM"));
        assert_eq!(seen[1..], [b"c".to_vec(), b"p i".to_vec()]);
    }

    /// A hundred thousand attributes, or texts of an element with a long name, take no longer than their number says.
    #[test]
    fn large_documents_take_linear_time() {
        let attributes = (0..100_000).map(|number| format!(" a{number}='1'")).collect::<Vec<_>>().concat();
        let (outcome, _, seen) = self::seen(&format!("<a{attributes}/>"));
        assert_eq!((outcome, seen.len()), (Ok(()), 100_000));

        let name = "n".repeat(50_000);
        let mut request = Request::new();
        read(&mut request, format!("<{name}>{}</{name}>", "t<b/>".repeat(50_000)).as_bytes(), 16, false).unwrap();
        assert_eq!(request.of(Collection::XmlText).map(|value| value.name.len()).max(), Some(SHOWN_NAME));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in ["", "<a>", "<a></b>", "<a b></a>", "<a b='1' b='2'/>", "text", &"<a>".repeat(17)] {
            assert!(seen(text).0.is_err(), "{text:?}");
        }
    }

    proptest! {
        /// No text makes the reader panic.
        #[test]
        fn any_text_is_read_or_refused(text in "[<>/a-c='\"&;#x!\\[\\]\\-? ]{0,60}") {
            let _ = seen(&text);
        }
    }
}
