"""Bounds the time that a client may take to say what it wants: idle connections must not use up the server's places."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_for(seconds: float) -> type[H11Protocol]:
    """Return uvicorn's protocol, which closes a connection whose request head is not complete after so many seconds."""

    class PatientProtocol(H11Protocol):
        """An HTTP connection that is not waited for without end."""

        _ending: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Begin to wait for the first request."""
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            """Wait on while the head is not complete."""
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            """Stop waiting."""
            super().connection_lost(exc)
            self._stop()

        def _watch(self) -> None:
            if self.conn.their_state is not h11.IDLE:
                self._stop()
            elif self._ending is None:
                self._ending = self.loop.call_later(seconds, self.transport.close)

        def _stop(self) -> None:
            if self._ending is not None:
                self._ending.cancel()
                self._ending = None

    return PatientProtocol
