//! What comes after the held part of a body, in overlapping windows. Values are cut where the body's kind cuts them; a value
//! longer than a window is seen in pieces that overlap, so that an attack shorter than [`OVERLAP`] is whole in one of them.

use super::{Profile, nested, reading::WHOLE};
use crate::{
    body::{Processor, multipart},
    http::add_arguments,
    value::{Collection, Request},
};

/// Bytes that are judged at once.
const SIZE: usize = 64 << 10;
/// Bytes of a window that are seen again in the next.
const OVERLAP: usize = 4 << 10;
/// The longest head of a part.
const MAX_PART_HEAD: usize = 2 << 10;

/// How windows are read, with what is known of the place where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A form.
    Form,
    /// JSON; whether the place is within a string.
    Json {
        /// True within a string.
        quoted: bool,
    },
    /// XML, or any text.
    Text {
        /// Whether it is seen as XML's text.
        xml: bool,
    },
    /// Multipart; its delimiter with the line end before it, and what the place is in.
    Multipart {
        /// `\r\n--boundary`.
        delimiter: Vec<u8>,
        /// The field, with its name; nothing within a file.
        field: Option<Vec<u8>>,
    },
}

/// The windows of one body.
#[derive(Debug)]
pub(super) struct Window {
    kind: Kind,
    /// Bytes at the beginning of what is held that were judged already.
    seen: usize,
}

impl Kind {
    pub(super) fn of(processor: Option<Processor>) -> Self {
        match processor {
            Some(Processor::UrlEncoded) => Self::Form,
            Some(Processor::Json) => Self::Json { quoted: false },
            Some(Processor::Xml) => Self::Text { xml: true },
            _ => Self::Text { xml: false },
        }
    }
}

impl Window {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, seen: 0 }
    }

    /// Windows of a multipart body; of text when it has no boundary.
    pub(super) fn multipart(content_type: &[u8], body: &[u8]) -> Self {
        let boundary =
            multipart::boundary(content_type).or_else(|_| multipart::boundary(&super::sniff::multipart_type(body)));
        Self::new(match boundary {
            Ok(boundary) => Kind::Multipart { delimiter: [b"\r\n--", &boundary[..]].concat(), field: None },
            Err(_) => Kind::Text { xml: false },
        })
    }

    /// How many bytes go into a window.
    pub(super) fn room(held: &[u8]) -> usize {
        SIZE.saturating_sub(held.len())
    }

    /// Whether there is something to judge.
    pub(super) fn is_due(&self, held: &[u8], ended: bool) -> bool {
        held.len() >= SIZE || (ended && held.len() > self.seen)
    }

    /// Lets go of what was judged, but for the overlap; `held` begins the body the first time.
    pub(super) fn skip(&mut self, held: &mut Vec<u8>) {
        let mut gone = held.len().saturating_sub(OVERLAP);
        match &mut self.kind {
            Kind::Json { quoted } => {
                let (within, end) = after_strings(&held[..gone], *quoted);
                (*quoted, gone) = (within, end);
            }
            Kind::Multipart { delimiter, field } => gone = pass_parts(held, gone, delimiter, field),
            Kind::Form | Kind::Text { .. } => {}
        }
        held.drain(..gone);
        self.seen = held.len();
    }

    /// Adds a window's values to a request.
    pub(super) fn fill(&mut self, request: &mut Request, held: &mut Vec<u8>, profile: Profile) {
        let processor = match &self.kind {
            Kind::Form => "URLENCODED",
            Kind::Json { .. } => "JSON",
            Kind::Text { xml: true } => "XML",
            Kind::Text { xml: false } => "",
            Kind::Multipart { .. } => "MULTIPART",
        };
        request.set(Collection::ReqbodyProcessor, processor.as_bytes());
        match &self.kind {
            Kind::Form => add_arguments(request, Collection::ArgsPost, held),
            Kind::Json { quoted } => strings(held, *quoted, &mut |text| request.add(Collection::ArgsPost, WHOLE, text)),
            Kind::Text { xml: true } => request.add(Collection::XmlText, b"", held),
            Kind::Text { xml: false } => request.add(Collection::ArgsPost, WHOLE, held),
            Kind::Multipart { delimiter, field } => fields(request, held, delimiter, field.as_deref()),
        }
        if profile == Profile::Balanced {
            nested::fill(request, &[Collection::ArgsPost]);
        }
        self.skip(held);
    }
}

