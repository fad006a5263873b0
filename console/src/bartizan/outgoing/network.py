"""The sockets under every outgoing request: each address is checked before it is dialled, each wait is bounded.

An image's name comes from whoever wrote the task definition, a webhook's address from whoever keeps alerts, and both
may redirect where they like; none may make the Console talk to the machines behind it (server-side request forgery).
The check is made on the address that is then dialled, so a name that changes its address between the two (DNS
rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable


class Deadline:
    """A point in time; `left` is what remains until it, at most what is asked for."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self, most: float | None) -> float | None:
        """Return the seconds that a step may take; raises `httpcore.ReadTimeout` when none are left."""
        if self._end is None:
            return most
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"it took longer than {self.seconds:g} seconds")
        return left if most is None else min(most, left)


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host by the system's resolver. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def dial(address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
    """Open a TCP connection. Raises `httpcore.ConnectError` and `httpcore.ConnectTimeout`."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout)


@dataclass(frozen=True, slots=True)
class Network:
    """How names become addresses and addresses connections."""

    resolve: Callable[[str, int], list[str]] = resolve
    dial: Callable[[str, int, float | None], httpcore.NetworkStream] = dial


class GuardedBackend(httpcore.NetworkBackend):
    """A network for `httpcore` that dials only addresses that `permit` lets pass, and ends at a deadline.

    `permit` takes host, port and one address of the host, and raises an error for one that must not be spoken to.
    """

    def __init__(
        self,
        network: Network,
        *,
        deadline: Deadline,
        resolve_timeout: float,
        permit: Callable[[str, int, str], None],
    ) -> None:
        self._network = network
        self._deadline = deadline
        self._resolve_timeout = resolve_timeout
        self._permit = permit

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the interface is httpcore's
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers, once all of them are known to be allowed."""
        addresses = self._addresses(host, port)
        for address in addresses:
            self._permit(host, port, address)
        failure: Exception = httpcore.ConnectError(f"`{host}` has no address")
        for address in addresses:
            try:
                return _Stream(self._network.dial(address, port, self._deadline.left(timeout)), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as cause:
                failure = cause
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        """Resolve in a thread of its own: the system's resolver knows no time-out."""
        try:
            return [str(ipaddress.ip_address(host.strip("[]")))]
        except ValueError:
            pass
        answer: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._network.resolve(host, port))
            except (OSError, UnicodeError) as cause:
                answer.put(cause)

        threading.Thread(target=ask, daemon=True, name="resolve").start()
        try:
            found = answer.get(timeout=self._deadline.left(self._resolve_timeout))
        except queue.Empty:
            raise httpcore.ConnectTimeout(f"the name `{host}` was not resolved in time") from None
        if isinstance(found, Exception):
            raise httpcore.ConnectError(f"the name `{host}` cannot be resolved: {found}")
        return found


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline, however slowly the bytes drip."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the interface is httpcore's
        return self._inner.get_extra_info(info)
