"""Registries that lie, stall and flood."""

from __future__ import annotations

import dataclasses
import gzip
import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from tests.registry.hostile import CONFIG, MANIFEST, PATH, access, failure, honest, lying
from tests.registry.servers import PATIENCE, Server, Wire, digest_of
from werkzeug.wrappers import Request, Response

from bartizan.registry import Access, BusyError, ImageError, RegistryFaultError, UnreachableError, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        (PATH, Response(MANIFEST, headers={"docker-content-digest": digest_of(b"x")}), "says `sha256:"),
        (PATH, Response(b"<html>Sign in", content_type="text/html; charset=utf-8"), "with a web page"),
        (PATH, Response(b"{"), "is not JSON"),
        (PATH, Response(b"[]"), "is not a JSON object"),
        (PATH, Response(b"[" * 100_000), "is not JSON"),
        (PATH, Response(b"\xff\xfe{"), "is not JSON"),
        (PATH, Response(status=500), "it answers 500"),
        (PATH, Response(status=204), "it answers 204"),
        (PATH, Response(status=403), "access is denied"),
        (PATH, Response(bytes((4 << 20) + 1)), "more than 4194304 bytes"),
        (PATH, Response(b"{}", content_type="application/vnd.docker.distribution.manifest.v1+prettyjws"), "schema 1"),
        (f"/v2/a/blobs/{digest_of(CONFIG)}", Response(b"{}"), "sent other bytes"),
        (f"/v2/a/blobs/{digest_of(CONFIG)}", Response(bytes((16 << 20) + 1)), "more than 16777216 bytes"),
        (f"/v2/a/blobs/{digest_of(CONFIG)}", Response(status=404), "no such image"),
    ],
)
def test_false_answers_are_refused(path: str, answer: Response, message: str) -> None:
    """Lies, web pages, broken JSON, errors and floods each give one sentence."""
    with Server(lying(path, lambda _: answer)) as registry:
        failure(registry, message)


def test_a_manifest_by_digest_must_have_it() -> None:
    """A registry that gives another manifest than was asked for by digest is found out."""
    wanted = digest_of(b"another")
    answer = lying(f"/v2/a/manifests/{wanted}", lambda _: Response(MANIFEST))
    with Server(answer) as registry, pytest.raises(ImageError, match="sent other bytes"):
        look_up(f"{registry.host}/a@{wanted}", access=access())


def test_a_flood_without_length_is_cut_off() -> None:
    """A body in pieces that never says how long it is ends at the cap, having been read no further."""
    sent = []

    def flood() -> Iterator[bytes]:
        for _ in range(64):
            sent.append(1)
            yield bytes(1 << 20)

    with Server(lying(PATH, lambda _: Response(flood()))) as registry:
        failure(registry, "more than 4194304 bytes")
    assert len(sent) < 32


def test_a_gzip_bomb_is_not_opened() -> None:
    """A compressed body, which nobody asked for, is refused unread."""
    bomb = gzip.compress(bytes(64 << 20))
    with Server(lying(PATH, lambda _: Response(bomb, headers={"content-encoding": "gzip"}))) as registry:
        failure(registry, "came compressed")
        assert {request.headers["accept-encoding"] for request in registry.seen} == {"identity"}


def busy(times: int, after: str | None, status: int) -> Callable[[Request], Response]:
    """Be busy for the first requests of the manifest."""
    left = [times]

    def answer(request: Request) -> Response:
        if request.path == PATH and left[0]:
            left[0] -= 1
            return Response(status=status, headers={"retry-after": after} if after else {})
        return honest(request)

    return answer


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("after", "pauses"), [("3", [3.0, 3.0]), (None, [1.0, 2.0]), ("soon", [1.0, 2.0])])
def test_a_busy_registry_is_given_time(status: int, after: str | None, pauses: list[float]) -> None:
    """`Retry-After` is kept to, and without it the pauses grow."""
    waited: list[float] = []
    with Server(busy(2, after, status)) as registry:
        given = dataclasses.replace(access(wait=waited.append))
        assert look_up(f"{registry.host}/a", access=given).config.entrypoint == ("/run",)
    assert waited == pauses


def test_a_date_says_when_to_come_again() -> None:
    """`Retry-After` may be a date; one that is past means now."""
    waited: list[float] = []
    for ahead in (-60, 4):
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
        with Server(busy(1, date, 429)) as registry:
            look_up(f"{registry.host}/a", access=access(wait=waited.append))
    assert waited[0] == 0
    assert 2 < waited[1] <= 4