/// Whether the end of a text is within a string, and where that is: an escape is never cut.
fn after_strings(text: &[u8], mut quoted: bool) -> (bool, usize) {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += found;
        if text[at] == b'"' {
            quoted = !quoted;
            at += 1;
        } else if !quoted {
            at += 1;
        } else if at + 6 > text.len() {
            return (quoted, at);
        } else {
            at += if text[at + 1] == b'u' { 6 } else { 2 };
        }
    }
    (quoted, text.len())
}

/// Calls `each` with every string in a piece of JSON, names too, without its escapes; the first and the last may be cut. What
/// is no JSON is told as it stands.
fn strings(text: &[u8], quoted: bool, each: &mut dyn FnMut(&[u8])) {
    let (mut quoted, mut at) = (quoted, 0);
    let mut string = Vec::new();
    while at < text.len() {
        let end = memchr::memchr2(b'"', b'\\', &text[at..]).map_or(text.len(), |found| at + found);
        let between = &text[at..end];
        if quoted || between.iter().any(|byte| !byte.is_ascii_alphanumeric() && !b"{}[],:+-. \t\r\n".contains(byte)) {
            string.extend_from_slice(between);
        }
        at = end;
        match text.get(at) {
            Some(b'"') => {
                if !string.is_empty() {
                    each(&string);
                    string.clear();
                }
                quoted = !quoted;
                at += 1;
            }
            Some(_) => at += unescape(&text[at..], &mut string),
            None => {}
        }
    }
    if !string.is_empty() {
        each(&string);
    }
}

/// Appends what an escape means; gives its length. Halves of surrogate pairs are left out.
fn unescape(text: &[u8], string: &mut Vec<u8>) -> usize {
    let plain = match text.get(1) {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'u') => {
            let digits = text.get(2..6).and_then(|digits| std::str::from_utf8(digits).ok());
            let point = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            if let Some(character) = point.and_then(char::from_u32) {
                string.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            return text.len().min(6);
        }
        Some(other) => *other,
        None => return 1,
    };
    string.push(plain);
    2
}

/// Adds the fields in a piece of a multipart body; the first is what the piece begins in.
fn fields(request: &mut Request, text: &[u8], delimiter: &[u8], field: Option<&[u8]>) {
    let mut starts = memchr::memmem::find_iter(text, delimiter).peekable();
    if let Some(name) = field {
        let end = starts.peek().copied().unwrap_or(text.len());
        request.add(Collection::ArgsPost, name, &text[..end]);
    }
    while let Some(start) = starts.next() {
        let begin = start + delimiter.len();
        let end = starts.peek().copied().unwrap_or(text.len());
        let Some(content) = text[begin..end].strip_prefix(b"\r\n") else { continue };
        match multipart::part(content) {
            Ok(part) if part.file.is_none() => request.add(Collection::ArgsPost, &part.name, part.content),
            Ok(part) => request.add(Collection::Files, &part.name, part.file.as_deref().unwrap_or_default()),
            // A head that is not whole yet comes again; one that is malformed is seen as it stands.
            Err(_) if end == text.len() && content.len() < MAX_PART_HEAD => {}
            Err(_) => request.add(Collection::ArgsPost, WHOLE, content),
        }
    }
}

