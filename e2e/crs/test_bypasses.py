"""Ways around firewalls that have worked on others, through the proxy on a socket with the built-in rules' release.

Each is one test: a plain attack in disguise is refused, and the same request with something harmless in its place
reaches the application. `defender/waf/tests/bypasses.rs` has more of them without the socket.
"""

from __future__ import annotations

import asyncio
import codecs
import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from release import Release
from wire import Running, proxy

ATTACK = "1' UNION SELECT user,password FROM users-- -"
HARMLESS = "a good day for a walk"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=bound"
HEAD = (
    "Host: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n"
)
REFUSED = {400, 403}
KILO = 1024

Made = Callable[[str], bytes]


def post(kind: str, body: bytes, fields: str = "") -> bytes:
    """A browser's request with a body."""
    about = f"Content-Type: {kind}\r\n" if kind else ""
    return f"POST /a HTTP/1.1\r\n{HEAD}{about}{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(query: str) -> bytes:
    """A browser's request without one."""
    return f"GET /a?{query} HTTP/1.1\r\n{HEAD}\r\n".encode()


def part(head: str, content: bytes) -> bytes:
    """A part of a multipart body."""
    return f"--bound\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"


def parts(*given: bytes) -> bytes:
    """A request with parts."""
    return post(MULTIPART, b"".join(given) + b"--bound--\r\n")


