"""Requests of each kind, and connections that send them: for bench_waas.py."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote_plus, urlencode

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
# What Chrome sends.
HEADERS = (
    f"Host: shop.example.com\r\nUser-Agent: {AGENT}\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://shop.example.com/category/garden?page=2\r\n"
)
COOKIES = "session=8f2c1d77a90b4e21; theme=dark; _ga=GA1.2.1203945567.1718000000"
PATIENCE = 120
SCRIPT = Path(__file__).with_name("waas_wrk.lua")


def requests_of(kind: str, count: int, *, number: int) -> list[bytes]:
    """So many requests of a kind; those with fresh tokens are others for each number."""
    if kind == "tokens_fresh":
        source = random.Random(number)  # noqa: S311 - no secrets
        return [_with_tokens(source) for _ in range(count)]
    same = {
        "get": lambda: _request("/?id=1"),
        "attack": lambda: _request("/?id=" + quote_plus("1' UNION SELECT user,password FROM users-- -")),  # noqa: S608
        "form": lambda: _request("/order", "application/x-www-form-urlencoded", _form()),
        "json": lambda: _request("/api/order", "application/json", _order(items=40)),
        "json_1m": lambda: _request("/api/bulk", "application/json", _bulk(items=50_000)),
        "tokens_again": lambda: _with_tokens(random.Random(0)),  # noqa: S311 - no secrets
    }
    return [same[kind]()] * count


def _request(target: str, kind: str = "", body: bytes = b"", cookies: str = COOKIES) -> bytes:
    method = "POST" if body else "GET"
    about = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\n{HEADERS}Cookie: {cookies}\r\n{about}\r\n".encode() + body


def _with_tokens(source: random.Random) -> bytes:
    """A request whose session, visitor, and two arguments are random."""
    session, visitor, state = (f"{source.getrandbits(128):032x}" for _ in range(3))
    cookies = f"session={session}; visitor={visitor}; theme=dark"
    return _request(f"/callback?state={state}&nonce={source.getrandbits(64):x}", cookies=cookies)


def _form() -> bytes:
    """1 KB in 20 fields."""
    fields = {f"field_{number}": f"An ordinary value of a customer's form, {number}" for number in range(20)}
    return urlencode(fields).encode()


def _order(items: int) -> bytes:
    """10 KB with 40 items."""
    return json.dumps(
        {
            "customer": "Alice Example",
            "currency": "EUR",
            "express": False,
            "items": [
                {
                    "id": 10_000 + number,
                    "sku": f"GARDEN-{number:05d}-B",
                    "name": f"Watering can, green, {number} litres",
                    "price": f"{number + 9}.95",
                    "quantity": 1 + number % 5,
                    "gift": number % 2 == 0,
                    "note": "Please leave it at the door of the shed, thank you very much, Alice",
                    "size": {"width": 20 + number, "height": 31},
                }
                for number in range(items)
            ],
        }
    ).encode()


def _bulk(items: int) -> bytes:
    """1 MB in 100,000 short leaves."""
    rows = [{"id": number, "n": f"t{number % 97}"} for number in range(items)]
    return json.dumps({"rows": rows}, separators=(",", ":")).encode()


class Load:
    """Connections that are kept open; on each goes one request at a time."""

    def __init__(self, port: int, width: int) -> None:
        """Open so many."""
        self.port = port
        self.open = [self._connect() for _ in range(width)]

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        for connection in self.open:
            connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send(self, requests: list[bytes]) -> None:
        """Send requests over all connections by turns, and read what is answered."""
        width = len(self.open)
        for start in range(0, len(requests), width):
            burst = requests[start : start + width]
            for connection, request in zip(self.open, burst, strict=False):
                connection.sendall(request)
            for index in range(len(burst)):
                if not _answer(self.open[index]):
                    self.open[index].close()
                    self.open[index] = self._connect()

    def upload(self, size: int) -> None:
        """Send one body of so many bytes that are no text."""
        piece = bytes(range(256)) * 1024
        connection = self.open[0]
        about = f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n"
        connection.sendall(f"POST /file HTTP/1.1\r\n{HEADERS}{about}\r\n".encode())
        for _ in range(size // len(piece)):
            connection.sendall(piece)
        if not _answer(connection, status=b"200"):
            self.open[0] = self._connect()

    @staticmethod
    def first_event(port: int) -> float:
        """Seconds until a stream's first event, on a new connection."""
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            started = time.perf_counter()
            connection.sendall(f"GET /events HTTP/1.1\r\n{HEADERS}\r\n".encode())
            came = b""
            while b"data: 1" not in came:
                more = connection.recv(65536)
                if not more:
                    raise SystemExit(f"no event came, but {came!r}")
                came += more
            return time.perf_counter() - started


def send_with_wrk(port: int, width: int, requests: list[bytes], seconds: int) -> int:
    """Have wrk send requests by turns over connections that are kept open, each as soon as one is answered; how many.

    Raises:
        SystemExit: not every request was answered.
    """
    with tempfile.NamedTemporaryFile(prefix="bartizan-bench-") as file:
        for request in requests:
            file.write(b"%d\n%b" % (len(request), request))
        file.flush()
        options = ["--threads", "1", "--connections", str(width), "--duration", f"{seconds}s", "--script", str(SCRIPT)]
        command = ["wrk", *options, f"http://127.0.0.1:{port}", "--", file.name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) requests in", said)
    if found is None or "Socket errors" in said:
        raise SystemExit(f"wrk did not get its answers: {said}")
    return int(found[1])


def _answer(connection: socket.socket, status: bytes = b"") -> bool:
    """Read an answer; whether the connection can be used again.

    Raises:
        SystemExit: there was none, or another than was expected.
    """
    came = b""
    while (end := came.find(b"\r\n\r\n")) < 0:
        more = b""
        with suppress(ConnectionError):
            more = connection.recv(65536)
        if not more:
            raise SystemExit(f"the connection ended after {came!r}")
        came += more
    head = came[:end].lower()
    expected = (status,) if status else (b"200", b"403")
    if head[9:12] not in expected:
        raise SystemExit(f"unexpected answer: {came[:500]!r}")
    length = int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
    left = length - (len(came) - end - 4)
    while left > 0:
        left -= len(connection.recv(65536)) or left
    return b"\r\nconnection: close" not in head
