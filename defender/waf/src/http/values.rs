//! What a head tells the rules.

use super::{Head, target};
use crate::{
    body::Processor,
    value::{Collection, Request},
};

/// Adds everything that the head tells: request line, target, query's arguments, header fields, cookies.
/// Source: `ModSecurity` reference manual v3, "Variables".
pub fn fill_head(request: &mut Request, head: &Head) {
    request.reserve(head.headers().len() + 32, 2 * head.len() + 128);
    request.set(Collection::RequestLine, head.line());
    request.set(Collection::RequestMethod, head.method());
    // A request line without a protocol is that of HTTP/0.9.
    let protocol = if head.protocol().is_empty() { b"HTTP/0.9" } else { head.protocol() };
    request.set(Collection::RequestProtocol, protocol);
    request.set(Collection::RequestUriRaw, head.target());
    let uri = without_authority(head.target());
    request.set(Collection::RequestUri, uri);
    // A fragment never comes over the wire; what follows a `#` belongs to what stands before it.
    let (path, query) = match memchr::memchr(b'?', uri) {
        Some(mark) => (&uri[..mark], &uri[mark + 1..]),
        None => (uri, &b""[..]),
    };
    let path = decoded(path, false);
    request.set(Collection::RequestFilename, &path);
    let base = memchr::memrchr2(b'/', b'\\', &path).map_or(&path[..], |slash| &path[slash + 1..]);
    request.set(Collection::RequestBasename, base);
    request.set(Collection::QueryString, query);
    add_arguments(request, Collection::ArgsGet, query);
    set_combined_size(request);
    let processor = head.header("content-type").and_then(Processor::of_content_type);
    request.set(Collection::ReqbodyProcessor, processor.map_or("", Processor::name).as_bytes());
    for header in head.headers() {
        request.add(Collection::RequestHeaders, header.name, header.value);
        if header.name.eq_ignore_ascii_case(b"cookie") {
            add_cookies(request, header.value);
        }
    }
}

/// Adds the arguments of a query or a form: `a=1&b=2`, names and values decoded.
/// Source: WHATWG URL, "application/x-www-form-urlencoded parsing".
pub fn add_arguments(request: &mut Request, collection: Collection, text: &[u8]) {
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let value = pair.get(equals + 1..).unwrap_or_default();
        request.add(collection, &percent_decoded(&pair[..equals]), &percent_decoded(value));
    }
}

/// Counts the bytes of all arguments that are known so far, names and values.
pub(crate) fn set_combined_size(request: &mut Request) {
    let size: usize = request.of(Collection::Args).map(|value| value.name.len() + value.value.len()).sum();
    request.set(Collection::ArgsCombinedSize, size.to_string().as_bytes());
}

/// `%41` and `+` decoded; a `%` without two hexadecimal digits stays as it is.
#[must_use]
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    decoded(text, true)
}

fn decoded(text: &[u8], plus: bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) if plus => decoded.push(b' '),
            (b'%', [high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(digit(*high) << 4 | digit(*low));
                rest = &after[2..];
            }
            _ => decoded.push(*first),
        }
    }
    decoded
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

/// The target without scheme and host, when it is absolute (RFC 9112, section 3.2.2).
fn without_authority(target: &[u8]) -> &[u8] {
    let Some(authority) = target::authority(target) else { return target };
    let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(authority.len());
    &authority[end..]
}

/// Cookies of one field, as they came: nothing is decoded. Source: RFC 6265, section 4.2.1.
fn add_cookies(request: &mut Request, text: &[u8]) {
    for pair in text.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        request.add(Collection::RequestCookies, &pair[..equals], pair.get(equals + 1..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::read_head;

    fn request(text: &str) -> Request {
        let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
        let mut request = Request::new();
        fill_head(&mut request, &head);
        request
    }

    #[test]
    fn the_target_is_taken_apart() {
        let request = request("GET http://shop.test/a%20b/c.php?x=1%3d&y=%zz&z HTTP/1.1\r\nHost: shop.test\r\n\r\n");

        assert_eq!(request.first(Collection::RequestUri, b""), Some(&b"/a%20b/c.php?x=1%3d&y=%zz&z"[..]));
        assert_eq!(request.first(Collection::RequestFilename, b""), Some(&b"/a b/c.php"[..]));
        assert_eq!(request.first(Collection::RequestBasename, b""), Some(&b"c.php"[..]));
        assert_eq!(request.first(Collection::Args, b"x"), Some(&b"1="[..]));
        assert_eq!(request.first(Collection::Args, b"y"), Some(&b"%zz"[..]));
        assert_eq!(request.first(Collection::Args, b"z"), Some(&b""[..]));
        assert_eq!(request.first(Collection::ArgsCombinedSize, b""), Some(&b"8"[..]));
    }

    #[test]
    fn a_request_without_a_protocol_is_of_the_oldest() {
        assert_eq!(request("GET / \r\n\r\n").first(Collection::RequestProtocol, b""), Some(&b"HTTP/0.9"[..]));
    }

    #[test]
    fn cookies_stay_as_they_are() {
        let request = request("GET / HTTP/1.1\r\nCookie: a=b=c%20; d ;;\r\n\r\n");

        assert_eq!(request.first(Collection::RequestCookies, b"a"), Some(&b"b=c%20"[..]));
        assert_eq!(request.of(Collection::RequestCookiesNames).count(), 2);
    }
}
