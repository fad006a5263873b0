"""The application behind the proxy in the Core Rule Set's tests: what their own backend, albedo, does.

``POST /reflect`` is answered as its JSON says (`status`, `headers`, `body` or `encodedBody`), everything else with an
empty 200. A connection carries one request after the other.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any


class Reflecting(asyncio.Protocol):
    """One connection of the proxy, which frames strictly: by length or in chunks."""

    def __init__(self, seen: list[bytes]) -> None:
        """Nothing has come yet; requests' first lines are added to `seen`."""
        self.came = bytearray()
        self.seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self.came += data
        while (request := self._whole()) is not None:
            line, body = request
            self.seen.append(line)
            reflects = line.startswith(b"POST /reflect")
            self.transport.write(reflection(body) if reflects else _answer(200, {}, b"", head=line.startswith(b"HEAD")))

    def _whole(self) -> tuple[bytes, bytes] | None:
        """The next request's first line and body, taken out of what came; None until it is whole."""
        end = self.came.find(b"\r\n\r\n")
        if end < 0:
            return None
        line, *fields = bytes(self.came[:end]).split(b"\r\n")
        named = {name.strip().lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}
        start = end + 4
        if named.get(b"transfer-encoding", b"").lower() == b"chunked":
            return self._in_chunks(line, start)
        stop = start + int(named.get(b"content-length", b"0"))
        if len(self.came) < stop:
            return None
        body = bytes(self.came[start:stop])
        del self.came[:stop]
        return line, body

    def _in_chunks(self, line: bytes, start: int) -> tuple[bytes, bytes] | None:
        body = b""
        while (end := self.came.find(b"\r\n", start)) >= 0:
            length = int(self.came[start:end].split(b";")[0], 16)
            start = end + 2 + length + 2
            if len(self.came) < start:
                return None
            body += self.came[end + 2 : end + 2 + length]
            if not length:
                del self.came[:start]
                return line, body
        return None


def reflection(wanted: bytes) -> bytes:
    """The answer that a body asks for; an empty 200 for a body that asks for none."""
    try:
        asked: Any = json.loads(wanted)
    except ValueError:
        asked = {}
    if not isinstance(asked, dict):
        asked = {}
    encoded = asked.get("encodedBody")
    body = base64.b64decode(encoded) if encoded else str(asked.get("body", "")).encode()
    return _answer(int(asked.get("status", 200)), asked.get("headers") or {}, body)


def _answer(status: int, headers: dict[str, Any], body: bytes, *, head: bool = False) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() != "content-length")
    return f"HTTP/1.1 {status} OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + (b"" if head else body)
