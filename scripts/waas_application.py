"""The application behind the proxy in bench_waas.py: prints its port, answers everything with a short 200.

`GET /events` is answered with a stream whose first event comes at once and that goes on until the client leaves. Bodies
are counted and dropped. It ends when standard input does.
"""

from __future__ import annotations

import asyncio
import sys

PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 64\r\n\r\n"
    + b"<html><body><p>Ordinary page of an application.</p></body></html>"[:64]
)
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"data: 1\n\n"


class Application(asyncio.Protocol):
    """One connection of the proxy."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.head = bytearray()
        self.left = 0
        self.answer = PAGE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request once its body is whole."""
        rest = memoryview(data)
        while rest:
            rest = self._body(rest) if self.left else self._head(rest)

    def _head(self, rest: memoryview) -> memoryview:
        begun = len(self.head)
        self.head += rest
        end = self.head.find(b"\r\n\r\n", max(begun - 3, 0))
        if end < 0:
            return rest[:0]
        head = bytes(self.head[:end]).lower()
        self.head.clear()
        _, found, length = head.partition(b"\r\ncontent-length:")
        self.left = int(length.split(b"\r\n")[0]) if found else 0
        if head.startswith(b"get /events"):
            self.transport.write(EVENTS + b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
        elif not self.left:
            self.transport.write(PAGE)
        return rest[end + 4 - begun :]

    def _body(self, rest: memoryview) -> memoryview:
        taken = min(self.left, len(rest))
        self.left -= taken
        if not self.left:
            self.transport.write(PAGE)
        return rest[taken:]


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Application, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