@pytest.mark.parametrize(
    ("times", "after", "status", "message", "waits"),
    [
        (9, "1", 429, "too many requests .429.. It asks to come again in 1 seconds. Credentials often raise", 2),
        (9, "3600", 429, "come again in 3600 seconds", 0),
        (9, "99999999999999999999", 503, "not available for now", 0),
        (9, None, 503, r"not available for now \(503\)$", 2),
    ],
)
def test_patience_ends(times: int, after: str | None, status: int, message: str, waits: int) -> None:
    """Too long a wait is not begun, and after two more tries the limit is reported."""
    waited: list[float] = []
    with Server(busy(times, after, status)) as registry:
        failure(registry, message, access(wait=waited.append))
    assert len(waited) == waits


@contextmanager
def raw_server(serve: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Accept connections and hand each to `serve`, with an event that is set at the end."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection, done)
                    except OSError:
                        continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def drip(head: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Answer plain HTTP with `head`, then with a byte every few milliseconds, without end."""

    def serve(connection: socket.socket, done: threading.Event) -> None:
        if connection.recv(65536)[:1] != b"G":  # a TLS hello
            return
        connection.sendall(head)
        while not done.wait(0.01):
            connection.sendall(b"a")

    return serve


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
def test_a_body_or_head_that_drips_ends_at_the_deadline(head: bytes) -> None:
    """However steadily the bytes come, a look-up as a whole takes no longer than it may."""
    given = dataclasses.replace(access(), patience=dataclasses.replace(PATIENCE, total=0.5))
    with raw_server(drip(head)) as host:
        begun = time.monotonic()
        with pytest.raises(ImageError, match=r"cannot be reached: it took longer than 0\.5 seconds|timed out"):
            look_up(f"{host}/a", access=given)
        assert time.monotonic() - begun < 20


def test_silence_ends_at_the_read_time_out() -> None:
    """A server that accepts and says nothing is given up."""
    given = dataclasses.replace(access(), patience=dataclasses.replace(PATIENCE, read=0.2, connect=0.2))

    def serve(_connection: socket.socket, done: threading.Event) -> None:
        done.wait(10)

    with raw_server(serve) as host, pytest.raises(ImageError, match="cannot be reached"):
        look_up(f"{host}/a", access=given)


@pytest.mark.parametrize(
    "said", [b"", b"\0\1\2", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", b"HTTP/9.9 x\r\n\r\n"]
)
def test_broken_http_is_one_error(said: bytes) -> None:
    """A server that is none, or hangs up in the middle, cannot be reached."""

    def serve(connection: socket.socket, _done: threading.Event) -> None:
        if connection.recv(65536)[:1] == b"G":
            connection.sendall(said)

    with raw_server(serve) as host, pytest.raises(ImageError, match="cannot be reached"):
        look_up(f"{host}/a", access=access())


def test_names_that_are_not_resolved_in_time_are_given_up() -> None:
    """A resolver that hangs does not hang the look-up."""
    done = threading.Event()
    wire = Wire().network()
    network = dataclasses.replace(wire, resolve=lambda _host, _port: [str(done.wait(10))])
    given = access(network=network)
    given = dataclasses.replace(given, patience=dataclasses.replace(PATIENCE, connect=0.1))
    try:
        with pytest.raises(ImageError, match="was not resolved in time"):
            look_up("registry.example/a", access=given)
    finally:
        done.set()
    with pytest.raises(ImageError, match="cannot be resolved"):
        look_up("registry.example/a", access=access(network=wire))


def test_errors_say_whether_it_is_worth_to_try_again() -> None:
    """A busy, a broken, a slow and a false registry are told apart from an image that is not there."""

    def kind(answer: Callable[[Request], Response], given: Access | None = None) -> ImageError:
        with Server(answer) as registry, pytest.raises(ImageError) as caught:
            look_up(f"{registry.host}/a", access=given or access())
        return caught.value

    busy_one = kind(busy(9, "70", 429))
    assert isinstance(busy_one, BusyError)
    assert busy_one.retry_after == 70
    for answer in (Response(status=502), Response(MANIFEST, headers={"docker-content-digest": digest_of(b"x")})):
        assert type(kind(lying(PATH, lambda _, answer=answer: answer))) is RegistryFaultError
    for status in (401, 403, 404):
        assert type(kind(lying(PATH, lambda _, status=status: Response(status=status)))) is not RegistryFaultError
    late = threading.Event()
    slow = dataclasses.replace(access(), patience=dataclasses.replace(PATIENCE, read=0.1))

    def answer_late(_request: Request) -> Response:
        late.wait(5)
        return Response()

    with Server(lying(PATH, answer_late)) as registry:
        with pytest.raises(UnreachableError) as caught:
            look_up(f"{registry.host}/a", access=slow)
        late.set()
    assert caught.value.timed_out
    with pytest.raises(UnreachableError) as caught:
        look_up("127.0.0.1:1/a", access=access())
    assert not caught.value.timed_out
