"""Passwords: what will do as one, and their argon2id hashes, made and checked by few threads with a bounded queue."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from bartizan.services.errors import InvalidError, UnavailableError

_T = TypeVar("_T")
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024
# Each hash takes 64 MiB for its time, so neither their number at once nor the queue before them may grow.
_HASHERS = 2
_MOST_WAITING = 16


class Passwords:
    """Hashes and verifies."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher()
        self._pool = ThreadPoolExecutor(_HASHERS, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def hashed(self, password: str) -> str:
        """Return the hash of a new password. Raises InvalidError for one that will not do."""
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise InvalidError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        return await self._in_pool(self._hasher.hash, password)

    async def verify(self, encoded: str, password: str) -> bool:
        """Return whether this is the password; an empty hash is nobody's. Raises UnavailableError."""
        if len(password) > LONGEST_PASSWORD:
            return False
        try:
            await self._in_pool(self._hasher.verify, encoded or self._nobody, password)
        except argon2.exceptions.VerifyMismatchError:
            return False
        return bool(encoded)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _in_pool(self, work: Callable[..., _T], *args: str) -> _T:
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("too many log-ins at once, try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        finally:
            self._waiting -= 1
