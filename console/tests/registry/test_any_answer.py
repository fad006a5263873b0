"""Whatever a server sends: an answer or our own error, in bounded time, and no password where it may not be."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import httpcore
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.hostile import CONFIG, MANIFEST, SECRET
from tests.registry.servers import CREDENTIAL, LOGIN, digest_of

from bartizan.outgoing.network import Network
from bartizan.registry import Access, ImageError, Patience, look_up_all

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "registry.example"
PASSWORD = base64.b64encode(":".join(LOGIN).encode())


class Recorded(httpcore.MockStream):
    """A connection that answers from a list and keeps what was written to it."""

    def __init__(self, answer: bytes, host: str, sent: list[tuple[str, bytes]]) -> None:
        super().__init__([answer])
        self._host = host
        self._sent = sent

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the interface is httpcore's
        """Keep what was written."""
        self._sent.append((self._host, buffer))


def network(answers: Iterator[bytes], sent: list[tuple[str, bytes]]) -> Network:
    """Make a network in which each connection, wherever it goes, gets the next answer."""
    hosts: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        hosts.append(host)
        return ["52.94.1.7"]

    def dial(address: str, _port: int, _timeout: float | None) -> httpcore.NetworkStream:
        host = hosts.pop() if hosts else address
        return Recorded(next(answers, b""), host, sent)

    return Network(resolve=resolve, dial=dial)


text = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
addresses = st.sampled_from(
    [
        "https://thief.example/x",
        "http://thief.example/x",
        "//thief.example/x",
        "https://registry.example/y",
        "https://registry.example:444/y",
        "/z",
        "https://[::1]/",
        "https://169.254.169.254/",
        "https://xn--a/",
        "https://a:99999/",
        "https://user:pass@registry.example/",
    ]
)
challenges = st.builds('Bearer realm="{}",service="{}"'.format, addresses, text) | st.just('Basic realm="x"')
headers = st.one_of(
    st.tuples(st.just("location"), addresses | text),
    st.tuples(st.just("www-authenticate"), challenges | text),
    st.tuples(st.just("retry-after"), st.sampled_from(["0", "1", "x", "-1", "1e9", "٣"]) | text),
    st.tuples(st.just("docker-content-digest"), st.sampled_from([digest_of(MANIFEST), "sha256:x"]) | text),
    st.tuples(st.just("content-type"), text),
    st.tuples(st.just("content-encoding"), st.sampled_from(["gzip", "identity", "x"])),
)
bodies = st.sampled_from([MANIFEST, CONFIG, b'{"token":"t0ken"}', b"{}", b"[", b'{"manifests":[]}']) | st.binary(
    max_size=20
)
statuses = st.sampled_from([200, 200, 200, 201, 301, 302, 307, 401, 401, 403, 404, 429, 500, 503, 100, 999])


@st.composite
def http_answers(draw: st.DrawFn) -> bytes:
    """Draw one response of HTTP, mostly well-formed."""
    body = draw(bodies)
    lines = [
        f"HTTP/1.1 {draw(statuses)} x",
        *(f"{name}: {value}" for name, value in draw(st.lists(headers, max_size=4))),
    ]
    lines.append(f"content-length: {draw(st.sampled_from([len(body), len(body), len(body) + 1]))}")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


@given(st.lists(http_answers() | st.binary(max_size=60), max_size=12))
def test_any_answers_give_an_image_or_an_error(answers: list[bytes]) -> None:
    """No sequence of answers makes another error, waits long, or brings the password anywhere that nobody named.

    It may go to the registry, and to the token service that a challenge of the registry itself names over TLS: never
    along a redirect, whose target is `thief.example` as well, unless that is also a named service.
    """
    sent: list[tuple[str, bytes]] = []
    waited: list[float] = []
    access = Access(
        credentials=lambda _host: CREDENTIAL,
        network=network(iter(answers), sent),
        wait=waited.append,
        patience=Patience(connect=1, read=1, total=5),
    )
    found = look_up_all([f"{HOME}/a"], access=access, at_once=1)[f"{HOME}/a"]
    if isinstance(found, ImageError):
        assert LOGIN[1] not in str(found)
        assert str(found).isprintable()
    else:
        assert found.manifest_digest == digest_of(MANIFEST)
    shown = {host for host, content in sent if PASSWORD in content}
    named = b"".join(answer for answer in answers if b"Bearer realm" in answer)
    assert shown <= {HOME} | {host for host in ("thief.example", "::1", "xn--a") if host.encode() in named}
    assert sum(waited) <= 15 * 12
    assert len(sent) <= 24


@given(st.lists(st.tuples(st.sampled_from([301, 302, 307, 308]), addresses), min_size=1, max_size=5))
def test_no_chain_of_redirects_is_shown_a_secret(chain: list[tuple[int, str]]) -> None:
    """The registry wants a password and then redirects as it likes: only its own first address gets the password."""
    challenge = b'HTTP/1.1 401 x\r\nwww-authenticate: Basic realm="x"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'
    redirects = [
        f"HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        for status, location in chain
    ]
    sent: list[tuple[str, bytes]] = []
    access = Access(
        credentials=lambda _host: CREDENTIAL,
        network=network(iter([challenge, *redirects, challenge, challenge]), sent),
    )
    found = look_up_all([f"{HOME}/a"], access=access)[f"{HOME}/a"]
    assert SECRET not in str(found)
    heads = [(host, content) for host, content in sent if content.startswith(b"GET")]
    secret = [number for number, (_, content) in enumerate(heads) if PASSWORD in content]
    assert secret[:1] == [1]
    left = next((number for number, (host, _) in enumerate(heads) if host != HOME), len(heads))
    assert all(number < left for number in secret)
    assert {host for host, content in heads if PASSWORD in content} == {HOME}
