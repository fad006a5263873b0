//! A held body as the balanced profile reads it: as its type says, and as it looks.

use super::{
    charset::Charset,
    nested,
    sniff::{self, Declared},
};
use crate::{
    body::{
        BodyError, Processor, json,
        multipart::{self, Part},
        set_outcome, xml,
    },
    http::{add_arguments, percent_decoded, set_combined_size},
    value::{Collection, Request},
};

/// The name under which a body that is no document is seen.
pub(super) const WHOLE: &[u8] = b"body";

/// How a body came.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Its content type.
    pub(super) content_type: &'a [u8],
    /// How deep documents may be nested.
    pub(super) depth: usize,
    /// False when more follows, so that an end that is missing is no fault.
    pub(super) whole: bool,
    /// Whether rules want the raw body whatever its kind.
    pub(super) forced: bool,
}

/// Adds all that a body tells; gives the kind as which it was read.
pub(super) fn fill(request: &mut Request, body: &[u8], about: About<'_>) -> Option<Processor> {
    let charset = charset_of(request, about.content_type);
    let wide = Charset::of_beginning(body).or(charset.filter(|one| is_wide(*one)));
    let decoded = wide.and_then(|charset| charset.decode(body));
    let text = decoded.as_deref().unwrap_or(body);

    let declared = sniff::declared(about.content_type);
    let found = sniff::body(text);
    let kind = match declared {
        Declared::Kind(kind) => Some(kind),
        Declared::Text | Declared::Binary => found,
    };
    request.set(Collection::ReqbodyProcessor, kind.map_or("", Processor::name).as_bytes());
    request.set(Collection::RequestBodyLength, body.len().to_string().as_bytes());
    if about.forced || matches!(kind, None | Some(Processor::UrlEncoded | Processor::Json)) {
        request.set(Collection::RequestBody, text);
    }
    let outcome = read_both_ways(request, text, declared, found, about);
    let outcome = outcome.or_else(|fault| if about.whole || !is_cut(&fault, kind) { Err(fault) } else { Ok(()) });
    if kind == Some(Processor::Multipart) && outcome.is_ok() {
        request.set(Collection::MultipartStrictError, b"0");
    }
    if let Some(charset) = charset.filter(|one| matches!(one, Charset::Utf7 | Charset::Ebcdic)) {
        decode_values(request, body, charset, about.depth);
    }
    set_combined_size(request);
    set_outcome(request, outcome);
    nested::fill(request, &[Collection::ArgsPost, Collection::XmlText, Collection::XmlAttributes]);
    kind
}

/// Reads a body as its type says and, when it looks otherwise, as it looks too. An error when neither can be done.
fn read_both_ways(
    request: &mut Request,
    text: &[u8],
    declared: Declared,
    found: Option<Processor>,
    about: About<'_>,
) -> Result<(), BodyError> {
    let mut outcome = Ok(());
    if let Declared::Kind(kind) = declared {
        // A document sent as a form by tools that know no better has one name, the document; its leaves say the same.
        let one_name = kind == Processor::UrlEncoded && found == Some(Processor::Json) && is_one_name(text);
        let is_document = one_name && json::read(text, about.depth, &mut |_, _| {}).is_ok();
        if !text.is_empty() && !is_document {
            outcome = read(request, text, kind, about);
        }
    }
    let other = found.filter(|found| declared != Declared::Kind(*found));
    let Some(other) = other else {
        // Nobody knows what an application makes of a torn document, so rules see it as it is.
        if outcome.is_err() || (matches!(declared, Declared::Text) && !text.is_empty()) {
            request.add(Collection::ArgsPost, WHOLE, text);
        }
        return outcome;
    };
    if let Declared::Kind(kind) = declared {
        let note = format!("said to be {} and looks like {}", kind.name(), other.name());
        request.add(Collection::ReqbodyNotes, b"mismatch", note.as_bytes());
    }
    let second = read(request, text, other, about);
    // Markup in a text is HTML more often than XML, and then its elements matter.
    if second.is_err() || (other == Processor::Xml && matches!(declared, Declared::Text)) {
        request.add(Collection::ArgsPost, WHOLE, text);
    }
    outcome.or_else(|fault| second.map_err(|_| fault))
}

/// Whether a fault may be nothing but the missing rest of a body that is longer than what is held.
fn is_cut(fault: &BodyError, kind: Option<Processor>) -> bool {
    kind != Some(Processor::Multipart) || fault.0.ends_with(multipart::NO_END)
}

/// Whether a form of this text is one pair without a value.
fn is_one_name(text: &[u8]) -> bool {
    memchr::memchr2(b'=', b'&', text).is_none()
}

