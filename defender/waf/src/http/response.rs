//! The head of a response: status line, header fields, and where the body ends.

use thiserror::Error;

use super::{
    Version,
    head::{Field, MAX_HEAD, Refusal, check_line_ends, fields},
};

/// A response's head, as an application sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    bytes: Vec<u8>,
    fields: Vec<Field>,
    version: Version,
    status: u16,
    end: BodyEnd,
}

/// Where a response's body ends. Source: RFC 9112, section 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// There is no body: `HEAD`, 1xx, 204, 304, or a length of 0. Another head follows a 1xx but 101.
    Now,
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection.
    Close,
    /// There is no body and no HTTP after the head: 101, or 2xx to `CONNECT`.
    Tunnel,
}

/// Why a response's head is not sent on: 502 instead, and the connection is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadResponse {
    /// The status line is not `HTTP/1.x NNN reason` (RFC 9112, section 4).
    #[error("the status line is not `HTTP/1.x NNN reason`")]
    StatusLine,
    /// Its fields are malformed, or too many.
    #[error("the response's head is malformed: {0}")]
    Fields(Refusal),
    /// Two lengths that differ, or none that is a number.
    #[error("the response's content length is no single number")]
    ContentLength,
    /// A transfer coding whose last is not `chunked`, or one beside a length.
    #[error("the response's transfer coding is not `chunked` alone")]
    TransferEncoding,
}

impl ResponseHead {
    /// The status, 100 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// HTTP/1.0 or HTTP/1.1.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The header fields in their order: name as it came, value without the blanks around it.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (&self.bytes[name.clone()], &self.bytes[value.clone()]))
    }

    /// The first field of a name, compared without regard to case.
    #[must_use]
    pub fn header(&self, wanted: &str) -> Option<&[u8]> {
        self.headers().find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes())).map(|(_, value)| value)
    }

    /// Where the body ends.
    #[must_use]
    pub fn body_end(&self) -> BodyEnd {
        self.end
    }

    /// Whether a field `Connection` has this option, such as `close`. Source: RFC 9110, section 7.6.1.
    #[must_use]
    pub fn connection(&self, option: &str) -> bool {
        self.headers().filter(|(name, _)| name.eq_ignore_ascii_case(b"connection")).any(|(_, value)| {
            value.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
        })
    }

    /// Whether the connection can have another request after the body. Source: RFC 9112, section 9.3.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        let kept = match self.version {
            Version::Http11 => !self.connection("close"),
            _ => self.connection("keep-alive") && !self.connection("close"),
        };
        kept && !matches!(self.end, BodyEnd::Close | BodyEnd::Tunnel)
    }
}

/// Reads the head of the response to a request of this method from the bytes that came so far: nothing while it is not whole,
/// else the head and how many bytes it took.
///
/// # Errors
/// [`BadResponse`].
pub fn read_response_head(received: &[u8], method: &[u8]) -> Result<Option<(ResponseHead, usize)>, BadResponse> {
    let searched = &received[..received.len().min(MAX_HEAD)];
    let Some(length) = memchr::memmem::find(searched, b"\r\n\r\n") else {
        check_line_ends(searched).map_err(BadResponse::Fields)?;
        return if searched.len() == MAX_HEAD { Err(BadResponse::Fields(Refusal::TooLarge)) } else { Ok(None) };
    };
    let bytes = searched[..length + 2].to_vec();
    check_line_ends(&bytes).map_err(BadResponse::Fields)?;
    let line_end = memchr::memchr(b'\r', &bytes).ok_or(BadResponse::StatusLine)?;
    let (version, status) = status_line(&bytes[..line_end])?;
    let fields = fields(&bytes, line_end + 2).map_err(BadResponse::Fields)?;
    let mut head = ResponseHead { bytes, fields, version, status, end: BodyEnd::Close };
    head.end = body_end(&head, method)?;
    Ok(Some((head, length + 4)))
}

/// Version and status; the reason may be missing with the blank before it, as some servers have it.
fn status_line(line: &[u8]) -> Result<(Version, u16), BadResponse> {
    let (version, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', rest @ ..] => (Version::Http11, rest),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', b' ', rest @ ..] => (Version::Http10, rest),
        _ => return Err(BadResponse::StatusLine),
    };
    match rest {
        [first @ b'1'..=b'9', second @ b'0'..=b'9', third @ b'0'..=b'9']
        | [first @ b'1'..=b'9', second @ b'0'..=b'9', third @ b'0'..=b'9', b' ', ..] => {
            let status = [first, second, third].iter().fold(0, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
            Ok((version, status))
        }
        _ => Err(BadResponse::StatusLine),
    }
}

/// The rules of RFC 9112, section 6.3, in their order.
fn body_end(head: &ResponseHead, method: &[u8]) -> Result<BodyEnd, BadResponse> {
    let named = |name: &'static str| {
        head.headers().filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    };
    let length = content_length(named("content-length"))?;
    let codings: Vec<&[u8]> = named("transfer-encoding").collect();
    // Both together are refused even where there is no body: the next reader may not know what was asked.
    if !codings.is_empty() && length.is_some() {
        return Err(BadResponse::TransferEncoding);
    }
    if head.status == 101 || (method == b"CONNECT" && (200..300).contains(&head.status)) {
        return Ok(BodyEnd::Tunnel);
    }
    if method == b"HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(BodyEnd::Now);
    }
    match (codings[..].first(), length) {
        (Some(coding), _) if codings.len() == 1 && coding.eq_ignore_ascii_case(b"chunked") => match head.version {
            Version::Http11 => Ok(BodyEnd::Chunked),
            _ => Err(BadResponse::TransferEncoding),
        },
        (Some(_), _) => Err(BadResponse::TransferEncoding),
        (None, Some(0)) => Ok(BodyEnd::Now),
        (None, Some(length)) => Ok(BodyEnd::Length(length)),
        (None, None) => Ok(BodyEnd::Close),
    }
}

