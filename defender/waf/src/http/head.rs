//! The head of a request: request line and header fields.

use std::ops::Range;

use thiserror::Error;

use super::target;

/// Bytes that a head may have.
pub const MAX_HEAD: usize = 64 << 10;
/// Header fields that a head may have.
const MAX_FIELDS: usize = 256;

/// A request's head, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    bytes: Vec<u8>,
    line: Range<usize>,
    method: Range<usize>,
    target: Range<usize>,
    protocol: Range<usize>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    version: Version,
    framing: Framing,
}

/// Which version of HTTP a request line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// None at all (HTTP/0.9), or one that is not spoken this way, such as `HTTP/4.0`. Rules judge it, nobody answers it: 505
    /// at best (RFC 9110, section 15.6.6).
    Unspoken,
}

/// A header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name, as it came.
    pub name: &'a [u8],
    /// Its value without the blanks around it.
    pub value: &'a [u8],
}

/// Where the body ends. Source: RFC 9112, section 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
}

/// Why a head is not let through to the rules at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Longer than [`MAX_HEAD`], or more fields than are allowed.
    #[error("the head is too large")]
    TooLarge,
    /// A line ends with LF alone, or has a CR or NUL within (RFC 9112, section 2.2).
    #[error("a line of the head has a bare CR, a bare LF or a NUL")]
    BareLineEnd,
    /// The request line has no target, or a method that is no token (RFC 9112, section 3).
    #[error("the request line is not `METHOD TARGET HTTP/1.x`")]
    RequestLine,
    /// A target of none of the four forms, or with a blank, a control character or a `#` (RFC 9112, section 3.2).
    #[error("the request's target has none of the forms that a target has")]
    Target,
    /// What stands in the protocol's place is no version of HTTP (RFC 9112, section 2.3).
    #[error("the protocol is no version of HTTP")]
    Version,
    /// A field's line begins with a blank (obsolete folding; RFC 9112, section 5.2).
    #[error("a header field is folded over several lines")]
    Folded,
    /// No colon, an empty name, or a name that is no token (RFC 9110, section 5.1).
    #[error("a header field's name is no token")]
    FieldName,
    /// `Content-Length` more than once, or no number (RFC 9112, section 6.2).
    #[error("the content length is no single number")]
    ContentLength,
    /// `Transfer-Encoding` that is not `chunked` alone, or in HTTP/1.0 (RFC 9112, section 6.1).
    #[error("the transfer coding is not `chunked` alone")]
    TransferEncoding,
    /// Both of them: the way of request smuggling (RFC 9112, section 6.1).
    #[error("both content length and transfer coding say where the body ends")]
    TwoLengths,
    /// `Host` more than once (RFC 9112, section 3.2), or another than an absolute target's: who looks at the one sees another
    /// request than who looks at the other (section 3.2.2).
    #[error("there is more than one host")]
    TwoHosts,
    /// `Host` that is neither a name nor an address; empty in HTTP/1.1 (RFC 9112, section 3.2).
    #[error("the host is neither a name nor an address")]
    Host,
}

impl Head {
    /// The request line without its line end.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.bytes[self.line.clone()]
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        &self.bytes[self.method.clone()]
    }

    /// The target, as it came.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        &self.bytes[self.target.clone()]
    }

    /// The protocol, such as `HTTP/1.1`.
    #[must_use]
    pub fn protocol(&self) -> &[u8] {
        &self.bytes[self.protocol.clone()]
    }

    /// Which version that is.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The header fields in their order.
    #[must_use]
    pub fn headers(&self) -> impl ExactSizeIterator<Item = Header<'_>> {
        self.fields
            .iter()
            .map(|(name, value)| Header { name: &self.bytes[name.clone()], value: &self.bytes[value.clone()] })
    }

    /// The first field of a name, compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|header| header.name.eq_ignore_ascii_case(name.as_bytes())).map(|header| header.value)
    }

    /// Where the body ends.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }
}

/// Reads a head from the bytes that came so far: nothing while it is not whole, else the head and how many bytes it took.
///
/// # Errors
/// [`Refusal`]: the connection is to be answered 400 (431 when too large) and closed, for nobody knows where a next request
/// would begin.
pub fn read_head(received: &[u8]) -> Result<Option<(Head, usize)>, Refusal> {
    // An empty line before the request line is passed over (RFC 9112, section 2.2).
    let start = if received.starts_with(b"\r\n") { 2 } else { 0 };
    let searched = &received[start..received.len().min(start + MAX_HEAD)];
    let Some(length) = memchr::memmem::find(searched, b"\r\n\r\n") else {
        check_line_ends(searched)?;
        return if searched.len() == MAX_HEAD { Err(Refusal::TooLarge) } else { Ok(None) };
    };
    let bytes = searched[..length + 2].to_vec();
    check_line_ends(&bytes)?;
    Ok(Some((whole(bytes)?, start + length + 4)))
}