fn read(request: &mut Request, text: &[u8], kind: Processor, about: About<'_>) -> Result<(), BodyError> {
    match kind {
        Processor::UrlEncoded => {
            add_arguments(request, Collection::ArgsPost, text.trim_ascii());
            Ok(())
        }
        Processor::Json => json::read(text, about.depth, &mut |name, value| {
            request.add(Collection::ArgsPost, name, value);
        }),
        Processor::Xml => xml::read(request, text, about.depth, true),
        Processor::Multipart => {
            let declared = matches!(sniff::declared(about.content_type), Declared::Kind(Processor::Multipart));
            let guessed = if declared { about.content_type.to_vec() } else { sniff::multipart_type(text) };
            multipart::read(request, text, &guessed, &mut |request, part| read_part(request, part, about.depth))
        }
    }
}

/// What a part has beyond what strict rules see: its transfer coding and charset undone, and documents that it says it has.
pub(super) fn read_part(request: &mut Request, part: &Part<'_>, depth: usize) {
    let uncoded = uncoded(request, part);
    let content = uncoded.as_deref().unwrap_or(part.content);
    let charset = part.header("content-type").and_then(|kind| charset_of(request, kind));
    let charset = charset.filter(|one| *one != Charset::Plain).or_else(|| Charset::of_beginning(content));
    let decoded = charset.and_then(|charset| charset.decode(content));
    let text = decoded.as_deref().unwrap_or(content);
    if (uncoded.is_some() || decoded.is_some()) && part.file.is_none() {
        request.add(Collection::ArgsPost, &part.name, text);
    }
    let declared = sniff::declared(part.header("content-type").unwrap_or_default());
    let kind = match declared {
        Declared::Kind(kind) => Some(kind),
        _ => None,
    };
    match kind {
        Some(Processor::UrlEncoded) => add_arguments(request, Collection::ArgsPost, text),
        // Fields are looked into with all other values.
        _ if part.file.is_none() => {}
        Some(Processor::Json) => {
            let _ = json::read(text, depth, &mut |name, value| {
                request.add(Collection::ArgsPost, &[&nested::short(&part.name), &b"."[..], name].concat(), value);
            });
        }
        Some(Processor::Xml) => {
            let _ = xml::read(request, text, depth, true);
        }
        _ => {}
    }
}

/// A part without its transfer coding. Source: RFC 2045, section 6; RFC 7578 section 4.7 has it no more, readers still do.
fn uncoded(request: &mut Request, part: &Part<'_>) -> Option<Vec<u8>> {
    let coding = part.header("content-transfer-encoding")?.to_ascii_lowercase();
    match coding.as_slice() {
        b"base64" => Some(super::base64::bytes(part.content)),
        b"quoted-printable" => Some(unquoted(part.content)),
        b"7bit" | b"8bit" | b"binary" | b"" => None,
        other => {
            request.add(Collection::ReqbodyNotes, b"transferEncoding", &other[..other.len().min(32)]);
            None
        }
    }
}

/// Quoted-printable as bytes: `=3C`, and `=` at the end of a line for none. Source: RFC 2045, section 6.7.
fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'=' {
            joined.push(*first);
        } else if let [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] = after {
            rest = after;
        } else if let Some(pair) = after.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit)) {
            joined.extend_from_slice(&percent_decoded(&[b'%', pair[0], pair[1]]));
            rest = &after[2..];
        } else {
            joined.push(b'=');
        }
    }
    joined
}

/// The charset that a content type names; a note for one that is not read, or for two.
fn charset_of(request: &mut Request, content_type: &[u8]) -> Option<Charset> {
    let parameters = multipart::parameters(content_type).unwrap_or_default();
    let mut named = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"charset")).map(|(_, value)| value);
    let first = named.next()?;
    let known = Charset::named(first);
    if known.is_none() || named.any(|other| !other.eq_ignore_ascii_case(first)) {
        request.add(Collection::ReqbodyNotes, b"charset", &first[..first.len().min(64)]);
    }
    known
}

fn is_wide(charset: Charset) -> bool {
    !matches!(charset, Charset::Plain | Charset::Utf7 | Charset::Ebcdic)
}

/// Adds arguments as another charset has them, and the body as a whole when it is a document in it.
fn decode_values(request: &mut Request, body: &[u8], charset: Charset, depth: usize) {
    let values: Vec<_> = request
        .of(Collection::ArgsPost)
        .filter_map(|value| Some((charset.decode(value.name)?, charset.decode(value.value)?)))
        .collect();
    for (name, value) in values {
        request.add(Collection::ArgsPost, &name, &value);
    }
    let Some(whole) = charset.decode(body) else { return };
    let about = About { content_type: b"", depth, whole: false, forced: false };
    if let Some(kind) = sniff::body(&whole) {
        let _ = read(request, &whole, kind, about);
    }
}
