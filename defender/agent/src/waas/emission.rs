//! Heads as the proxy writes them: made anew from what was understood, never copied.
//!
//! Fields that concern one connection only are left out (RFC 9110, section 7.6.1), those that say where a body ends are
//! made by whoever sends it.

use std::{io::Write as _, net::IpAddr};

use defender_waf::{
    firewall::{Answer, ResponseHead},
    http::{Head, is_token},
};

use super::response::named;

/// Fields of one connection only. `Trailer` goes with chunks, and requests of ours have no trailers.
const OF_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What `Connection` may not take away, though it names it: an application that goes by them must not be made blind.
const KEPT: [&str; 8] =
    ["authorization", "cookie", "forwarded", "host", "origin", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"];

/// How the body that follows is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// There is none, and nothing is said of its length.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the end of the connection.
    Close,
}

/// What is added to a request on its way.
#[derive(Debug, Clone, Copy)]
pub struct Passage {
    /// The connection's peer.
    pub peer: IpAddr,
    /// True when it is encrypted.
    pub secure: bool,
    /// Whether the peer is a proxy that is believed: then it is appended to `X-Forwarded-For`, and `X-Forwarded-Proto` is set
    /// where it is missing. Otherwise both are set anew: what clients say of themselves is not believed.
    pub believed: bool,
    /// True for a request to speak WebSocket.
    pub upgrade: bool,
    /// How the body is sent.
    pub body: Sent,
}

/// A request's head for the application, as HTTP/1.1. `authority` is the host of an absolute target.
#[must_use]
pub fn request(head: &Head, target: &[u8], authority: Option<&[u8]>, passage: &Passage) -> Vec<u8> {
    let length = head.headers().map(|field| field.name.len() + field.value.len() + 4).sum::<usize>();
    let mut out = Vec::with_capacity(head.line().len() + length + 192);
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let host = authority.or_else(|| head.header("host")).unwrap_or_default();
    add(&mut out, b"Host", host);
    let dropped: Vec<&[u8]> = options(head).collect();
    let trailers = head.headers().any(|field| is(field.name, "te") && has_word(field.value, b"trailers"));
    for field in head.headers() {
        let ours = is(field.name, "host") || is(field.name, "x-forwarded-for");
        // No extension may hide what frames say.
        let hides = passage.upgrade && is(field.name, "sec-websocket-extensions");
        let replaced = !passage.believed && is(field.name, "x-forwarded-proto");
        if !ours && !hides && !replaced && passes(field.name, &dropped) {
            add(&mut out, field.name, field.value);
        }
    }
    forwarded(&mut out, head, passage);
    if trailers && !passage.upgrade {
        out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n");
    }
    if passage.upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
    end(&mut out, passage.body);
    out
}

/// The addresses before us, and the scheme.
fn forwarded(out: &mut Vec<u8>, head: &Head, passage: &Passage) {
    let mut chain = Vec::with_capacity(64);
    let before = head.headers().filter(|field| passage.believed && is(field.name, "x-forwarded-for"));
    for field in before.filter(|field| !field.value.is_empty()) {
        chain.extend_from_slice(field.value);
        chain.extend_from_slice(b", ");
    }
    // Writing to memory cannot fail.
    let _ = write!(chain, "{}", passage.peer.to_canonical());
    add(out, b"X-Forwarded-For", &chain);
    if !passage.believed || head.header("x-forwarded-proto").is_none() {
        add(out, b"X-Forwarded-Proto", if passage.secure { b"https" } else { b"http" });
    }
}

/// A response's head for the client. `closes`: no other request is served on this connection.
#[must_use]
pub fn response(head: &ResponseHead, reason: &[u8], body: Sent, closes: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    // Writing to memory cannot fail.
    let _ = write!(out, "HTTP/1.1 {} ", head.status);
    out.extend(reason.iter().filter(|byte| !byte.is_ascii_control()));
    out.extend_from_slice(b"\r\n");
    let dropped: Vec<&[u8]> = super::response::connection_options(&head.headers).collect();
    for (name, value) in &head.headers {
        // What a response to HEAD, or one of status 304, says of a length is about another response.
        let length = body == Sent::Nothing && is(name, "content-length");
        let announced = body == Sent::Chunked && is(name, "trailer");
        if length || announced || passes(name, &dropped) {
            add(&mut out, name, value);
        }
    }
    if closes {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    end(&mut out, body);
    out
}

/// A switch of protocols: the only response whose `Upgrade` is the client's.
#[must_use]
pub fn switch(head: &ResponseHead, reason: &[u8]) -> Vec<u8> {
    let mut out = response(head, reason, Sent::Nothing, false);
    out.truncate(out.len() - 2);
    out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    out
}

/// A response of our own, with its body unless the request was HEAD.
#[must_use]
pub fn answer(answer: &Answer, head_only: bool, closes: bool) -> Vec<u8> {
    let headers = answer.headers.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()));
    let head = ResponseHead { status: answer.status, headers: headers.collect() };
    let bodyless = matches!(answer.status, 100..=199 | 204 | 304);
    let length = if bodyless { Sent::Nothing } else { Sent::Length(answer.body.len() as u64) };
    let mut out = response(&head, phrase(answer.status).as_bytes(), length, closes);
    if !head_only && !bodyless {
        out.extend_from_slice(&answer.body);
    }
    out
}

/// One chunk.
pub fn chunk(out: &mut Vec<u8>, piece: &[u8]) {
    // An empty one would be the last.
    if !piece.is_empty() {
        let _ = write!(out, "{:x}\r\n", piece.len());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
}

/// The end of chunks, with what is said after them. Fields that would change the meaning of what was sent are left out
/// (RFC 9110, section 6.5.1).
pub fn last_chunk(out: &mut Vec<u8>, trailers: &[(Vec<u8>, Vec<u8>)]) {
    const OF_HEAD: [&str; 6] = ["host", "set-cookie", "content-encoding", "content-type", "content-range", "location"];
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        if passes(name, &[]) && !OF_HEAD.iter().any(|own| is(name, own)) {
            add(out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn end(out: &mut Vec<u8>, body: Sent) {
    match body {
        Sent::Length(length) => {
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
        Sent::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Sent::Nothing | Sent::Close => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Nothing that is written may begin another line.
fn add(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return;
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value);
    if memchr::memchr3(b'\r', b'\n', 0, value).is_some() {
        out[start..].iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).for_each(|byte| *byte = b' ');
    }
    out.extend_from_slice(b"\r\n");
}

fn is(name: &[u8], wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted.as_bytes())
}

fn passes(name: &[u8], dropped: &[&[u8]]) -> bool {
    let named =
        dropped.iter().any(|option| name.eq_ignore_ascii_case(option)) && !KEPT.iter().any(|kept| is(name, kept));
    !named && !OF_CONNECTION.iter().any(|own| is(name, own))
}

/// The options of a request's `Connection`.
pub(super) fn options(head: &Head) -> impl Iterator<Item = &[u8]> {
    let fields = head.headers().filter(|field| is(field.name, "connection"));
    fields.flat_map(|field| field.value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// Whether a comma-separated list has a word.
pub(super) fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(word))
}

/// Whether a response's field of a name has a word.
pub(super) fn says(head: &ResponseHead, name: &str, word: &[u8]) -> bool {
    named(&head.headers, name).any(|value| has_word(value, word))
}

/// What people call a status that we answer. Source: RFC 9110, section 15.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