/// Every LF has its CR, every CR its LF, and nothing is NUL; the last byte may be a CR whose LF is not there yet.
pub(super) fn check_line_ends(bytes: &[u8]) -> Result<(), Refusal> {
    for index in memchr::memchr3_iter(b'\r', b'\n', 0, bytes) {
        let paired = match bytes[index] {
            b'\r' => bytes.get(index + 1).is_none_or(|next| *next == b'\n'),
            b'\n' => index > 0 && bytes[index - 1] == b'\r',
            _ => false,
        };
        if !paired {
            return Err(Refusal::BareLineEnd);
        }
    }
    Ok(())
}

fn whole(bytes: Vec<u8>) -> Result<Head, Refusal> {
    let line_end = memchr::memchr(b'\r', &bytes).ok_or(Refusal::RequestLine)?;
    let line = 0..line_end;
    let [method, target, protocol] = request_line(&bytes[line.clone()])?;
    let version = version(&bytes[protocol.clone()])?;
    let fields = fields(&bytes, line_end + 2)?;
    let named = |name: &str| -> Vec<&[u8]> {
        let of_name = |field: &&Field| bytes[field.0.clone()].eq_ignore_ascii_case(name.as_bytes());
        fields.iter().filter(of_name).map(|(_, value)| &bytes[value.clone()]).collect()
    };
    match named("host")[..] {
        [_, _, ..] => return Err(Refusal::TwoHosts),
        // Before HTTP/1.1 nobody had to say a host.
        [[]] if version != Version::Http11 => {}
        [host] if !target::is_host(host) => return Err(Refusal::Host),
        _ => {}
    }
    check_target_host(&bytes[target.clone()], named("host").first().copied())?;
    let framing = framing(&named("content-length"), &named("transfer-encoding"), version)?;
    Ok(Head { bytes, line, method, target, protocol, fields, version, framing })
}

/// The host of an absolute target is one, and the one that `Host` names, if it does.
fn check_target_host(target: &[u8], host: Option<&[u8]>) -> Result<(), Refusal> {
    let Some(named) = target::host(target) else { return Ok(()) };
    if !target::is_host(named) {
        return Err(Refusal::Target);
    }
    let without_port = |host: &[u8]| {
        let host = host.to_ascii_lowercase();
        host.strip_suffix(b":80").or(host.strip_suffix(b":443")).map_or(host.clone(), <[u8]>::to_vec)
    };
    match host {
        Some(host) if without_port(host) != without_port(named) => Err(Refusal::TwoHosts),
        _ => Ok(()),
    }
}

/// Method, target and protocol; the last may be missing or empty, as in HTTP/0.9.
fn request_line(line: &[u8]) -> Result<[Range<usize>; 3], Refusal> {
    let first = memchr::memchr(b' ', line).ok_or(Refusal::RequestLine)?;
    if first == 0 || !line[..first].iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::RequestLine);
    }
    let after = &line[first + 1..];
    let length = memchr::memrchr(b' ', after).unwrap_or(after.len());
    let target = first + 1..first + 1 + length;
    if length == 0 {
        return Err(Refusal::RequestLine);
    }
    if !target::is_target(&line[..first], &line[target.clone()]) {
        return Err(Refusal::Target);
    }
    Ok([0..first, target.clone(), (target.end + 1).min(line.len())..line.len()])
}

