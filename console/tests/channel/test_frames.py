"""The WebSocket itself, frame by frame (RFC 6455, section 5). Each test of a fault fails without the check for it."""

import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.channel.running import DEADLINE, ConsoleUnderTest, DefenderEnd
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bartizan.channel.messages import LARGEST_FRAME

Maker = Callable[..., DefenderEnd]


@dataclass
class Wire:
    """A WebSocket after its opening, of which single frames can be written and read."""

    link: ssl.SSLSocket
    rest: bytes = b""

    def send(self, opcode: Opcode, data: bytes, *, fin: bool = True, **given: Any) -> None:
        """Write a frame."""
        masked = given.pop("masked", True)
        self.link.sendall(Frame(opcode, data, fin, **given).serialize(mask=masked, extensions=[]))

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame (of less than 64 KiB). Raises EOFError at the end."""
        head = self._take(2)
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack("!H", self._take(2))[0]
        return head[0] & 0x0F, self._take(length)

    def message(self) -> dict[str, Any]:
        """Return the next text."""
        while (frame := self.receive())[0] != Opcode.TEXT:
            pass
        return dict(json.loads(frame[1]))

    def close_code(self) -> int:
        """Return the code with which the Console closes, and see that it does."""
        while (frame := self.receive())[0] != Opcode.CLOSE:
            pass
        with pytest.raises((EOFError, ConnectionError)):
            self.receive()
        return int(struct.unpack("!H", frame[1][:2])[0])

    def _take(self, count: int) -> bytes:
        while len(self.rest) < count:
            more = self.link.recv(1 << 16)
            if not more:
                raise EOFError
            self.rest += more
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken


@contextmanager
def wire(console: ConsoleUnderTest, end: DefenderEnd) -> Iterator[Wire]:
    """Open the channel with a Defender's certificate, up to the hello."""
    if not end.certificate:
        end.connect()
        end.close()
    context = ssl.create_default_context(cafile=str(console.running.ca_file))
    context.load_cert_chain(end.directory / f"{end.instance}.pem")
    with (
        socket.create_connection(("localhost", console.running.channel_port), timeout=DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True) as link,
    ):
        protocol = ClientProtocol(parse_uri(f"{console.wss}/channel"), subprotocols=[Subprotocol("bartizan.v1")])
        protocol.send_request(protocol.connect())
        link.sendall(b"".join(protocol.data_to_send()))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += link.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
        yield Wire(link, answer.partition(b"\r\n\r\n")[2])


@given(st.data())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fragments_make_one_message(console: ConsoleUnderTest, shared: DefenderEnd, data: st.DataObject) -> None:
    """However a text is cut, between any bytes and with pings in between, the session gets the same text."""
    hello = json.dumps(shared.hello(hostname="größer"), ensure_ascii=False).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(hello)), max_size=6)))
    pieces = [hello[first:last] for first, last in zip([0, *cuts], [*cuts, len(hello)], strict=True)]
    with wire(console, shared) as opened:
        for number, piece in enumerate(pieces):
            opcode = Opcode.CONT if number else Opcode.TEXT
            opened.send(opcode, piece, fin=number == len(pieces) - 1)
            opened.send(Opcode.PING, b"between")
        assert opened.message()["type"] == "welcome"


@pytest.fixture
def shared(defender: Maker) -> DefenderEnd:
    """One Defender for all examples."""
    return defender()


Play = Callable[[Wire], None]


@pytest.mark.parametrize(
    ("play", "code"),
    [
        (lambda end: end.send(Opcode.TEXT, b"{}", masked=False), 1002),
        (lambda end: end.link.sendall(b"\xc1\x82\0\0\0\0{}"), 1002),
        (lambda end: end.link.sendall(b"\x83\x80\x00\x00\x00\x00"), 1002),
        (lambda end: end.send(Opcode.CONT, b"{}"), 1002),
        (lambda end: (end.send(Opcode.TEXT, b"{", fin=False), end.send(Opcode.TEXT, b"}"))[0], 1002),
        (lambda end: (end.send(Opcode.TEXT, b"", fin=False), end.send(Opcode.TEXT, b"}"))[0], 1002),
        (lambda end: end.link.sendall(b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126), 1002),
        (lambda end: end.send(Opcode.TEXT, b'"\xff"'), 1007),
        (lambda end: end.send(Opcode.BINARY, b"{", fin=False), 1003),
        (lambda end: end.link.sendall(b"\x81\xff" + struct.pack("!Q", LARGEST_FRAME + 1) + b"\0" * 4), 1009),
        (lambda end: end.link.sendall(b"\x81\xff" + b"\xff" * 8 + b"\0" * 4), None),
    ],
    ids=[
        "unmasked", "extension", "unknown opcode", "a middle without beginning", "two beginnings",
        "two beginnings, one empty", "long ping", "not UTF-8", "binary fragments", "too long", "length below zero",
    ],
)  # fmt: skip
def test_a_bad_frame_closes(console: ConsoleUnderTest, shared: DefenderEnd, play: Play, code: int | None) -> None:
    """What RFC 6455 forbids ends the connection with its code, and the Console goes on."""
    with wire(console, shared) as opened:
        play(opened)
        seen = opened.close_code()
        assert code is None or seen == code
    with wire(console, shared) as opened:
        opened.send(Opcode.TEXT, json.dumps(shared.hello()).encode())
        assert opened.message()["type"] == "welcome"


def test_endless_fragments_are_bounded(console: ConsoleUnderTest, shared: DefenderEnd) -> None:
    """A message that grows without end is refused when it is too long, not when memory is."""
    with wire(console, shared) as opened:
        opened.send(Opcode.TEXT, b"[", fin=False)
        for _ in range(20):
            opened.send(Opcode.CONT, b" " * (LARGEST_FRAME // 16), fin=False)
        assert opened.close_code() == 1009


def test_another_subprotocol_is_refused(console: ConsoleUnderTest) -> None:
    """Whoever does not speak this version of the channel is told so before anything else."""
    context = ssl.create_default_context(cafile=str(console.running.ca_file))
    with (
        socket.create_connection(("localhost", console.running.channel_port), timeout=DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
    ):
        protocol = ClientProtocol(parse_uri(f"{console.wss}/enrol"), subprotocols=[Subprotocol("bartizan.v0")])
        protocol.send_request(protocol.connect())
        link.sendall(b"".join(protocol.data_to_send()))
        assert link.recv(4096).startswith(b"HTTP/1.1 400")
