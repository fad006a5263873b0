"""Real receivers of alerts on loopback: HTTPS,  and syslog over TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from bartizan.outgoing.courier import AlertCourier
from bartizan.outgoing.late import LateClient
from bartizan.outgoing.proxy import no_proxy
from bartizan.outgoing.reach import parse_reach

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def server_context(pem: Path) -> ssl.SSLContext:
    """Return the TLS settings of a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def courier(directory: Path, *allowed: str) -> AlertCourier:
    """Return a courier that may reach these hosts inside."""
    return AlertCourier(LateClient(parse_reach(allowed), proxy=no_proxy), directory)


@dataclass
class Mailbox:
    """What a mail server was given."""

    port: int = 0
    mails: list[Any] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        self.mails.append(envelope)
        return "250 OK"

    def authenticate(self, _server: object, _session: object, _envelope: object, _kind: str, found: Any) -> AuthResult:
        """Take one password."""
        assert isinstance(found, LoginPassword)
        self.logins.append((found.login, found.password))
        return AuthResult(success=found.password == b"right", handled=found.password == b"right")


@contextlib.contextmanager
def mail_server(pem: Path, *, tls_first: bool, login: bool = False, starttls: bool = True) -> Iterator[Mailbox]:
    """Run a mail server with STARTTLS, or TLS from the first byte."""
    box = Mailbox()
    context = server_context(pem)
    given: dict[str, Any] = {"hostname": "127.0.0.1", "port": _free_port()}
    if tls_first:
        given["ssl_context"] = context
    elif starttls:
        given |= {"tls_context": context, "require_starttls": True}
    if login:
        given |= {"authenticator": box.authenticate, "auth_required": True, "auth_require_tls": not tls_first}
    controller = Controller(box, **given)
    controller.start()
    box.port = given["port"]
    try:
        yield box
    finally:
        controller.stop()


def _free_port() -> int:
    # aiosmtpd's controller connects to the port that it was told, so that 0 does not do.
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class SyslogServer:
    """A server for syslog over TLS; `frames` are the messages as they came, octet counting undone."""

    def __init__(self, pem: Path) -> None:
        self.frames: list[bytes] = []
        self._context = server_context(pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as stream:
                received = b""
                while piece := stream.recv(65536):
                    received += piece
                while received:
                    length, _, rest = received.partition(b" ")
                    self.frames.append(rest[: int(length)])
                    received = rest[int(length) :]
