//! The head of an application's response, read strictly. Sources: RFC 9112, sections 4 and 6.3; RFC 9110, section 5.
//!
//! An attacker who can make an application write two responses where it means one (response splitting) must not get the
//! second to the next client: whatever is ambiguous about where a response ends is refused, and its connection closed.

use defender_waf::{firewall::ResponseHead, http::is_token};
use thiserror::Error;

/// Bytes that a response's head may have.
pub const MOST_HEAD: usize = 64 << 10;
/// Header fields that it may have.
const MOST_FIELDS: usize = 256;

/// Where a response's body ends. Source: RFC 9112, section 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// The end of the connection.
    Close,
}

/// A response's head as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Status and header fields.
    pub head: ResponseHead,
    /// The reason phrase, for people.
    pub reason: Vec<u8>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection can serve another request afterwards.
    pub persistent: bool,
}

/// Why a response is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadResponse {
    /// Longer than [`MOST_HEAD`], or more fields than are allowed.
    #[error("the application's response head is too large")]
    TooLarge,
    /// Not `HTTP/1.x nnn …`.
    #[error("the application's status line is malformed")]
    StatusLine,
    /// A field whose name is no token, a folded line, a bare CR, LF or NUL.
    #[error("a header field of the application's response is malformed")]
    Field,
    /// Lengths or codings that say two things.
    #[error("the application's response does not say where its body ends")]
    Framing,
}

/// Reads a head from the bytes that came so far: nothing while it is not whole, else the head and how many bytes it took.
///
/// `method` is the request's: what it was decides whether there is a body.
///
/// # Errors
/// [`BadResponse`]; nothing of the connection can be understood any more.
pub fn read(received: &[u8], method: &[u8]) -> Result<Option<(Parsed, usize)>, BadResponse> {
    let searched = &received[..received.len().min(MOST_HEAD)];
    let Some(length) = memchr::memmem::find(searched, b"\r\n\r\n") else {
        return if searched.len() == MOST_HEAD { Err(BadResponse::TooLarge) } else { Ok(None) };
    };
    let mut lines = Lines(&received[..length + 2]);
    let (status, reason, latest) = status_line(lines.next_line()?.ok_or(BadResponse::StatusLine)?)?;
    let mut headers = Vec::with_capacity(16);
    while let Some(line) = lines.next_line()? {
        headers.push(field(line)?);
        if headers.len() > MOST_FIELDS {
            return Err(BadResponse::TooLarge);
        }
    }
    let framing = framing(&headers, method, status, latest)?;
    let closes = connection_options(&headers).any(|option| option.eq_ignore_ascii_case(b"close"));
    let keeps = latest || connection_options(&headers).any(|option| option.eq_ignore_ascii_case(b"keep-alive"));
    let persistent = keeps && !closes && framing != Framing::Close;
    let head = ResponseHead { status, headers };
    Ok(Some((Parsed { head, reason, framing, persistent }, length + 4)))
}

/// Lines that end with CR LF, and have neither of them, nor NUL, within.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Result<Option<&'a [u8]>, BadResponse> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let end = memchr::memchr3(b'\r', b'\n', 0, self.0).ok_or(BadResponse::Field)?;
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\r\n").ok_or(BadResponse::Field)?;
        Ok(Some(line))
    }
}

/// Status, reason phrase, and whether it is HTTP/1.1. Source: RFC 9112, section 4.
fn status_line(line: &[u8]) -> Result<(u16, Vec<u8>, bool), BadResponse> {
    let (version, rest) = line.split_at_checked(9).ok_or(BadResponse::StatusLine)?;
    let latest = match version {
        b"HTTP/1.1 " => true,
        b"HTTP/1.0 " => false,
        _ => return Err(BadResponse::StatusLine),
    };
    let (digits, reason) = rest.split_at_checked(3).ok_or(BadResponse::StatusLine)?;
    // The blank before an empty reason is left out by many.
    let reason = if reason.is_empty() { reason } else { reason.strip_prefix(b" ").ok_or(BadResponse::StatusLine)? };
    let valid = matches!(digits[0], b'1'..=b'9') && digits.iter().all(u8::is_ascii_digit);
    let status = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0')));
    if valid { Ok((status, reason.to_vec(), latest)) } else { Err(BadResponse::StatusLine) }
}

