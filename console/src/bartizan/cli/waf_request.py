"""A request that somebody wrote by hand, as it would come over the wire."""

import re

_END = re.compile(rb"\n\n")
_FRAMED = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE | re.MULTILINE)
# Formats whose own lines end with CRLF: RFC 2046, section 5.1.1, and RFC 9112, section 7.1.
_LINES = re.compile(
    rb"^(?:content-type[ \t]*:[ \t]*multipart/|transfer-encoding[ \t]*:[ \t]*chunked)", re.IGNORECASE | re.MULTILINE
)


def on_the_wire(text: bytes) -> bytes:
    """
    Return a request with the line ends that HTTP asks for (RFC 9112, section 2.2).

    A file with any CRLF in its head is taken as it is, bare LF and all. In one with LF alone the head's lines get CRLF,
    and so do those of a multipart or chunked body; an empty line that is missing ends the head; a body whose length
    nobody says gets a `Content-Length`, without the line end that an editor puts at the end of a file.
    """
    head, end, body = _parts(text)
    if b"\r\n" in head + end or not text.strip():
        return text
    head = head.rstrip(b"\n")
    if _LINES.search(head):
        body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if body and not _FRAMED.search(head):
        body = body.removesuffix(b"\n").removesuffix(b"\r")
        head += b"\nContent-Length: %d" % len(body)
    return head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body


def _parts(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Return head, what ends it, and body."""
    whole = text.find(b"\r\n\r\n")
    found = _END.search(text)
    if whole >= 0 and (found is None or whole < found.start()):
        return text[:whole], text[whole : whole + 4], text[whole + 4 :]
    if found is None:
        return text, b"", b""
    return text[: found.start()], found[0], text[found.end() :]
