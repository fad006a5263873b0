//! `multipart/form-data`. Sources: RFC 7578, RFC 2046 section 5.1.
//!
//! Applications read odd multipart bodies in different ways, which is how attacks pass unseen. Every oddity is an error here.

use super::BodyError;
use crate::value::{Collection, Request};

/// Parts that a body may have.
const MAX_PARTS: usize = 10_000;

/// Header lines that a part may have.
const MAX_LINES: usize = 32;

/// What is wrong with a body that was cut.
pub(crate) const NO_END: &str = "a part has no end";

/// A part of a body.
pub(crate) struct Part<'b> {
    /// The field's name.
    pub(crate) name: Vec<u8>,
    /// The file's name, of a file.
    pub(crate) file: Option<Vec<u8>>,
    /// Its header lines.
    pub(crate) lines: Vec<HeaderLine<'b>>,
    /// What is in it.
    pub(crate) content: &'b [u8],
}

impl Part<'_> {
    /// The value of its first header field of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.lines.iter().find(|line| line.0.eq_ignore_ascii_case(name.as_bytes())).map(|line| line.1)
    }
}

/// Adds fields as arguments, files with their names and sizes, and every part's header lines, each named by its part; `also`
/// is shown each part beside. The boundary is that of `content_type`.
///
/// # Errors
/// [`BodyError`] for what is no multipart body or an ambiguous one; `MULTIPART_STRICT_ERROR` is 1 then. What stood before the
/// fault was added.
pub(crate) fn read(
    request: &mut Request,
    body: &[u8],
    content_type: &[u8],
    also: &mut dyn FnMut(&mut Request, &Part<'_>),
) -> Result<(), BodyError> {
    let mut sizes = 0;
    let outcome = parts(body, content_type, &mut |part| {
        sizes += add(request, part);
        also(request, part);
    });
    request.set(Collection::FilesCombinedSize, sizes.to_string().as_bytes());
    let failed = if outcome.is_err() { b"1" } else { b"0" };
    request.set(Collection::MultipartStrictError, failed);
    request.set(Collection::MultipartUnmatchedBoundary, b"0");
    outcome
}

/// Adds what a part tells; gives the size of a file.
fn add(request: &mut Request, part: &Part<'_>) -> usize {
    for (_, _, line) in &part.lines {
        request.add(Collection::MultipartPartHeaders, &part.name, line);
    }
    let Some(file) = &part.file else {
        request.add(Collection::ArgsPost, &part.name, part.content);
        return 0;
    };
    request.add(Collection::Files, &part.name, file);
    request.add(Collection::FilesSizes, &part.name, part.content.len().to_string().as_bytes());
    part.content.len()
}

fn parts(body: &[u8], content_type: &[u8], each: &mut dyn FnMut(&Part<'_>)) -> Result<(), BodyError> {
    let delimiter = [b"--", &boundary(content_type)?[..]].concat();
    let closing = [b"\r\n", &delimiter[..]].concat();
    let closing = memchr::memmem::Finder::new(&closing);
    let mut rest = body.strip_prefix(&delimiter[..]).ok_or_else(|| error("it does not begin with its boundary"))?;
    for _ in 0..MAX_PARTS {
        if let Some(end) = rest.strip_prefix(b"--") {
            // Some clients leave out the last line's end.
            return if matches!(end, b"" | b"\r\n") { Ok(()) } else { Err(error("something follows its end")) };
        }
        rest = rest.strip_prefix(b"\r\n").ok_or_else(|| error("a boundary's line does not end with CR and LF"))?;
        let end = closing.find(rest).ok_or_else(|| error(NO_END))?;
        each(&part(&rest[..end])?);
        rest = &rest[end + closing.needle().len()..];
    }
    Err(error("it has too many parts"))
}

/// The boundary that the content type names. Source: RFC 2046, section 5.1.1.
pub(crate) fn boundary(content_type: &[u8]) -> Result<Vec<u8>, BodyError> {
    let parameters = parameters(content_type)?;
    let mut named = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"boundary"));
    let boundary = match (named.next(), named.next()) {
        (Some((_, boundary)), None) => boundary,
        (None, _) => return Err(error("its content type names no boundary")),
        _ => return Err(error("its content type names more than one boundary")),
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    let fits = (1..=70).contains(&boundary.len()) && boundary.iter().all(allowed) && boundary.last() != Some(&b' ');
    if fits { Ok(boundary.clone()) } else { Err(error("its boundary is not one that RFC 2046 allows")) }
}

/// One part: its header lines, an empty line, its content.
pub(crate) fn part(part: &[u8]) -> Result<Part<'_>, BodyError> {
    let (head, content) = if let Some(content) = part.strip_prefix(b"\r\n") {
        (&b""[..], content)
    } else {
        let end = memchr::memmem::find(part, b"\r\n\r\n").ok_or_else(|| error("a part has no empty line"))?;
        (&part[..end], &part[end + 4..])
    };
    let lines = header_lines(head)?;
    let mut dispositions = lines.iter().filter(|(name, _, _)| name.eq_ignore_ascii_case(b"content-disposition"));
    let disposition = dispositions.next().ok_or_else(|| error("a part has no content disposition"))?;
    if dispositions.next().is_some() {
        return Err(error("a part has more than one content disposition"));
    }
    let parameters = parameters(disposition.1)?;
    let single = |wanted: &[u8]| {
        let mut found =
            parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| &value[..]);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(error("a part has a parameter twice")),
            (first, None) => Ok(first),
        }
    };
    let name = single(b"name")?.ok_or_else(|| error("a part has no name"))?.to_vec();
    let file = single(b"filename")?.or(single(b"filename*")?).map(<[u8]>::to_vec);
    Ok(Part { name, file, lines, content })
}