fn field(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BadResponse> {
    let colon = memchr::memchr(b':', line).ok_or(BadResponse::Field)?;
    let name = &line[..colon];
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(BadResponse::Field);
    }
    Ok((name.to_vec(), line[colon + 1..].trim_ascii().to_vec()))
}

/// The values of all fields of a name, compared without regard to case.
pub(super) fn named<'a>(headers: &'a [(Vec<u8>, Vec<u8>)], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let wanted = move |field: &&(Vec<u8>, Vec<u8>)| field.0.eq_ignore_ascii_case(name.as_bytes());
    headers.iter().filter(wanted).map(|(_, value)| value.as_slice())
}

/// The options of `Connection`. Source: RFC 9110, section 7.6.1.
pub(super) fn connection_options(headers: &[(Vec<u8>, Vec<u8>)]) -> impl Iterator<Item = &[u8]> {
    named(headers, "connection").flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// RFC 9112, section 6.3, less every liberty that it gives.
fn framing(headers: &[(Vec<u8>, Vec<u8>)], method: &[u8], status: u16, latest: bool) -> Result<Framing, BadResponse> {
    let mut lengths = named(headers, "content-length");
    let mut codings = named(headers, "transfer-encoding");
    let stated = match (lengths.next(), codings.next()) {
        (None, None) => Framing::Close,
        (Some(length), None) if lengths.next().is_none() => Framing::Length(number(length)?),
        (None, Some(coding)) if codings.next().is_none() && latest && coding.eq_ignore_ascii_case(b"chunked") => {
            Framing::Chunked
        }
        _ => return Err(BadResponse::Framing),
    };
    let without = method == b"HEAD" || matches!(status, 100..=199 | 204 | 304);
    Ok(if without { Framing::None } else { stated })
}

fn number(text: &[u8]) -> Result<u64, BadResponse> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return Err(BadResponse::Framing);
    }
    Ok(text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str, method: &str) -> Parsed {
        read(text.as_bytes(), method.as_bytes()).unwrap().unwrap().0
    }

    /// Where the body ends follows from method, status and fields, as RFC 9112 orders them.
    #[test]
    fn bodies_end_where_they_say() {
        for (text, method, framing) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", Framing::Length(5)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", Framing::None),
            ("HTTP/1.1 204 No Content\r\n\r\n", "GET", Framing::None),
            ("HTTP/1.1 304\r\nContent-Length: 5\r\n\r\n", "GET", Framing::None),
            ("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", "GET", Framing::None),
            ("HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", "GET", Framing::Chunked),
            ("HTTP/1.1 200 OK\r\n\r\n", "GET", Framing::Close),
        ] {
            assert_eq!(parsed(text, method).framing, framing, "{text:?}");
        }
    }

    /// A connection serves on unless its version or its options say that it does not.
    #[test]
    fn connections_persist_or_not() {
        for (text, persistent) in [
            ("HTTP/1.1 204 A\r\n\r\n", true),
            ("HTTP/1.1 204 A\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 204 A\r\n\r\n", false),
            ("HTTP/1.0 204 A\r\nConnection: keep-alive\r\n\r\n", true),
            ("HTTP/1.1 200 A\r\n\r\n", false),
        ] {
            assert_eq!(parsed(text, "GET").persistent, persistent, "{text:?}");
        }
    }

    /// What two readers could end in two places is refused.
    #[test]
    fn ambiguous_responses_are_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
        ] {
            assert!(read(text.as_bytes(), b"GET").is_err(), "{text:?}");
        }
    }

    proptest! {
        /// No bytes make it panic, and what it takes is no more than there is.
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..200), method in "[A-Z]{1,4}") {
            let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
            bytes.extend_from_slice(&text);
            if let Ok(Some((_, taken))) = read(&bytes, method.as_bytes()) {
                prop_assert!(taken <= bytes.len());
            }
        }

        /// However a head is cut, it is read as it is whole.
        #[test]
        fn a_cut_head_is_awaited(cut in 0..50usize) {
            let text = b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 3\r\n\r\n";
            prop_assert_eq!(read(&text[..cut.min(text.len() - 1)], b"GET"), Ok(None));
        }
    }
}
