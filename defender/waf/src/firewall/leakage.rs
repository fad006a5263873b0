//! What a response should not tell and the Core Rule Set does not know: password files, private keys, listings of folders,
//! the interpreter's own page (`intelGathering.infoLeakageEffect`).

use std::{borrow::Cow, io::Read, sync::LazyLock};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use memchr::memmem::Finder;

use super::ResponseHead;

/// Bytes of a response that are looked at. Source: `ModSecurity`, `SecResponseBodyLimit`.
pub const LOOKED_AT: usize = 512 << 10;

/// What gives a secret away, with what it is.
const TELLTALES: [(&[u8], &str); 12] = [
    (b"root:x:0:0:", "a file of user accounts (`/etc/passwd`)"),
    (b"root:*:0:0:", "a file of user accounts (`/etc/passwd`)"),
    (b"root:$1$", "a file of passwords (`/etc/shadow`)"),
    (b"root:$5$", "a file of passwords (`/etc/shadow`)"),
    (b"root:$6$", "a file of passwords (`/etc/shadow`)"),
    (b"root:$y$", "a file of passwords (`/etc/shadow`)"),
    (b"root:!:", "a file of passwords (`/etc/shadow`)"),
    (b"root:*:1", "a file of passwords (`/etc/shadow`)"),
    (b"PRIVATE KEY-----", "a private key"),
    (b"<title>Index of /", "a listing of a folder"),
    (b"<title>Directory listing for /", "a listing of a folder"),
    (b"<title>phpinfo()</title>", "the interpreter's configuration (`phpinfo`)"),
];

/// What each of them has in it: a body without all three has none.
static SIGNS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [&b"root:"[..], b"PRIVATE KEY-----", b"<title>"].map(Finder::new));

/// What a response's body gives away, in words.
#[must_use]
pub fn telltale(body: &[u8]) -> Option<&'static str> {
    if SIGNS.iter().all(|sign| sign.find(body).is_none()) {
        return None;
    }
    TELLTALES.iter().find(|(bytes, _)| memchr::memmem::find(body, bytes).is_some()).map(|(_, what)| *what)
}

/// Whether a response's body is text, by its type; without a type it might be.
#[must_use]
pub fn is_text(head: &ResponseHead) -> bool {
    let Some(kind) = field(head, "content-type") else { return true };
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    // A stream of events has no end to wait for.
    !kind.starts_with(b"text/event-stream")
        && (kind.starts_with(b"text/")
            || [&b"json"[..], b"xml", b"javascript", b"octet-stream", b"x-pem-file"]
                .iter()
                .any(|part| memchr::memmem::find(&kind, part).is_some()))
}

/// The body without its coding, as far as it is there; none when the coding is not known.
#[must_use]
pub fn decoded<'b>(coding: &[u8], body: &'b [u8]) -> Option<Cow<'b, [u8]>> {
    let mut plain = Vec::new();
    let limit = LOOKED_AT as u64;
    // A body of which only the beginning is there ends with an error; what came before that counts.
    match coding.trim_ascii().to_ascii_lowercase().as_slice() {
        b"" | b"identity" => return Some(Cow::Borrowed(body)),
        b"gzip" | b"x-gzip" => drop(MultiGzDecoder::new(body).take(limit).read_to_end(&mut plain)),
        b"deflate" => drop(ZlibDecoder::new(body).take(limit).read_to_end(&mut plain)),
        _ => return None,
    }
    Some(Cow::Owned(plain))
}

/// The first field of a name.
#[must_use]
pub fn field<'h>(head: &'h ResponseHead, name: &str) -> Option<&'h [u8]> {
    let named = head.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|(_, value)| value.as_slice())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Files and pages that should not leave are known.
    #[test]
    fn secrets_are_known() {
        assert!(telltale(b"x\nroot:x:0:0:root:/root:/bin/sh\n").unwrap().contains("passwd"));
        assert!(telltale(b"-----BEGIN RSA PRIVATE KEY-----\nMII").is_some());
        assert!(telltale(b"<html><title>Index of /backup</title>").is_some());
        assert_eq!(telltale(b"<h1>Our roots: x and y</h1>"), None);
        for (bytes, what) in TELLTALES {
            assert_eq!(telltale(bytes), Some(what));
        }
    }

    /// A compressed body is looked at, also when only its beginning is there.
    #[test]
    fn compressed_bodies_are_read() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&b"root:x:0:0:root\n".repeat(100)).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(telltale(&decoded(b"GZIP", &packed).unwrap()).is_some());
        assert!(telltale(&decoded(b"gzip", &packed[..packed.len() - 8]).unwrap()).is_some());
        assert_eq!(decoded(b"br", b"x"), None);
    }

    /// Text is looked at; pictures and streams of events are not.
    #[test]
    fn text_is_looked_at() {
        let is =
            |kind: &str| is_text(&ResponseHead { status: 200, headers: vec![(b"Content-Type".to_vec(), kind.into())] });
        assert!(is("text/html; charset=x") && is("application/problem+json") && is("application/octet-stream"));
        assert!(!is("image/png") && !is("text/event-stream") && is_text(&ResponseHead::default()));
    }
}
