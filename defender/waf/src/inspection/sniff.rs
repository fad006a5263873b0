//! What a text looks like, whatever it is said to be.

use crate::body::Processor;

/// What a media type says of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    /// One of the kinds that are read.
    Kind(Processor),
    /// Some text, or nothing is said.
    Text,
    /// Pictures, archives and the like.
    Binary,
}

/// What a content type says. Source: RFC 9110, section 8.3; the suffixes are RFC 6839's.
pub(super) fn declared(content_type: &[u8]) -> Declared {
    let essence = content_type.split(|byte| matches!(byte, b';' | b',')).next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    let contains = |word: &[u8]| memchr::memmem::find(&essence, word).is_some();
    if contains(b"x-www-form-urlencoded") {
        Declared::Kind(Processor::UrlEncoded)
    } else if essence.starts_with(b"multipart/") {
        Declared::Kind(Processor::Multipart)
    } else if contains(b"json") && !contains(b"ndjson") && !contains(b"json-seq") {
        Declared::Kind(Processor::Json)
    } else if contains(b"xml") && !contains(b"openxml") {
        Declared::Kind(Processor::Xml)
    } else if essence.is_empty() || essence.starts_with(b"text/") || contains(b"json") || contains(b"graphql") {
        Declared::Text
    } else {
        Declared::Binary
    }
}

/// What a body begins like.
pub(super) fn body(text: &[u8]) -> Option<Processor> {
    document(text).or_else(|| is_multipart(text).then_some(Processor::Multipart)).or_else(|| {
        let name = text.trim_ascii_start().iter().take_while(|byte| is_of_name(**byte)).count();
        (name > 0 && text.trim_ascii_start().get(name) == Some(&b'=')).then_some(Processor::UrlEncoded)
    })
}

/// JSON or XML, as a value begins.
pub(super) fn document(text: &[u8]) -> Option<Processor> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let (first, rest) = text.split_first()?;
    let next = rest.trim_ascii_start().first().copied();
    match (first, next?) {
        (b'{', b'"' | b'}') | (b'[', b'{' | b'[' | b']' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            Some(Processor::Json)
        }
        (b'<', b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'!' | b'?') => Some(Processor::Xml),
        _ => None,
    }
}

/// A line with a boundary, and a part's disposition soon after.
fn is_multipart(text: &[u8]) -> bool {
    let Some(end) = text.starts_with(b"--").then(|| memchr::memchr(b'\n', text)).flatten() else { return false };
    let after = text[end + 1..text.len().min(end + 256)].to_ascii_lowercase();
    end <= 74 && memchr::memmem::find(&after, b"content-disposition:").is_some()
}

/// The content type that a multipart body without one has: its boundary is its first line.
pub(super) fn multipart_type(text: &[u8]) -> Vec<u8> {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let boundary = text[..end].strip_prefix(b"--").unwrap_or_default().trim_ascii_end();
    [b"multipart/form-data; boundary=\"", boundary, b"\""].concat()
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-[]%+~$:@".contains(&byte)
}

/// Whether bytes may be text in some charset that has ASCII: no control characters but those of lines.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let controls = bytes.iter().filter(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)).count();
    controls * 64 <= bytes.len() && !bytes.starts_with(b"\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types are known by their words, whatever stands around these.
    #[test]
    fn types_say_how_a_body_is_read() {
        assert_eq!(declared(b"Application/vnd.api+JSON; charset=x"), Declared::Kind(Processor::Json));
        assert_eq!(declared(b"image/svg+xml"), Declared::Kind(Processor::Xml));
        assert_eq!(declared(b"multipart/mixed; boundary=a"), Declared::Kind(Processor::Multipart));
        assert_eq!(declared(b""), Declared::Text);
        assert_eq!(declared(b"image/png"), Declared::Binary);
        assert_eq!(
            declared(b"application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            Declared::Binary
        );
    }

    /// The beginning gives a body away.
    #[test]
    fn beginnings_tell_kinds() {
        assert_eq!(body(b" {\n\"a\":1}"), Some(Processor::Json));
        assert_eq!(body(b"[1]"), Some(Processor::Json));
        assert_eq!(body(b"<?xml version='1.0'?>"), Some(Processor::Xml));
        assert_eq!(body(b"a[b]=c"), Some(Processor::UrlEncoded));
        assert_eq!(
            body(b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--"),
            Some(Processor::Multipart)
        );
        for text in [&b"hello world"[..], b"", b"{", b"< 3", b"[a]", b"{a}", b"-- a comment\n"] {
            assert_eq!(body(text), None, "{text:?}");
        }
    }
}
