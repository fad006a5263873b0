"""
Notes every request that writes in the log of changes, whichever route it goes to.

What a request changed is found by asking the API itself, before and after, for what its path (or the path above) shows:
that has no secrets in it, and needs nothing of the routes.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.api.context import ApiServices, source_of
from bartizan.services.changes import Change, kind_of
from bartizan.services.differences import differences, without_secrets
from bartizan.services.rights import Permission, User

INSIDE = "bartizan.inside"
"""In the scope of a request that the Console makes of itself: for whom. No client can put anything there."""
NOTE = "bartizan.note"
_ROOT = "/api/v1/"
_SAFE = ("GET", "HEAD", "OPTIONS")
_REFUSED = 400
_FAILED = 500
_LARGEST_BODY = 16 * 1024
_LARGEST_VIEW = 512 * 1024
_VIEW_SECONDS = 5.0
_REFUSALS = 60
_MINUTE = 60.0
_LOG_INS = frozenset(("/api/v1/signup", "/api/v1/authenticate", "/api/v1/session"))
_TOKENS = "/api/v1/tokens"
_VIEWED = frozenset({
    Permission.POLICY_WRITE, Permission.CREDENTIALS_WRITE, Permission.SETTINGS_WRITE, Permission.COLLECTIONS_WRITE,
    Permission.ACCESS_WRITE, Permission.ALERTS_WRITE, Permission.SYSTEM_WRITE,
})  # fmt: skip
"""What changes things that can be looked at; the others' bodies are noted."""
_BODILESS = frozenset({Permission.DEFENDERS_EMBED, Permission.SIGNED_IN, Permission.PUBLIC})
"""Bodies that are other people's secrets, or our own."""


@dataclass(slots=True)
class Note:
    """What is known of a request so far."""

    user: User | None = None
    permission: Permission = Permission.PUBLIC
    before: Any = None
    view: str = ""
    body: bytearray = field(default_factory=bytearray)

    @property
    def wanted(self) -> bool:
        """Whether somebody known tried to write."""
        return self.user is not None and not self.permission.reads


async def begin(scope: Scope, user: User, permission: Permission, *, allowed: bool) -> None:
    """Note who writes; and, if they may, how that looks before."""
    note = scope.get(NOTE)
    if not isinstance(note, Note):
        return
    note.user, note.permission = user, permission
    if allowed and (permission in _VIEWED or scope["path"].startswith(_TOKENS)):
        note.view, note.before = await _seen(scope["app"], scope, user, _above(scope["path"]))


class _Bucket:
    """Lets sixty refused log-ins a minute into the log: a flood of them would bury the rest."""

    def __init__(self) -> None:
        self._left = _REFUSALS
        self._since = 0.0

    def takes(self) -> bool:
        """Return whether there is room for one more."""
        now = asyncio.get_running_loop().time()
        if now - self._since >= _MINUTE:
            self._left, self._since = _REFUSALS, now
        self._left -= 1
        return self._left >= 0


