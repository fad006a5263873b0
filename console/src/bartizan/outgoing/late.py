"""The guarded client as the Console is composed with it: what it needs is imported when the first request is made."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from bartizan.outgoing.client import GuardedClient
    from bartizan.outgoing.proxy import EgressProxy
    from bartizan.outgoing.reach import Reach
    from bartizan.services.outgoing import OutgoingAnswer, OutgoingRequest


class LateClient:
    """Implements `OutgoingClient` as `GuardedClient` does."""

    def __init__(self, reach: Reach, *, proxy: Callable[[], EgressProxy]) -> None:
        self._reach = reach
        self._proxy = proxy

    def check(self, url: str) -> None:
        """Raise OutgoingError for a URL that requests never go to, whatever its name resolves to."""
        self._client.check(url)

    def send(self, request: OutgoingRequest) -> OutgoingAnswer:
        """Make a request and return the answer, whatever its status. Raises OutgoingError."""
        return self._client.send(request)

    def connect(self, host: str, port: int, *, seconds: float) -> socket.socket:
        """Return a connection to a host, without TLS. Raises OutgoingError."""
        return self._client.connect(host, port, seconds=seconds)

    @cached_property
    def _client(self) -> GuardedClient:
        from bartizan.outgoing.client import GuardedClient  # noqa: PLC0415 - keeps the start quick

        return GuardedClient(self._reach, proxy=self._proxy)