/// Name, value and whole line of each header line.
pub(crate) type HeaderLine<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn header_lines(head: &[u8]) -> Result<Vec<HeaderLine<'_>>, BodyError> {
    let mut lines = Vec::new();
    let mut rest = head;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 2..).unwrap_or_default();
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) || matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(error("a part's header line is folded or has a bare line end"));
        }
        let colon = memchr::memchr(b':', line).ok_or_else(|| error("a part's header line has no colon"))?;
        if lines.len() == MAX_LINES {
            return Err(error("a part has too many header lines"));
        }
        lines.push((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii(), line));
    }
    Ok(lines)
}

pub(crate) type Parameter = (Vec<u8>, Vec<u8>);

/// The parameters of a header field's value: `form-data; name="a"; filename=b`. Source: RFC 9110, section 5.6.6.
pub(crate) fn parameters(value: &[u8]) -> Result<Vec<Parameter>, BodyError> {
    let mut found = Vec::new();
    let mut rest = value.iter().position(|byte| *byte == b';').map_or(&b""[..], |start| &value[start + 1..]);
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(found);
        }
        let equals = memchr::memchr(b'=', rest).ok_or_else(|| error("a parameter has no value"))?;
        let name = rest[..equals].trim_ascii().to_vec();
        rest = rest[equals + 1..].trim_ascii_start();
        let (value, after) = if let Some(quoted) = rest.strip_prefix(b"\"") {
            quoted_value(quoted)?
        } else {
            let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
            (rest[..end].trim_ascii_end().to_vec(), &rest[end..])
        };
        found.push((name, value));
        let after = after.trim_ascii_start();
        rest = match after.strip_prefix(b";") {
            Some(rest) => rest,
            None if after.is_empty() => after,
            None => return Err(error("something follows a parameter's quoted value")),
        };
    }
}