class Recording:
    """The middleware; `api` is the application that it stands before."""

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self._app = app
        self._api = api
        self._refusals = _Bucket()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and note it before its answer goes out."""
        services = self._api.state.services
        if scope["type"] != "http" or scope["method"] in _SAFE or not isinstance(services, ApiServices):
            await self._app(scope, receive, send)
            return
        note, held = Note(), list[Message]()
        scope[NOTE] = note

        async def noticed(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            if held:
                start = held.pop()
                await self._record(services, scope, note, start["status"], message.get("body", b""))
                await send(start)
            await send(message)

        try:
            await self._app(scope, _copied(receive, note), noticed)
        except Exception:
            await self._record(services, scope, note, _FAILED, b"")
            raise

    async def _record(self, services: ApiServices, scope: Scope, note: Note, status: int, answer: bytes) -> None:
        path = scope["path"]
        if note.user is None and path in _LOG_INS:
            if status >= _REFUSED and not self._refusals.takes():
                return
            name, role = _name_of(bytes(note.body)), ""
        elif note.wanted and note.user is not None:
            name, role = note.user.name, note.user.role
        else:
            return
        document: dict[str, Any] = {"role": role, "via": note.user.via if note.user is not None else "password"}
        if query := _query(scope):
            document["query"] = query
        if status >= _REFUSED:
            document["failure"] = _failure(answer)
        elif note.view and note.user is not None:
            _, after = await _seen(scope["app"], scope, note.user, [note.view])
            found = differences(without_secrets(note.before), without_secrets(after))
            document["diff"] = [{"path": item.path, "before": item.before, "after": item.after} for item in found]
        elif note.permission not in _BODILESS and note.permission not in _VIEWED:
            document["body"] = _decoded(bytes(note.body))
        change = Change(
            id=0,
            time=0,
            user=name,
            type=kind_of(path),
            source=source_of(scope),
            method=scope["method"],
            path=path[:1000],
            status=status,
            document=b"",
        )
        await services.changes.note(change, document)


def _copied(receive: Receive, note: Note) -> Receive:
    async def copied() -> Message:
        message = await receive()
        if message["type"] == "http.request" and len(note.body) <= _LARGEST_BODY:
            note.body += message.get("body", b"")[: _LARGEST_BODY + 1]
        return message

    return copied


def _above(path: str) -> list[str]:
    """Return a path and those above it, as far as they can show one thing."""
    parts = path.removeprefix(_ROOT).split("/")
    return [_ROOT + "/".join(parts[:count]) for count in range(len(parts), max(0, len(parts) - 3), -1)]


async def _seen(api: FastAPI, scope: Scope, user: User, paths: list[str]) -> tuple[str, Any]:
    """Return the first of these paths that shows something, and what; an empty path if none does."""
    for path in paths:
        asked = {
            **{name: scope[name] for name in ("type", "asgi", "http_version", "scheme", "server", "client", "app")},
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [item for item in scope["headers"] if item[0] == b"host"],
            "state": {},
            INSIDE: user,
        }
        for route in api.router.routes:
            match, matched = route.matches(asked)
            if match is Match.FULL and isinstance(route, APIRoute) and _shows(route):
                view = await _view(route, {**asked, **matched})
                return (path, view) if view is not None else ("", None)
    return "", None


def _shows(route: APIRoute) -> bool:
    """Return whether a route answers with JSON that somebody may read."""
    needed = [getattr(item.call, "permission", None) for item in route.dependant.dependencies]
    readable = any(isinstance(item, Permission) and (item.reads or item is Permission.SIGNED_IN) for item in needed)
    return readable and "GET" in (route.methods or ())


async def _view(route: APIRoute, scope: Scope) -> Any:  # noqa: ANN401 - JSON
    body, status = bytearray(), 0

    async def empty() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def kept(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        body.extend(message.get("body", b""))
        if len(body) > _LARGEST_VIEW:
            raise ValueError

    # Whatever goes wrong in looking must not keep the request from being done.
    with contextlib.suppress(Exception):
        async with contextlib.AsyncExitStack() as stack, asyncio.timeout(_VIEW_SECONDS):
            # What FastAPI's own middleware would have put there.
            scope["fastapi_middleware_astack"] = stack
            await route.handle(scope, empty, kept)
        if status < _REFUSED:
            return msgspec.json.decode(body)
    return None


def _query(scope: Scope) -> dict[str, str]:
    pairs = parse_qsl(scope["query_string"].decode("latin-1")[:2000], keep_blank_values=True, max_num_fields=50)
    return dict(without_secrets(dict(pairs)))


def _failure(answer: bytes) -> str:
    found = _decoded(answer)
    return str(found.get("err", ""))[:500] if isinstance(found, dict) else ""


def _name_of(body: bytes) -> str:
    found = _decoded(body)
    return str(found.get("username", ""))[:64] if isinstance(found, dict) else ""


def _decoded(body: bytes) -> Any:  # noqa: ANN401 - JSON
    if len(body) > _LARGEST_BODY:
        return None
    try:
        return without_secrets(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
