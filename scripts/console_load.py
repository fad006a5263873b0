"""Defenders by the thousand, for measuring a Console.

They speak the real channel: each enrols, holds a mutually verified TLS connection, answers policies and sends audits.
What a real Defender does beside that costs the Console nothing, so it is left out.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

SUBPROTOCOL = Subprotocol("bartizan.v1")
LONGEST_WAIT = 16.0
# More at once would only queue at the server, whose handshakes are the costly part.
AT_ONCE = 64


@dataclass(frozen=True)
class Identity:
    """What one Defender needs to come back: its instance and the context with its certificate."""

    instance: str
    context: ssl.SSLContext


@dataclass
class Fleet:
    """
    Defenders of one Console.

    `revisions` counts how many have answered a policy of a revision, `when` holds the time of the last such answer.
    """

    address: str
    ca_file: Path
    folder: Path
    identities: list[Identity] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    revisions: dict[int, int] = field(default_factory=dict)
    when: dict[int, float] = field(default_factory=dict)
    coming_back: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def enrol(self, bundle_text: str, count: int) -> None:
        """Enrol `count` Defenders with an install bundle (base64 of JSON)."""
        bundle = json.loads(base64.b64decode(bundle_text))
        key = ec.generate_private_key(ec.SECP256R1())
        context = ssl.create_default_context(cafile=str(self.ca_file))

        async def one(_number: int) -> None:
            self.identities.append(await self._enrolled(bundle, key, context))

        await _in_turns(one, count)

    async def connect(self, count: int) -> None:
        """Connect the first `count` Defenders; all have their policy when it returns."""
        new = [Link(self, identity) for identity in self.identities[len(self.links) : count]]
        self.links += new

        async def one(number: int) -> None:
            await new[number].open()
            await new[number].ready.wait()

        await _in_turns(one, len(new))

    async def all_back(self) -> None:
        """Wait until every Defender is connected and has its policy."""
        for link in self.links:
            await link.ready.wait()

    async def close(self) -> None:
        """Close all links, and wait for those that were coming back."""
        self.coming_back = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self.links:
            link.abort()

    def lost(self, link: Link) -> None:
        """Let a Defender whose link broke come back, ever later if that fails, spread at random."""
        if self.coming_back:
            task = asyncio.create_task(_come_back(link))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def answered(self, revision: int) -> None:
        """Count one answer to a policy."""
        self.revisions[revision] = self.revisions.get(revision, 0) + 1
        self.when[revision] = time.perf_counter()

    async def _enrolled(
        self, bundle: dict[str, Any], key: ec.EllipticCurvePrivateKey, context: ssl.SSLContext
    ) -> Identity:
        instance = secrets.token_hex(16)
        request = {
            "type": "enrol", "bundle": bundle["id"], "secret": bundle["secret"], "csr": _csr(key),
            "instance": instance, "kind": "fargate", "appId": f"load-{int(instance[:2], 16)}",
        }  # fmt: skip
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        socket = Socket(
            f"{self.address}/enrol", lambda message: answer.done() or answer.set_result(message), lambda: None
        )
        await socket.open(context)
        socket.send(request)
        enrolled = await asyncio.wait_for(answer, 30)
        socket.abort()
        if enrolled["type"] != "enrolled":
            raise RuntimeError(f"the Console does not enrol: {enrolled}")
        own = ssl.create_default_context(cafile=str(self.ca_file))
        file = self.folder / f"{instance}.pem"
        file.write_bytes(_pem(key) + enrolled["certificate"].encode())
        own.load_cert_chain(file)
        file.unlink()
        return Identity(instance, own)


@dataclass
class Link:
    """One Defender's link; `acked` is the highest number that the Console has committed."""

    fleet: Fleet
    identity: Identity
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    acked: int = 0
    sent: int = 0
    _socket: Socket | None = None
    _acked: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Connect and say hello. Raises OSError."""
        self._socket = Socket(f"{self.fleet.address}/channel", self._take, self._gone)
        await self._socket.open(self.identity.context)
        self._socket.send(_hello(self.identity.instance))

    def abort(self) -> None:
        """Close without a word."""
        if self._socket is not None:
            self._socket.abort()

    async def send_audits(self, count: int) -> float:
        """Send `count` audits in one message and return the seconds until all are committed."""
        first = self.sent + 1
        self.sent += count
        begun = time.perf_counter()
        if self._socket is None:
            raise OSError("not connected")
        self._socket.send(
            {"type": "audits", "source": self.identity.instance, "container": "web",
             "audits": [_audit(number) for number in range(first, first + count)]}
        )  # fmt: skip
        while self.acked < first + count - 1:
            self._acked.clear()
            await self._acked.wait()
        return time.perf_counter() - begun

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "policies":
                self._answer(message)
                self.ready.set()
            case "ack":
                self.acked = max(self.acked, message["committed"])
                self._acked.set()
            case "error":
                raise RuntimeError(f"the Console ends a link: {message}")

    def _answer(self, message: dict[str, Any]) -> None:
        status = [
            {"container": item["container"], "instance": self.identity.instance, "policyHash": item["hash"], "tier": 1,
             "tierReasons": [], "dropped": 0}
            for item in message["policies"]
        ]  # fmt: skip
        if self._socket is not None:
            self._socket.send({"type": "status", "workloads": status})
        self.fleet.answered(message["revision"])

    def _gone(self) -> None:
        if self.ready.is_set():
            self.ready.clear()
            self.fleet.lost(self)


class Socket(asyncio.Protocol):
    """A WebSocket over TLS with little memory: `taken` gets each message, `gone` is called once when it ends."""

    def __init__(self, address: str, taken: Callable[[dict[str, Any]], object], gone: Callable[[], None]) -> None:
        self._uri = parse_uri(address)
        self._taken = taken
        self._gone = gone
        self._web = ClientProtocol(self._uri, subprotocols=[SUBPROTOCOL], max_size=1 << 21)
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []

    async def open(self, context: ssl.SSLContext) -> None:
        """Connect. Raises OSError when that fails."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: self,
            self._uri.host,
            self._uri.port,
            ssl=context,
            server_hostname="localhost",
            ssl_handshake_timeout=60,
        )
        await asyncio.wait_for(self._opened, 60)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self._web.send_text(json.dumps(message).encode())
        self._flush()

    def abort(self) -> None:
        """Close at once; `gone` is not called."""
        self._gone = lambda: None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._web.send_request(self._web.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Hand on what came in."""
        self._web.receive_data(data)
        for event in self._web.events_received():
            opcode = getattr(event, "opcode", None)
            if opcode in (Opcode.TEXT, Opcode.CONT):
                self._pieces.append(event.data)
                if event.fin:
                    whole, self._pieces = b"".join(self._pieces), []
                    self._taken(json.loads(whole))
        if not self._opened.done() and self._web.state is State.OPEN:
            self._opened.set_result(None)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it ended."""
        if not self._opened.done():
            self._opened.set_exception(
                self._web.handshake_exc or exc or ConnectionError("the Console closed the connection")
            )
        self._gone()

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._web.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()


async def send_at(links: Sequence[Link], rate: int, seconds: float, *, size: int = 100) -> list[float]:
    """
    Send `rate` audits a second for `seconds`, `size` in a message, spread over the links; return the commit times.

    A link waits for its acknowledgement before it sends again, so a Console that cannot keep up makes it take longer.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    each = rate / size / len(links)
    taken: list[float] = []

    async def one(link: Link) -> None:
        due = begun + random.random() / each  # noqa: S311 - spreads the load
        for _ in range(round(seconds * each)):
            await asyncio.sleep(max(0.0, due - loop.time()))
            taken.append(await link.send_audits(size))
            due += 1 / each

    await asyncio.gather(*map(one, links))
    return taken


async def _come_back(link: Link) -> None:
    wait = 1.0
    while True:
        await asyncio.sleep(random.uniform(0, wait))  # noqa: S311 - spreads the load
        try:
            await link.open()
        except (OSError, TimeoutError):
            wait = min(wait * 2, LONGEST_WAIT)
        else:
            return


async def _in_turns(work: Callable[[int], Awaitable[None]], count: int) -> None:
    numbers: Iterator[int] = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    await asyncio.gather(*(worker() for _ in range(min(AT_ONCE, count))))


def _hello(instance: str) -> dict[str, Any]:
    return {
        "type": "hello", "protocol": 1, "instance": instance, "kind": "fargate",
        "appId": f"load-{int(instance[:2], 16)}", "version": "0.1.0", "architecture": "amd64",
        "hostname": f"task-{instance[:8]}", "task": f"task-{instance[:8]}",
        "workloads": [{"container": "web", "image": "battlement/shop:1"}],
    }  # fmt: skip


def _audit(number: int) -> dict[str, Any]:
    return {
        "seq": number, "time": time.time_ns() // 1_000_000, "rule": "load", "effect": "prevent",
        "reason": "deniedProcess", "matched": "sh",
        "event": {
            "kind": "process", "path": "/usr/bin/dash", "invoked": "/bin/sh", "arguments": ["sh", "-c", f"id {number}"],
            "pid": 12 + number % 1000, "parentPid": 8, "parentPath": "/usr/bin/python3.11", "user": 0, "main": False,
            "interpreted": False, "invokedIsExe": True,
        },
    }  # fmt: skip


def _csr(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "load")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
