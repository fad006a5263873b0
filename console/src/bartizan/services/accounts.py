"""Who uses the API: the one-time set-up, log-in, sessions and basic authentication."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import argon2

from bartizan.services.errors import ConflictError, InvalidError, UnauthorizedError, UnavailableError
from bartizan.services.failure_limit import FailureLimit
from bartizan.services.interfaces import AccountStore, Clock, User

_T = TypeVar("_T")

ADMINISTRATOR = "Administrator"
SHORTEST_PASSWORD = 12
_LONGEST_PASSWORD = 1024
_LONGEST_NAME = 64
SESSION_LIFE = 30 * 60 * 1000
_CACHE_LIFE = 60 * 1000
_MOST_CACHED = 256
# Each hash takes 64 MiB for its time, so neither their number at once nor the queue before them may grow.
_HASHERS = 2
_MOST_WAITING = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A log-in: the bearer token and its end (unix milliseconds)."""

    token: str
    expires: int


class Accounts:
    """
    Users of one Console.

    `setup_token` opens the one-time set-up, None when it is done; `on_set_up` is called after it.
    """

    def __init__(
        self, store: AccountStore, *, setup_token: str | None, on_set_up: Callable[[], None], clock: Clock
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_set_up = on_set_up
        self._setup = hashlib.sha256(setup_token.encode()).digest() if setup_token else None
        self._limit = FailureLimit(clock=clock)
        self._hasher = argon2.PasswordHasher()
        self._pool = ThreadPoolExecutor(_HASHERS, thread_name_prefix="argon2")
        self._waiting = 0
        # Basic authentication would cost one argon2 for each request. The key dies with the process, so what lies in
        # memory is no better than the hash in the database.
        self._cache_key = secrets.token_bytes(32)
        self._cache: OrderedDict[bytes, tuple[User, int]] = OrderedDict()
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def sign_up(self, *, name: str, password: str, token: str, address: str) -> None:
        """
        Make the first administrator.

        Raises ConflictError when there is one already, UnauthorizedError for a wrong token, InvalidError for a name
        or a password that will not do.
        """
        self._limit.check(address)
        if self._setup is None or await asyncio.to_thread(self._store.has_users):
            raise ConflictError("the administrator has been set up already")
        if not hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._setup):
            self._limit.failed(address)
            raise UnauthorizedError("the set-up token is not the one that this Console printed")
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or ":" in name or name != name.strip():
            raise InvalidError(f"a user name has 1 to {_LONGEST_NAME} characters, no `:` and no blanks around it")
        if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            raise InvalidError(f"a password has {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters")
        encoded = await self._in_pool(self._hasher.hash, password)
        user = User(name=name, role=ADMINISTRATOR)
        if not await asyncio.to_thread(self._store.add_first_user, user, encoded):
            raise ConflictError("the administrator has been set up already")
        self._setup = None
        self._on_set_up()

    async def log_in(self, *, name: str, password: str, address: str) -> Session:
        """Return a new session. Raises UnauthorizedError, or TooManyAttemptsError for an address that guesses."""
        user = await self.by_password(name=name, password=password, address=address)
        token = secrets.token_urlsafe(32)
        now = self._clock()
        expires = now + SESSION_LIFE
        await asyncio.to_thread(self._store.add_session, _digest(token), user.name, expires=expires, now=now)
        return Session(token=token, expires=expires)

    async def by_token(self, token: str) -> User:
        """Return whose session token this is. Raises UnauthorizedError when it is none or has ended."""
        user = await asyncio.to_thread(self._store.session_user, _digest(token), now=self._clock())
        if user is None:
            raise UnauthorizedError("the token is not valid or has expired, authenticate again")
        return user

    async def by_password(self, *, name: str, password: str, address: str) -> User:
        """Return the user with this password. Raises UnauthorizedError or TooManyAttemptsError."""
        key = hmac.digest(self._cache_key, f"{name}\0{password}".encode(), "sha256")
        cached = self._cache.get(key)
        if cached is not None and cached[1] > self._clock():
            return cached[0]
        self._limit.check(address)
        # Counted before it is known, or many guesses at once would all pass the check.
        self._limit.failed(address)
        user = await self._verified(name, password) if len(password) <= _LONGEST_PASSWORD else None
        if user is None:
            raise UnauthorizedError("user name or password is wrong")
        self._limit.forgive(address)
        self._cache[key] = (user, self._clock() + _CACHE_LIFE)
        while len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return user

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _verified(self, name: str, password: str) -> User | None:
        found = await asyncio.to_thread(self._store.user, name)
        # An unknown name takes as long as a wrong password.
        user, encoded = found if found is not None else (None, self._nobody)
        try:
            await self._in_pool(self._hasher.verify, encoded, password)
        except argon2.exceptions.VerifyMismatchError:
            return None
        return user

    async def _in_pool(self, work: Callable[..., _T], *args: str) -> _T:
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("too many log-ins at once, try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        finally:
            self._waiting -= 1


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
