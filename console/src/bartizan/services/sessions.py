"""
Log-ins that last: of browsers (in a cookie) and of scripts (as a bearer token).

Tokens are random, and known to the database by their SHA-256 digest only. A browser's session ends when it was idle for
half an hour, and after twelve hours at any rate; a script's after half an hour.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal, Protocol

from bartizan.services.errors import MissingError, UnauthorizedError
from bartizan.services.interfaces import Clock

SessionKind = Literal["cookie", "bearer"]
SCRIPT_LIFE = 30 * 60 * 1000
IDLE_LIFE = 30 * 60 * 1000
BROWSER_LIFE = 12 * 60 * 60 * 1000
_TOUCHED_EACH = 60 * 1000
_MOST_OF_ONE_USER = 200
_LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """
    One session; times are unix milliseconds.

    It ends at `expires`, and before that `idle` milliseconds after it was last used.
    """

    id: str
    user: str
    kind: SessionKind
    created: int
    last_used: int
    expires: int
    idle: int
    address: str = ""
    agent: str = ""

    @property
    def ends(self) -> int:
        """When it ends if nobody uses it."""
        return min(self.expires, self.last_used + self.idle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A log-in: the token, its end (unix milliseconds), and the session's id."""

    token: str
    expires: int
    id: str = ""


class SessionStore(Protocol):
    """The sessions, known by the digests of their tokens."""

    def add(self, digest: bytes, record: SessionRecord, *, most: int) -> None:
        """Keep a session; drop all that ended before it was made, and the user's oldest beyond so many."""
        ...

    def find(self, digest: bytes) -> SessionRecord | None:
        """Return a session."""
        ...

    def touch(self, session: str, *, now: int) -> None:
        """Note that a session was used."""
        ...

    def all(self, *, now: int) -> list[SessionRecord]:
        """Return the sessions that have not ended, the newest first."""
        ...

    def remove(self, session: str) -> bool:
        """End a session; return whether there was one."""
        ...

    def remove_of(self, user: str, *, but: str = "") -> int:
        """End all sessions of a user but one; return how many."""
        ...


class Sessions:
    """The sessions of a Console."""

    def __init__(self, store: SessionStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def start(self, user: str, kind: SessionKind, *, address: str, agent: str = "") -> Session:
        """Return a new session; its token is given this once."""
        token, now = secrets.token_urlsafe(32), self._clock()
        browser = kind == "cookie"
        record = SessionRecord(
            id=secrets.token_hex(8),
            user=user,
            kind=kind,
            created=now,
            last_used=now,
            expires=now + (BROWSER_LIFE if browser else SCRIPT_LIFE),
            idle=IDLE_LIFE if browser else SCRIPT_LIFE,
            address=address,
            agent="".join(filter(str.isprintable, agent))[:_LONGEST_AGENT],
        )
        await asyncio.to_thread(self._store.add, _digest(token), record, most=_MOST_OF_ONE_USER)
        return Session(token=token, expires=record.expires, id=record.id)

    async def find(self, token: str, kind: SessionKind) -> SessionRecord:
        """Return the live session of a token, and note its use. Raises UnauthorizedError."""
        now = self._clock()
        record = await asyncio.to_thread(self._store.find, _digest(token))
        if record is None or record.kind != kind or record.ends <= now:
            raise UnauthorizedError("the session is not valid or has expired, authenticate again")
        if now - record.last_used > _TOUCHED_EACH:
            await asyncio.to_thread(self._store.touch, record.id, now=now)
        return record

    async def all(self) -> list[SessionRecord]:
        """Return the live sessions, the newest first."""
        return await asyncio.to_thread(self._store.all, now=self._clock())

    async def end(self, session: str) -> None:
        """End a session. Raises MissingError."""
        if not await asyncio.to_thread(self._store.remove, session):
            raise MissingError(f"there is no session `{session[:64]}`")

    async def end_all_of(self, user: str, *, but: str = "") -> int:
        """End all sessions of a user but one; return how many."""
        return await asyncio.to_thread(self._store.remove_of, user, but=but)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
