"""
One WebSocket of the channel, as sessions see it: texts come out one by one, and go in one by one.

The transport is picows with aiofastnet's TLS: of all that shows a peer's certificate it costs the least for each
connection (docs/decisions/0010-gateway.md). What a peer may do wrong on this level is answered here, with the
close codes of RFC 6455, section 7.4.1.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from bartizan.channel.messages import LARGEST_FRAME

if TYPE_CHECKING:
    import ssl

# A peer that sends faster than it is served is not read from until the session has caught up.
_MOST_UNREAD = 4
_CLOSING_SECONDS = 2.0


class ConnectionClosedError(Exception):
    """The peer is gone, or the connection was closed."""


class Connection(WSListener):
    """One WebSocket; `path` is what was asked for, `certificate` the peer's (DER), verified, or None."""

    def __init__(self, path: str, transport: WSTransport) -> None:
        super().__init__()
        self.path = path
        self.address = _address(transport)
        self.certificate = _certificate(transport)
        self._transport = transport
        self._unread: deque[str | bytes] = deque()
        self._gathered: bytearray | None = None
        self._arrived = asyncio.Event()
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._closed = False

    async def receive(self) -> str | bytes:
        """Return the next message: text, or bytes of a binary one. Raises ConnectionClosedError when there is none."""
        while not self._unread:
            if self._closed:
                raise ConnectionClosedError
            self._arrived.clear()
            await self._arrived.wait()
        message = self._unread.popleft()
        if self._paused and not self._unread:
            self._paused = False
            self._transport.underlying_transport.resume_reading()
        return message

    async def send(self, text: bytes) -> None:
        """Send a text (UTF-8), and wait while the peer does not take what was sent. Raises ConnectionClosedError."""
        if self._closed:
            raise ConnectionClosedError
        self._transport.send(WSMsgType.TEXT, text)
        if self._writable is not None:
            await asyncio.shield(self._writable)
        if self._closed:
            raise ConnectionClosedError

    async def close(self, code: WSCloseCode = WSCloseCode.OK, reason: str = "") -> None:
        """Close, and wait a moment for the peer to agree."""
        if not self._transport.is_disconnected:
            self._transport.send_close(code, reason.encode())
            try:
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await self._transport.wait_disconnected()
            except TimeoutError:
                self._transport.disconnect(graceful=False)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame; called by the transport."""
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._refuse(WSCloseCode.PROTOCOL_ERROR, "no extension is in use")
        elif kind == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif kind == WSMsgType.TEXT and frame.fin and self._gathered is None:
            self._text(frame.get_payload_as_bytes())
        elif kind == WSMsgType.BINARY and frame.fin and self._gathered is None:
            self._put(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._piece(frame)
        elif kind == WSMsgType.BINARY:
            self._refuse(WSCloseCode.UNSUPPORTED_DATA, "messages are text")

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - the transport's signature
        """Let whoever waits know; called by the transport."""
        self._closed = True
        self._arrived.set()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Let senders wait; called by the transport."""
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let senders go on; called by the transport."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def _piece(self, frame: WSFrame) -> None:
        """Gather the fragments of a text (RFC 6455, section 5.4)."""
        if (frame.msg_type == WSMsgType.TEXT) is (self._gathered is not None):
            self._refuse(WSCloseCode.PROTOCOL_ERROR, "a fragment is out of order")
            return
        gathered = bytearray() if self._gathered is None else self._gathered
        gathered += frame.get_payload_as_memoryview()
        self._gathered = None if frame.fin else gathered
        if len(gathered) > LARGEST_FRAME:
            self._refuse(WSCloseCode.MESSAGE_TOO_BIG, "the message is too long")
        elif frame.fin:
            self._text(gathered)

    def _text(self, payload: bytes | bytearray) -> None:
        try:
            self._put(payload.decode())
        except UnicodeDecodeError:
            self._refuse(WSCloseCode.INVALID_TEXT, "the text is not UTF-8")

    def _put(self, message: str | bytes) -> None:
        if self._transport.is_close_frame_sent:
            return
        self._unread.append(message)
        self._arrived.set()
        if len(self._unread) >= _MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.underlying_transport.pause_reading()

    def _refuse(self, code: WSCloseCode, reason: str) -> None:
        self._transport.send_close(code, reason.encode())
        self._transport.disconnect()


def _address(transport: WSTransport) -> str:
    address = transport.underlying_transport.get_extra_info("peername")
    return str(address[0]) if isinstance(address, tuple) else "unknown"


def _certificate(transport: WSTransport) -> bytes | None:
    # Another TLS implementation than Python's own may be in use, with the same method.
    tls = cast("ssl.SSLObject | None", transport.underlying_transport.get_extra_info("ssl_object"))
    return tls.getpeercert(binary_form=True) if tls is not None else None