/// The one number that all fields name, in lists too: equal ones may be repeated (RFC 9112, section 6.3, point 5).
fn content_length<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Result<Option<u64>, BadResponse> {
    let mut length = None;
    for text in fields.flat_map(|field| field.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
            return Err(BadResponse::ContentLength);
        }
        let number = text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if length.replace(number).is_some_and(|before| before != number) {
            return Err(BadResponse::ContentLength);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end(method: &str, text: &str) -> Result<BodyEnd, BadResponse> {
        let text = format!("HTTP/1.1 {text}\r\n\r\n");
        read_response_head(text.as_bytes(), method.as_bytes()).map(|found| found.unwrap().0.body_end())
    }

    /// Each rule of RFC 9112, section 6.3.
    #[test]
    fn bodies_end_where_the_standard_says() {
        assert_eq!(end("HEAD", "200 OK\r\nContent-Length: 5"), Ok(BodyEnd::Now));
        for status in ["100 Continue", "103 Early Hints", "204 No Content", "304 Not Modified\r\nContent-Length: 5"] {
            assert_eq!(end("GET", status), Ok(BodyEnd::Now), "{status}");
        }
        assert_eq!(end("CONNECT", "200 OK"), Ok(BodyEnd::Tunnel));
        assert_eq!(end("GET", "101 Switching Protocols\r\nUpgrade: websocket"), Ok(BodyEnd::Tunnel));
        assert_eq!(end("GET", "200 OK\r\nTransfer-Encoding: Chunked"), Ok(BodyEnd::Chunked));
        assert_eq!(end("GET", "200 OK\r\nContent-Length: 5"), Ok(BodyEnd::Length(5)));
        assert_eq!(end("GET", "200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5"), Ok(BodyEnd::Length(5)));
        assert_eq!(end("GET", "200 OK\r\nContent-Length: 0"), Ok(BodyEnd::Now));
        assert_eq!(end("GET", "200"), Ok(BodyEnd::Close));
    }

    /// What two readers could end at two places is refused: response splitting and smuggling from behind.
    #[test]
    fn ambiguous_responses_are_refused() {
        for (fields, wanted) in [
            ("Content-Length: 5\r\nContent-Length: 6", BadResponse::ContentLength),
            ("Content-Length: +5", BadResponse::ContentLength),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", BadResponse::TransferEncoding),
            ("Transfer-Encoding: gzip, chunked", BadResponse::TransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", BadResponse::TransferEncoding),
            ("X: a\r\n b", BadResponse::Fields(Refusal::Folded)),
            ("X : a", BadResponse::Fields(Refusal::FieldName)),
        ] {
            assert_eq!(end("GET", &format!("200 OK\r\n{fields}")), Err(wanted), "{fields}");
        }
        for line in
            ["HTTP/1.1 2000 OK", "HTTP/1.1 20 OK", "HTTP/2 200 OK", "ICY 200 OK", "HTTP/1.1  200", "HTTP/1.1 099 x"]
        {
            let text = format!("{line}\r\n\r\n");
            assert_eq!(read_response_head(text.as_bytes(), b"GET"), Err(BadResponse::StatusLine), "{line}");
        }
        let text = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read_response_head(text, b"GET"), Err(BadResponse::TransferEncoding));
    }

    /// Whether the connection is used again follows version, options and the body's end.
    #[test]
    fn connections_are_kept_as_the_standard_says() {
        let kept = |text: &str| {
            read_response_head(format!("{text}\r\n\r\n").as_bytes(), b"GET").unwrap().unwrap().0.keeps_alive()
        };

        assert!(kept("HTTP/1.1 200 OK\r\nContent-Length: 1"));
        assert!(!kept("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: foo, Close"));
        assert!(!kept("HTTP/1.1 200 OK"));
        assert!(!kept("HTTP/1.0 200 OK\r\nContent-Length: 1"));
        assert!(kept("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive"));
    }

    proptest! {
        /// However a head is cut, reading it is the same as in one piece, or wants more.
        #[test]
        fn a_cut_head_wants_more(fields in "(([a-z]{1,4}|content-length): ?[ -~]{0,6}\r?\n){0,4}", cut in 0_usize..80) {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            let cut = cut.min(text.len());
            if let Ok(Some(found)) = read_response_head(&text.as_bytes()[..cut], b"GET") {
                prop_assert_eq!(Ok(Some(found)), read_response_head(text.as_bytes(), b"GET"));
            }
        }

        /// Fields come back as they went in, blanks around values aside.
        #[test]
        fn fields_come_back(given in proptest::collection::vec(("[a-z-]{1,8}", "[!-~]([ -~]{0,10}[!-~])?"), 0..8)) {
            let text = given.iter().map(|(name, value)| format!("x{name}: {value} \r\n")).collect::<Vec<_>>().concat();
            let text = format!("HTTP/1.1 200 OK\r\n{text}\r\n");
            let (head, taken) = read_response_head(text.as_bytes(), b"GET").unwrap().unwrap();
            let found: Vec<_> = head.headers().map(|(name, value)| (name[1..].to_vec(), value.to_vec())).collect();
            let wanted: Vec<_> = given.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
            prop_assert_eq!((found, taken), (wanted, text.len()));
        }

        /// No bytes make the reader panic.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_response_head(&[b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat(), b"GET");
        }
    }
}
