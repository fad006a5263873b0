"""What holds for every request: bounded body, bounded time, no cross-site writes, security headers."""

import asyncio
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.api.errors import problem
from bartizan.embed.limits import LARGEST_DEFINITION, LARGEST_LINES
from bartizan.policy.rulesets import LARGEST_ARCHIVE

_log = logging.getLogger(__name__)
LARGEST_BODY = 1 << 20
_DEFENDERS = "/api/v1/defenders"
_LARGER = {
    f"{_DEFENDERS}/fargate.json": LARGEST_DEFINITION,
    f"{_DEFENDERS}/fargate.yaml": LARGEST_DEFINITION,
    "/api/v1/waas/rulesets": LARGEST_ARCHIVE,
    # Within a string of JSON a byte takes at most six (RFC 8259, section 7).
    f"{_DEFENDERS}/app-embedded": 6 * LARGEST_LINES + LARGEST_BODY,
}
"""The paths that take larger bodies: what the command line reads of the same texts must fit."""
_BODY_SECONDS = 20.0
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class BodyTooLargeError(Exception):
    """More than the largest body came."""


class BodyTooSlowError(Exception):
    """The body did not come in time."""


class Limits:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] not in _SAFE and _foreign(headers):
            await problem(403, "requests from other sites are refused")(scope, receive, _hardened(send))
            return
        length, largest = headers.get("content-length", "0"), _LARGER.get(scope["path"], LARGEST_BODY)
        if not length.isascii() or not length.isdigit() or int(length) > largest:
            await _too_large(largest)(scope, receive, _hardened(send))
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, _bounded(receive, largest), _hardened(watched))
        except Exception as error:
            if started:
                raise
            await _explained(error, scope)(scope, receive, _hardened(send))


def _explained(error: Exception, scope: Scope) -> Response:
    match error:
        case BodyTooLargeError():
            return _too_large(_LARGER.get(scope["path"], LARGEST_BODY))
        case BodyTooSlowError():
            return problem(408, "the body did not come in time")
        case _:
            _log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            return problem(500, "the Console failed to answer this, its log says why")


def _too_large(largest: int) -> Response:
    return problem(413, f"a body has at most {largest} bytes")


def _foreign(headers: Headers) -> bool:
    """Browsers keep basic credentials and send them along with other sites' requests; those name their origin."""
    if headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _bounded(receive: Receive, largest: int) -> Receive:
    got = 0
    complete = False
    deadline: float | None = None

    async def bounded() -> Message:
        nonlocal got, complete, deadline
        if complete:
            return await receive()
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + _BODY_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlowError from None
        if message["type"] == "http.request":
            got += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if got > largest:
                raise BodyTooLargeError
        return message

    return bounded


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return hardened
