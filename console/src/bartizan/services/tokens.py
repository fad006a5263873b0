"""
API tokens: for pipelines and programs, with less than their user's rights and with an end.

A token is `btz_`, 30 random characters, and a checksum of six, so that scanners for secrets find tokens, and only
tokens, in places where none should be. Only its digest is kept.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence

from bartizan.services.directory import Directory, KeptCollections, TokenRecord
from bartizan.services.errors import ForbiddenError, InvalidError, MissingError, UnauthorizedError
from bartizan.services.interfaces import Clock
from bartizan.services.rights import Permission, User

PREFIX = "btz_"
MOST_TOKENS = 200
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 30
_CHECKSUM = 6
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")
_TOUCHED_EACH = 60 * 1000
_LONGEST_NAME = 100
_LONGEST_LIFE = 5 * 366 * 24 * 60 * 60 * 1000


def new_token(random: Sequence[int]) -> str:
    """Return the token of 30 numbers from 0 to 61."""
    body = "".join(_ALPHABET[number] for number in random)
    return PREFIX + body + _checksum(body)


def is_token(text: str) -> bool:
    """Return whether this is a token, by its form and checksum; whether it is one of this Console is another matter."""
    if _FORM.fullmatch(text) is None:
        return False
    body = text.removeprefix(PREFIX)
    return body[_RANDOM:] == _checksum(body[:_RANDOM])


def _checksum(body: str) -> str:
    left, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        left, digit = divmod(left, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


class Tokens:
    """The API tokens of a Console."""

    def __init__(self, directory: Directory, collections: KeptCollections, *, clock: Clock) -> None:
        self._directory = directory
        self._collections = collections
        self._clock = clock

    def all(self) -> list[TokenRecord]:
        """Return all API tokens, the newest first."""
        return sorted(self._directory.tokens.values(), key=lambda item: (-item.created, item.id))

    def one(self, token: str) -> TokenRecord:
        """Return an API token by its id. Raises MissingError."""
        for record in self._directory.tokens.values():
            if record.id == token:
                return record
        raise MissingError(f"there is no API token `{token[:64]}`")

    async def user(self, token: str, *, name: str | None = None) -> User:
        """Return whose token this is, with what it gives; `name` has to be its user's. Raises UnauthorizedError."""
        digest = hashlib.sha256(token.encode()).digest()
        record = self._directory.tokens.get(digest) if is_token(token) else None
        now = self._clock()
        if record is None or (record.expires and record.expires <= now) or name not in (None, record.user):
            raise UnauthorizedError("the API token is not valid, has expired, or is not this user's")
        user = self._directory.resolve_token(record)
        if user is None:
            raise UnauthorizedError("this user is no more")
        if now - record.last_used > _TOUCHED_EACH:
            await self._directory.token_used(digest, now=now)
        return user

    async def create(
        self,
        user: User,
        *,
        name: str,
        role: str = "",
        permissions: frozenset[Permission] = frozenset(),
        collections: tuple[str, ...] = (),
        expires: int = 0,
    ) -> tuple[str, TokenRecord]:
        """
        Return a new token, which is given this once, and its record.

        Raises InvalidError, and ForbiddenError when the user came with a token: it would outlive its own end.
        """
        if user.via == "token":
            raise ForbiddenError("an API token cannot make another one, log in with a password")
        now = self._clock()
        self._check(name, role, expires, now)
        token = new_token([secrets.randbelow(len(_ALPHABET)) for _ in range(_RANDOM)])
        async with self._directory.lock, self._collections.kept(collections):
            mine = [item for item in self._directory.tokens.values() if item.user == user.name]
            if len(mine) >= MOST_TOKENS:
                raise InvalidError(f"`{user.name}` has {MOST_TOKENS} API tokens, revoke one first")
            if any(item.name == name for item in mine):
                raise InvalidError(f"`name`: `{user.name}` has an API token `{name}` already")
            record = TokenRecord(
                id=secrets.token_hex(8),
                name=name,
                user=user.name,
                role=role,
                permissions=permissions,
                collections=collections,
                created=now,
                expires=expires,
            )
            await self._directory.add_token(hashlib.sha256(token.encode()).digest(), record)
        return token, record

    async def revoke(self, token: str) -> None:
        """Revoke an API token. Raises MissingError."""
        async with self._directory.lock:
            self.one(token)
            await self._directory.remove_token(token)

    def _check(self, name: str, role: str, expires: int, now: int) -> None:
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
            raise InvalidError(f"`name` has 1 to {_LONGEST_NAME} characters and no blanks around it")
        if role and role not in self._directory.roles:
            raise InvalidError(f"`role`: there is no role `{role[:100]}`")
        if expires and not now < expires <= now + _LONGEST_LIFE:
            raise InvalidError("`expires` has to be in the future, at most five years from now")