/// The version that the protocol names. Source: RFC 9112, section 2.3; HTTP/2 and later are also written without a minor one.
fn version(protocol: &[u8]) -> Result<Version, Refusal> {
    match protocol {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        b""
        | [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9']
        | [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9', b'.', b'0'..=b'9'] => Ok(Version::Unspoken),
        _ => Err(Refusal::Version),
    }
}

pub(super) type Field = (Range<usize>, Range<usize>);

pub(super) fn fields(bytes: &[u8], mut start: usize) -> Result<Vec<Field>, Refusal> {
    let mut fields = Vec::with_capacity(16);
    while start < bytes.len() {
        let end = start + memchr::memchr(b'\r', &bytes[start..]).ok_or(Refusal::BareLineEnd)?;
        if matches!(bytes[start], b' ' | b'\t') {
            return Err(Refusal::Folded);
        }
        let colon = start + memchr::memchr(b':', &bytes[start..end]).ok_or(Refusal::FieldName)?;
        if colon == start || !bytes[start..colon].iter().all(|byte| is_token(*byte)) {
            return Err(Refusal::FieldName);
        }
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let before = bytes[colon + 1..end].iter().take_while(|byte| blank(byte)).count();
        let value_start = colon + 1 + before;
        let after = bytes[value_start..end].iter().rev().take_while(|byte| blank(byte)).count();
        fields.push((start..colon, value_start..end - after));
        if fields.len() > MAX_FIELDS {
            return Err(Refusal::TooLarge);
        }
        start = end + 2;
    }
    Ok(fields)
}

fn framing(lengths: &[&[u8]], codings: &[&[u8]], version: Version) -> Result<Framing, Refusal> {
    match (lengths, codings) {
        ([], []) => Ok(Framing::None),
        ([length], []) => {
            let digits = !length.is_empty() && length.len() < 19 && length.iter().all(u8::is_ascii_digit);
            let number = digits.then(|| length.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
            number.map(Framing::Length).ok_or(Refusal::ContentLength)
        }
        ([], [coding]) if version == Version::Http11 && coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([], _) => Err(Refusal::TransferEncoding),
        (_, []) => Err(Refusal::ContentLength),
        _ => Err(Refusal::TwoLengths),
    }
}

/// A byte of a token. Source: RFC 9110, section 5.6.2.
#[must_use]
pub fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Which bytes those are.
static TOKEN: [bool; 256] = {
    let signs = b"!#$%&'*+-.^_`|~";
    let mut token = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        token[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < signs.len() {
        token[signs[at] as usize] = true;
        at += 1;
    }
    token
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> Refusal {
        read_head(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_head_keeps_its_bytes() {
        let text = b"GET /a?b=%20 HTTP/1.1\r\nHost: shop\r\nx-Odd:\t a b \t\r\nContent-Length: 3\r\n\r\nabc";
        let (head, taken) = read_head(text).unwrap().unwrap();

        assert_eq!((head.method(), head.target(), head.protocol()), (&b"GET"[..], &b"/a?b=%20"[..], &b"HTTP/1.1"[..]));
        assert_eq!(head.header("X-ODD"), Some(&b"a b"[..]));
        assert_eq!((head.framing(), &text[taken..]), (Framing::Length(3), &b"abc"[..]));
    }

    #[test]
    fn what_smuggles_is_refused() {
        let with = |fields: &str| refused(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"));

        assert_eq!(with("Content-Length: 1\r\nTransfer-Encoding: chunked"), Refusal::TwoLengths);
        assert_eq!(with("Content-Length: 1\r\nContent-Length: 1"), Refusal::ContentLength);
        assert_eq!(with("Content-Length: +1"), Refusal::ContentLength);
        assert_eq!(with("Content-Length: 1, 1"), Refusal::ContentLength);
        assert_eq!(with("Transfer-Encoding: gzip, chunked"), Refusal::TransferEncoding);
        assert_eq!(with("Transfer-Encoding: xchunked"), Refusal::TransferEncoding);
        assert_eq!(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Refusal::TransferEncoding);
        assert_eq!(with("Transfer-Encoding : chunked"), Refusal::FieldName);
        assert_eq!(with("X: a\r\n b"), Refusal::Folded);
        assert_eq!(with("X: a\nY: b"), Refusal::BareLineEnd);
        assert_eq!(with("X: a\rb"), Refusal::BareLineEnd);
        assert_eq!(with("Host: b"), Refusal::TwoHosts);
        assert_eq!(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Refusal::TransferEncoding);
    }

    #[test]
    fn request_lines_have_three_parts() {
        for line in ["GET", " / HTTP/1.1", "\tGET / HTTP/1.1", "GET  HTTP/1.1", "G(T / HTTP/1.1"] {
            assert_eq!(refused(&format!("{line}\r\n\r\n")), Refusal::RequestLine, "{line}");
        }
        for line in ["GET /a b HTTP/1.1", "GET /#a HTTP/1.1", "GET a HTTP/1.1", "CONNECT a HTTP/1.1"] {
            assert_eq!(refused(&format!("{line}\r\n\r\n")), Refusal::Target, "{line}");
        }
    }

    #[test]
    fn rules_see_versions_that_nobody_speaks() {
        for line in ["GET /", "GET / ", "GET / HTTP/2", "GET / HTTP/4.0"] {
            let (head, _) = read_head(format!("{line}\r\n\r\n").as_bytes()).unwrap().unwrap();
            assert_eq!((head.version(), head.target()), (Version::Unspoken, &b"/"[..]), "{line}");
        }
        for line in ["GET / HTTP/0.9", "GET / 1.1", "GET / JUNK/1.0", "GET / HTTP/1.10", "GET / http/1.1"] {
            assert_eq!(refused(&format!("{line}\r\n\r\n")), Refusal::Version, "{line}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        let with = |version: &str, host: &str| read_head(format!("GET / {version}\r\nHost: {host}\r\n\r\n").as_bytes());

        assert_eq!(with("HTTP/1.1", "a%00"), Err(Refusal::Host));
        assert_eq!(with("HTTP/1.1", "a/b"), Err(Refusal::Host));
        assert_eq!(with("HTTP/1.1", ""), Err(Refusal::Host));
        assert!(with("HTTP/1.0", "").is_ok());
    }

    #[test]
    fn too_much_is_refused_before_it_is_whole() {
        assert_eq!(refused(&"x".repeat(MAX_HEAD)), Refusal::TooLarge);
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(300))), Refusal::TooLarge);
    }

    proptest! {
        /// However a head is cut, reading is the same as in one piece, or wants more.
        #[test]
        fn a_cut_head_wants_more(fields in "(([a-z]{1,4}|host|content-length): ?[ -~]{0,6}\r?\n){0,4}", cut in 0_usize..80) {
            let text = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            let cut = cut.min(text.len());
            if let Ok(Some(found)) = read_head(&text.as_bytes()[..cut]) {
                prop_assert_eq!(Ok(Some(found)), read_head(text.as_bytes()));
            }
        }

        /// No bytes make the reader panic.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_head(&bytes);
        }
    }
}