def padded(size: int) -> dict[str, Made]:
    """An attack behind so much padding, in each kind of body."""
    pad = ("lorem ipsum " * (size // 12 + 1))[:size]
    return {
        "form": lambda value: post(FORM, f"a={quote_plus(pad)}&b={quote_plus(value)}".encode()),
        "json": lambda value: post("application/json", json.dumps({"a": pad, "b": value}).encode()),
        "xml": lambda value: post("application/xml", f"<a><b>{pad}</b><c>{value}</c></a>".encode()),
        "multipart": lambda value: parts(part('name="a"', pad.encode()), part('name="b"', value.encode())),
        "file before a field": lambda value: parts(
            part('name="f"; filename="x.bin"', b"\x80" * size), part('name="b"', value.encode())
        ),
        "text": lambda value: post("text/plain", f"{pad}\n{value}".encode()),
    }


def utf_7(value: str) -> bytes:
    """Signs in base64 (RFC 2152)."""
    return value.replace("'", "+ACc-").replace("-- -", "+AC0ALQ- +AC0-").encode()


def overlong(value: str) -> str:
    """Quotation marks in two bytes where one is enough."""
    return quote(value).replace("%27", "%c0%a7")


CASES: dict[str, Made] = {
    **{
        f"padding of {size} KB in {kind}": made
        for size in (8, 128, 2 * KILO)
        for kind, made in padded(size * KILO).items()
    },
    "charset in the first part": lambda value: parts(
        part('name="a"\r\nContent-Type: text/plain; charset=utf-7', utf_7(value)),
        part('name="b"\r\nContent-Type: text/plain; charset=utf-8', b"1"),
    ),
    "json in text/plain": lambda value: post("text/plain", json.dumps({"a": [{"b": value}]}).encode()),
    "json with escapes in text/plain": lambda value: post(
        "text/plain", json.dumps({"a": value}).replace("'", "\\u0027").encode()
    ),
    "json without a type": lambda value: post("", json.dumps({"a": value}).encode()),
    "json as a form": lambda value: post(FORM, json.dumps({"a": value}).encode()),
    "xml in a part": lambda value: parts(
        part('name="a"; filename="a.xml"\r\nContent-Type: text/xml', f"<a><![CDATA[{value}]]></a>".encode())
    ),
    "xml in a field": lambda value: parts(part('name="a"', f"<a>{value.replace(chr(39), '&#39;')}</a>".encode())),
    "utf-7 in a form": lambda value: post(f"{FORM}; charset=utf-7", b"a=" + quote(utf_7(value)).encode()),
    "utf-16 in a part": lambda value: parts(
        part('name="a"\r\nContent-Type: text/plain; charset=utf-16le', value.encode("utf-16-le"))
    ),
    "utf-16 in json": lambda value: post(
        "application/json; charset=utf-16", codecs.BOM_UTF16_LE + json.dumps({"a": value}).encode("utf-16-le")
    ),
    "utf-16 in xml": lambda value: post("application/xml", codecs.BOM_UTF16_BE + f"<a>{value}</a>".encode("utf-16-be")),
    "duplicate keys, the first": lambda value: post(
        "application/json", f'{{"a":{json.dumps(value)},"a":"1"}}'.encode()
    ),
    "duplicate keys, the last": lambda value: post("application/json", f'{{"a":"1","a":{json.dumps(value)}}}'.encode()),
    "duplicate names in a query": lambda value: get(f"a={quote(value)}&a=1"),
    "an attack between two of its name": lambda value: get(f"a=1&a={quote(value)}&a=2"),
    "byte order mark before json": lambda value: post(
        "application/json", codecs.BOM_UTF8 + json.dumps({"a": value}).encode()
    ),
    "byte order mark before xml": lambda value: post("text/xml", codecs.BOM_UTF8 + f"<a>{value}</a>".encode()),
    "%u": lambda value: get("a=" + quote(value).replace("%27", "%u0027")),
    "full-width signs": lambda value: get("a=" + quote(value).replace("%27", "%ef%bc%87")),
    "overlong utf-8": lambda value: get("a=" + overlong(value)),
    "double encoding": lambda value: get("a=" + quote(quote(value))),
    "triple encoding": lambda value: get("a=" + quote(quote(quote(value)))),
    "gzip": lambda value: post(FORM, gzip.compress(f"a={quote(value)}".encode()), "Content-Encoding: gzip\r\n"),
    "gzip twice": lambda value: post(
        FORM, gzip.compress(gzip.compress(f"a={quote(value)}".encode())), "Content-Encoding: gzip, gzip\r\n"
    ),
    "gzip of much": lambda value: post(
        FORM, gzip.compress(f"a={'lorem+' * 200_000}&b={quote(value)}".encode()), "Content-Encoding: gzip\r\n"
    ),
    "small chunks": lambda value: (
        f"POST /a HTTP/1.1\r\n{HEAD}Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"".join(b"1\r\n%c\r\n" % byte for byte in f"a={quote(value)}".encode())
        + b"0\r\n\r\n"
    ),
    "base64 in a part": lambda value: parts(
        part('name="a"\r\nContent-Transfer-Encoding: base64', codecs.encode(value.encode(), "base64"))
    ),
}

# Disguises that the rules refuse as such, whatever they hide: a part's charset or transfer coding, a body of no type.
REFUSED_ANYWAY = {"charset in the first part", "utf-16 in a part", "base64 in a part", "json without a type"}

HIDDEN = "GET /hidden HTTP/1.1\r\nHost: shop.test\r\n\r\n"
ONE_PART = '--bound\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--bound--\r\n'
TWO_BOUNDARIES = f"Content-Type: {MULTIPART}; boundary=other\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
# Requests that two readers could end at two places, or read as two requests.
TWO_ENDS = {
    "CL.TE": f"Content-Length: 6\r\n{CHUNKED}\r\n0\r\n\r\n{HIDDEN}",
    "TE.CL": f"{CHUNKED}Content-Length: 4\r\n\r\n5c\r\n{HIDDEN}0\r\n\r\n",
    "TE.TE": f"{CHUNKED}Transfer-Encoding: cow\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE.TE in one field": f"Transfer-Encoding: chunked, cow\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE with a tab before the colon": f"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE with a control character": f"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "chunk extensions": f"{CHUNKED}\r\n0;x=\ny\r\n\r\n{HIDDEN}",
    "a plain chunk extension": f"{CHUNKED}\r\n3;x=y\r\nabc\r\n0\r\n\r\n{HIDDEN}",
    "a chunk's size in odd writing": f"{CHUNKED}\r\n0x0\r\n\r\n{HIDDEN}",
    "chunks with bare line feeds": f"{CHUNKED}\r\n0\n\n{HIDDEN}",
    "trailers that frame": f"{CHUNKED}\r\n0\r\nContent-Length: 40\r\n\r\n{HIDDEN}",
    "a folded field": f"X: y\r\n {CHUNKED}\r\n0\r\n\r\n{HIDDEN}",
    "two hosts": f"Host: admin.test\r\n\r\n{HIDDEN}",
    "duplicate boundary": f"{TWO_BOUNDARIES}Content-Length: {len(ONE_PART)}\r\n\r\n{ONE_PART}",
}

# Requests of HTTP/2 whose fields would frame a request of HTTP/1.1 in another way than its frames do.
TWO_FRAMINGS: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "H2.CL": ((b"content-length", b"0"),),
    "H2.CL with two": ((b"content-length", b"0"), (b"content-length", str(len(HIDDEN)).encode())),
    "H2.TE": ((b"transfer-encoding", b"chunked"),),
    "H2 with a line end in a field": ((b"x", b"y\r\nTransfer-Encoding: chunked"),),
    "H2 with two hosts": ((b"host", b"admin.test"),),
    "H2 with a connection's field": ((b"connection", b"transfer-encoding"),),
}


@pytest.fixture(scope="module")
def statuses(proxy_program: Path, release: Release) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, bool]]]:
    """For each case the status of the attack and of the harmless one; for each with two ends, and whether it got in."""

    async def ask_all() -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, bool]]]:
        settings = release.settings.read_text()
        judged, split = {}, {}
        async with proxy(proxy_program, release, settings, effect="prevent", profile="balanced") as running:
            for name, made in CASES.items():
                judged[name] = (await sent(running, made(ATTACK)), await sent(running, made(HARMLESS)))
            for name, rest in TWO_ENDS.items():
                running.seen.clear()
                status = await sent(running, f"POST /outer HTTP/1.1\r\n{HEAD}{rest}".encode("latin-1"))
                # None of them has one reading by which it could be passed on.
                split[name] = (status, bool(running.seen))
            for name, fields in TWO_FRAMINGS.items():
                running.seen.clear()
                status = await sent_as_http2(running.port, fields, HIDDEN.encode())
                split[name] = (status, any(b"/hidden" in line for line in running.seen))
        return judged, split

    return asyncio.run(ask_all())