/// A value up to its closing quote. Browsers escape a quote as `%22`, older clients as `\"`; any other backslash is a part of
/// a path that Windows wrote.
fn quoted_value(text: &[u8]) -> Result<(Vec<u8>, &[u8]), BodyError> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match (text.get(at), text.get(at + 1)) {
            (Some(b'"'), _) => return Ok((value, &text[at + 1..])),
            (Some(b'\\'), Some(b'"')) => {
                value.push(b'"');
                at += 2;
            }
            (Some(byte), _) => {
                value.push(*byte);
                at += 1;
            }
            (None, _) => return Err(error("a parameter's quote is not closed")),
        }
    }
}

fn error(problem: &str) -> BodyError {
    BodyError(format!("the multipart body is malformed: {problem}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_as(content_type: &str, body: &str) -> (Request, Result<(), BodyError>) {
        let mut request = Request::new();
        let outcome = read(&mut request, body.as_bytes(), content_type.as_bytes(), &mut |_, _| {});
        (request, outcome)
    }

    #[test]
    fn fields_and_files_are_told_apart() {
        let (request, outcome) = read_as(
            "multipart/form-data; boundary=\"b c\"",
            "--b c\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n\
             --b c\r\ncontent-disposition:form-data; name=f; filename=\"x\\\".php\"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nabc\r\n--b c--\r\n",
        );

        assert_eq!(outcome, Ok(()));
        assert_eq!(request.first(Collection::Args, b"a"), Some(&b"1\r\n2"[..]));
        assert_eq!(request.first(Collection::Files, b"f"), Some(&b"x\".php"[..]));
        assert_eq!(request.first(Collection::FilesCombinedSize, b""), Some(&b"3"[..]));
        assert_eq!(request.of(Collection::MultipartPartHeaders).count(), 3);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let part = |head: &str| format!("--b\r\n{head}\r\n\r\nx\r\n--b--");
        let good = part("Content-Disposition: form-data; name=a");
        assert!(read_as("multipart/form-data; boundary=b", &good).1.is_ok());
        for (content_type, body) in [
            ("multipart/form-data", good.as_str()),
            ("multipart/form-data; boundary=b; boundary=c", &good),
            ("multipart/form-data; boundary=", &good),
            ("multipart/form-data; boundary=b", &good.replace("\r\n", "\n")),
            ("multipart/form-data; boundary=b", &format!("preamble\r\n{good}")),
            ("multipart/form-data; boundary=b", &format!("{good}\r\nepilogue")),
            ("multipart/form-data; boundary=b", &part("Content-Disposition: form-data; name=a; name=b")),
            ("multipart/form-data; boundary=b", &part("Content-Disposition: form-data; name=\"a\"x")),
            ("multipart/form-data; boundary=b", &part("Content-Disposition: form-data;\r\n name=a")),
            (
                "multipart/form-data; boundary=b",
                &part("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b"),
            ),
            ("multipart/form-data; boundary=b", &part("Content-Type: text/plain")),
            ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx"),
        ] {
            let (request, outcome) = read_as(content_type, body);
            assert!(outcome.is_err(), "{content_type} {body:?}");
            assert_eq!(request.first(Collection::MultipartStrictError, b""), Some(&b"1"[..]));
        }
    }

    proptest! {
        /// Fields come back as they went in.
        #[test]
        fn fields_come_back(fields in proptest::collection::vec(("[a-z]{1,5}", "[a-z\r\n-]{0,12}"), 0..5)) {
            let mut body = String::new();
            for (name, value) in &fields {
                body += &format!("--BOUND\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            }
            let (request, outcome) = read_as("multipart/form-data; boundary=BOUND", &format!("{body}--BOUND--\r\n"));
            prop_assert_eq!(outcome, Ok(()));
            let found: Vec<_> = request.of(Collection::ArgsPost).map(|value| (value.name.to_vec(), value.value.to_vec())).collect();
            let wanted: Vec<_> = fields.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
            prop_assert_eq!(found, wanted);
        }

        /// No body makes the reader panic.
        #[test]
        fn any_body_is_read_or_refused(body in "(--b|\r\n|Content-Disposition: |form-data|;|name=|\"|a|:| |--){0,30}") {
            let _ = read_as("multipart/form-data; boundary=b", &body);
        }
    }
}