/// Says in what a place of a multipart body is; gives the place, moved back to a part's beginning when it was in its head.
fn pass_parts(text: &[u8], place: usize, delimiter: &[u8], field: &mut Option<Vec<u8>>) -> usize {
    // The first delimiter of a body has no line end before it.
    let first = text.starts_with(&delimiter[2..]).then_some(0);
    let last = memchr::memmem::rfind(&text[..place], delimiter).map(|start| start + 2).or(first);
    let Some(start) = last else { return place };
    let content = &text[start + delimiter.len() - 2..];
    let content = content.strip_prefix(b"\r\n").unwrap_or(content);
    let length = if content.starts_with(b"\r\n") { Some(0) } else { memchr::memmem::find(content, b"\r\n\r\n") };
    let head_end = length.map_or(text.len(), |length| start + delimiter.len() + length + 4);
    if head_end > place && place - start < MAX_PART_HEAD {
        *field = None;
        return start.saturating_sub(2);
    }
    *field = match multipart::part(content) {
        Ok(part) if part.file.is_some() => None,
        Ok(part) => Some(part.name),
        Err(_) => Some(WHOLE.to_vec()),
    };
    place
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that windows show of a body whose first bytes were held.
    fn shown(mut window: Window, body: &[u8], held: usize, cut: usize) -> Vec<Vec<u8>> {
        let mut buffer = body[..held].to_vec();
        window.skip(&mut buffer);
        let mut values = Vec::new();
        let mut judge = |window: &mut Window, buffer: &mut Vec<u8>| {
            let mut request = Request::new();
            window.fill(&mut request, buffer, Profile::CrsStrict);
            assert!(buffer.len() <= OVERLAP + MAX_PART_HEAD + 80, "{}", buffer.len());
            for collection in [Collection::Args, Collection::ArgsNames, Collection::XmlText] {
                values.extend(request.of(collection).map(|value| value.value.to_vec()));
            }
        };
        for piece in body[held..].chunks(cut) {
            buffer.extend_from_slice(piece);
            if window.is_due(&buffer, false) {
                judge(&mut window, &mut buffer);
            }
        }
        if window.is_due(&buffer, true) {
            judge(&mut window, &mut buffer);
        }
        values
    }

    fn within(values: &[Vec<u8>], wanted: &[u8]) -> bool {
        values.iter().any(|value| memchr::memmem::find(value, wanted).is_some())
    }

    proptest! {
        /// Wherever an attack lies behind the held part, and however a body is cut, it is whole in some value: unescaped in
        /// JSON, decoded in a form, as it stands in a field and in text.
        #[test]
        fn nothing_slips_between_windows(before in 0_usize..150_000, cut in 1000_usize..60_000, quotes in 0_usize..3) {
            let held = 20_000;
            let pad = |unit: &str| unit.repeat(1 + (held + before) / unit.len());
            let form = format!("a={}%3Cscript%3Ealert(1)&b=1", pad("x"));
            let json = format!("{{\"a\":[{}\"\\u003cscript\\u003ealert(1)\"]}}", pad(&format!("\"{}\",", "\\\"".repeat(quotes))));
            let part = format!("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n{}\r\n", pad("y"));
            let multipart = format!("{part}--b\r\nContent-Disposition: form-data; name=c\r\n\r\n<script>alert(1)\r\n--b--\r\n");
            let text = format!("{}<script>alert(1){}", pad("z "), pad("z "));
            let wanted = b"<script>alert(1)";
            prop_assert!(within(&shown(Window::new(Kind::Form), form.as_bytes(), held, cut), wanted));
            prop_assert!(within(&shown(Window::new(Kind::of(Some(Processor::Json))), json.as_bytes(), held, cut), wanted));
            let windows = Window::multipart(b"multipart/form-data; boundary=b", multipart.as_bytes());
            prop_assert!(within(&shown(windows, multipart.as_bytes(), held, cut), wanted));
            prop_assert!(within(&shown(Window::new(Kind::of(Some(Processor::Xml))), text.as_bytes(), held, cut), wanted));
        }
    }

    /// A file's bytes are nobody's arguments, even where its part began before the windows do.
    #[test]
    fn files_are_not_shown() {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=a\r\n\r\nfield\r\n--b--",
            "<script>".repeat(20_000)
        );
        let windows = Window::multipart(b"multipart/form-data; boundary=b", body.as_bytes());

        let values = shown(windows, body.as_bytes(), 20_000, 8192);
        assert!(within(&values, b"field") && !within(&values, b"<script>"));
    }
}