async def sent(running: Running, request: bytes) -> int:
    """The status that comes back; 0 for none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    try:
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), 30)
        return int(line.split(b" ")[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        writer.close()


async def sent_as_http2(port: int, fields: tuple[tuple[bytes, bytes], ...], body: bytes) -> int:
    """The status that comes back; 0 when the stream is ended without one (RFC 9113, section 8.1.1)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pseudo = ((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"shop.test"), (b":path", b"/outer"))
    block = b"".join(literal(name, value) for name, value in (*pseudo, *fields))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    writer.write(frame(1, 4, 1, block) + frame(0, 1, 1, body))
    try:
        while True:
            head = await asyncio.wait_for(reader.readexactly(9), 30)
            length, kind = int.from_bytes(head[:3], "big"), head[3]
            payload = await reader.readexactly(length)
            if kind == 1:
                return status_of(payload)
            if kind in (3, 7):
                return 0
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0
    finally:
        writer.close()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A field without indexing and without Huffman's code (RFC 7541, section 6.2.2); short ones only."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


# The static table's statuses (RFC 7541, appendix A).
INDEXED = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def status_of(block: bytes) -> int:
    """The status that a block of fields begins with; 403 for those without a number."""
    return INDEXED.get(block[0], 403)


Statuses = tuple[dict[str, tuple[int, int]], dict[str, tuple[int, bool]]]


@pytest.mark.parametrize("name", CASES)
def test_a_disguise_hides_nothing(statuses: Statuses, name: str) -> None:
    """The attack is refused, and the same without it is not, but for disguises that nobody honest wears."""
    attack, harmless = statuses[0][name]

    assert attack in REFUSED, attack
    assert harmless == (403 if name in REFUSED_ANYWAY else 200)


@pytest.mark.parametrize("name", [*TWO_ENDS, *TWO_FRAMINGS])
def test_what_could_be_read_in_two_ways_is_refused(statuses: Statuses, name: str) -> None:
    """It is refused, or not answered at all, and what hides in it never reaches the application."""
    status, got_in = statuses[1][name]

    assert (status in {0, *REFUSED}, got_in) == (True, False), status
