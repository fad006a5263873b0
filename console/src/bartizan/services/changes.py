"""
The log of changes: every request that wrote something, or tried to, in a chain that shows when somebody meddles.

Each entry has a code (HMAC-SHA-256, RFC 2104) over its content and the entry before it, under a key of a file beside
the database; so has the head, which says where the chain ends. Who can write to the database alone can neither edit,
add, remove nor reorder entries without being noticed.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from bartizan.services.interfaces import Clock

_log = logging.getLogger(__name__)
_STEP = 1000
_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One entry; `time` is unix milliseconds, `document` the JSON of what changed, `hash` the code of the chain.

    `status` is the HTTP status of the answer.
    """

    id: int
    time: int
    user: str
    type: str
    source: str
    method: str
    path: str
    status: int
    document: bytes
    hash: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the chain ends; `code` proves it."""

    id: int
    hash: bytes
    code: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """Which entries are wanted: `before` an id, the newest first; empty fields ask for nothing."""

    before: int | None = None
    users: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    refused: bool | None = None
    text: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the chain holds: the number of entries, and what is wrong if something is."""

    count: int
    problem: str = ""
    hash: bytes = b""


class ChangeStore(Protocol):
    """The entries, by their ids without a gap from 0 on."""

    def add(self, change: Change, head: Head) -> None:
        """Keep an entry, and that it is the last."""
        ...

    def head(self) -> Head | None:
        """Return where the chain ends."""
        ...

    def page(self, query: ChangeQuery) -> list[Change]:
        """Return the newest matching entries."""
        ...

    def after(self, change: int, *, most: int) -> list[Change]:
        """Return the entries of greater ids, in order."""
        ...


class Changes:
    """The log of one Console. `key` is that of its file, `fresh` says that the file was made just now."""

    def __init__(self, store: ChangeStore, key: bytes, *, fresh: bool, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._lock = asyncio.Lock()
        self._unwritten = 0
        self._last = self._begin() if fresh and store.head() is None else self._resumed()

    async def note(self, change: Change, document: dict[str, Any]) -> None:
        """Add an entry; its id, time and code are given here. What cannot be written is told in the Console's log."""
        encoded = msgspec.json.encode(document)
        if len(encoded) > _LONGEST:
            encoded = msgspec.json.encode({**document, "diff": [], "body": None, "tooLarge": True})
        async with self._lock:
            entry = replace(change, id=self._last.id + 1, time=self._clock(), document=encoded)
            entry = replace(entry, hash=self._code(entry, self._last.hash))
            head = self._headed(entry)
            try:
                await asyncio.to_thread(self._store.add, entry, head)
            except Exception:  # noqa: BLE001 - what was done was done, and its answer goes out
                self._unwritten += 1
                _log.exception(
                    "the log of changes lacks an entry: %s %s by `%s`", change.method, change.path, change.user
                )
                return
            self._last = head

    async def page(self, query: ChangeQuery) -> list[Change]:
        """Return the newest matching entries."""
        return await asyncio.to_thread(self._store.page, query)

    async def verify(self) -> Verdict:
        """Return whether the chain holds."""
        async with self._lock:
            last, unwritten = self._last, self._unwritten
            verdict = await asyncio.to_thread(self._verified, last)
        if unwritten and not verdict.problem:
            return replace(verdict, problem=f"{unwritten} entries could not be written since the Console started")
        return verdict

    def _begin(self) -> Head:
        start = Change(
            id=0, time=self._clock(), user="", type="log", source="", method="", path="", status=200, document=b"{}"
        )
        start = replace(start, hash=self._code(start, b""))
        head = self._headed(start)
        self._store.add(start, head)
        return head

    def _resumed(self) -> Head:
        """Return where to go on; after a head that does not fit, in a way that `verify` will always find."""
        head, newest = self._store.head(), self._store.page(ChangeQuery(limit=1))
        last = newest[0].id if newest else -1
        if head is not None and head.id >= last and hmac.compare_digest(self._head_code(head.id, head.hash), head.code):
            return head
        _log.error("the log of changes was meddled with: its end does not fit")
        return Head(id=last, hash=bytes(32), code=b"")

    def _verified(self, last: Head) -> Verdict:
        count, previous = 0, b""
        for change in self._in_order():
            if change.id != count:
                return Verdict(count=count, problem=f"entry {count} is missing")
            if not hmac.compare_digest(self._code(change, previous), change.hash):
                return Verdict(count=count, problem=f"entry {count} was changed, or one before it")
            count, previous = count + 1, change.hash
        head = self._store.head()
        if head is None or not hmac.compare_digest(self._head_code(head.id, head.hash), head.code):
            return Verdict(count=count, problem="the end of the log was taken away or changed")
        if (head.id, head.hash) != (count - 1, previous) or (last.id, last.hash) != (head.id, head.hash):
            return Verdict(count=count, problem=f"the log ends after entry {count - 1}, entries behind it are missing")
        return Verdict(count=count, hash=previous)

    def _in_order(self) -> Iterator[Change]:
        last = -1
        while page := self._store.after(last, most=_STEP):
            yield from page
            last = page[-1].id

    def _headed(self, change: Change) -> Head:
        return Head(id=change.id, hash=change.hash, code=self._head_code(change.id, change.hash))

    def _code(self, change: Change, previous: bytes) -> bytes:
        content = (
            change.id, change.time, change.user, change.type, change.source, change.method, change.path, change.status,
            hashlib.sha256(change.document).hexdigest(), previous.hex(),
        )  # fmt: skip
        return hmac.digest(self._key, b"entry" + msgspec.json.encode(content), "sha256")

    def _head_code(self, last: int, code: bytes) -> bytes:
        return hmac.digest(self._key, b"head" + msgspec.json.encode((last, code.hex())), "sha256")


def kind_of(path: str) -> str:
    """Return what an API path is about, in the vendor's word where it has one."""
    parts = path.removeprefix("/api/v1/").split("/")
    return _KINDS.get(parts[0], parts[0][:64])


_KINDS = {
    "signup": "login", "authenticate": "login", "session": "login", "users": "user", "groups": "group", "rbac": "role",
    "credentials": "credential", "policies": "rule", "custom-rules": "rule", "profiles": "profile",
    "collections": "collection", "tokens": "token", "sessions": "login", "audits": "audit",
}  # fmt: skip
