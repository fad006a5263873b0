"""Who uses the API: the one-time set-up, log-in, sessions and basic authentication."""

import contextlib
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable

from bartizan.services.directory import Directory, KeptCollections, UserRecord
from bartizan.services.errors import ConflictError, InvalidError, MissingError, UnauthorizedError
from bartizan.services.failure_limit import FailureLimit
from bartizan.services.interfaces import Clock
from bartizan.services.passwords import Passwords
from bartizan.services.rights import User
from bartizan.services.roles import ADMINISTRATOR
from bartizan.services.sessions import Session, SessionKind, Sessions
from bartizan.services.tokens import PREFIX, Tokens, is_token

_LONGEST_NAME = 64
_CACHE_LIFE = 60 * 1000
_MOST_CACHED = 256


class Accounts:
    """
    Log-ins of one Console.

    `setup_token` opens the one-time set-up, None when it is done; `on_set_up` is called after it.
    """

    def __init__(
        self,
        directory: Directory,
        sessions: Sessions,
        collections: KeptCollections,
        *,
        setup_token: str | None,
        on_set_up: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.directory = directory
        self.sessions = sessions
        self.passwords = Passwords()
        self.tokens = Tokens(directory, collections, clock=clock)
        self._clock = clock
        self._on_set_up = on_set_up
        self._setup = hashlib.sha256(setup_token.encode()).digest() if setup_token else None
        self._limit = FailureLimit(clock=clock)
        # Basic authentication would cost one argon2 for each request. The key dies with the process, so what lies in
        # memory is no better than the hash in the database.
        self._cache_key = secrets.token_bytes(32)
        self._cache: OrderedDict[bytes, int] = OrderedDict()

    @property
    def set_up(self) -> bool:
        """Whether there is an administrator."""
        return bool(self.directory.users)

    async def sign_up(self, *, name: str, password: str, token: str, address: str) -> None:
        """
        Make the first administrator.

        Raises ConflictError when there is one already, UnauthorizedError for a wrong token, InvalidError for a name
        or a password that will not do.
        """
        self._limit.check(address)
        if self._setup is None or self.set_up:
            raise ConflictError("the administrator has been set up already")
        if not hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._setup):
            self._limit.failed(address)
            raise UnauthorizedError("the set-up token is not the one that this Console printed")
        check_name(name)
        encoded = await self.passwords.hashed(password)
        now = self._clock()
        user = UserRecord(name=name, role=ADMINISTRATOR, password_hash=encoded, created=now, modified=now)
        if not await self.directory.add_first_user(user):
            raise ConflictError("the administrator has been set up already")
        self._setup = None
        self._on_set_up()

    async def log_in(
        self, *, name: str, password: str, address: str, kind: SessionKind = "bearer", agent: str = ""
    ) -> tuple[User, Session]:
        """
        Return the user and a new session.

        Raises UnauthorizedError, or TooManyAttemptsError for an address that guesses.
        """
        user = await self.by_password(name=name, password=password, address=address)
        if user.via == "token":
            raise UnauthorizedError("an API token opens no session, send it with each request")
        session = await self.sessions.start(user.name, kind, address=address, agent=agent)
        await self.directory.logged_in(user.name, now=self._clock())
        return user, session

    async def by_token(self, token: str) -> User:
        """Return whose bearer token this is, of a session or of the API. Raises UnauthorizedError."""
        if token.startswith(PREFIX):
            return await self.tokens.user(token)
        return await self._of_session(token, "bearer")

    async def by_cookie(self, token: str) -> User:
        """Return whose browser has this cookie. Raises UnauthorizedError when the session has ended."""
        return await self._of_session(token, "cookie")

    async def end_cookie(self, token: str) -> None:
        """End the session of a cookie, if it is one."""
        with contextlib.suppress(UnauthorizedError, MissingError):
            await self.sessions.end((await self.sessions.find(token, "cookie")).id)

    async def by_password(self, *, name: str, password: str, address: str) -> User:
        """Return the user with this password, or API token. Raises UnauthorizedError or TooManyAttemptsError."""
        if password.startswith(PREFIX) and is_token(password):
            return await self.tokens.user(password, name=name)
        record = self.directory.users.get(name)
        encoded = record.password_hash if record is not None else ""
        # With the hash in the key, a changed password is forgotten at once.
        key = hmac.digest(self._cache_key, f"{name}\0{encoded}\0{password}".encode(), "sha256")
        if record is None or self._cache.get(key, 0) <= self._clock():
            self._limit.check(address)
            # Counted before it is known, or many guesses at once would all pass the check.
            self._limit.failed(address)
            if not await self.passwords.verify(encoded, password):
                raise UnauthorizedError("user name or password is wrong")
            self._limit.forgive(address)
            self._remember(key)
        return self._known(name, via="password")

    def close(self) -> None:
        """End the threads."""
        self.passwords.close()

    async def _of_session(self, token: str, kind: SessionKind) -> User:
        record = await self.sessions.find(token, kind)
        return self._known(record.user, via="session", session=record.id)

    def _known(self, name: str, *, via: str, session: str = "") -> User:
        user = self.directory.resolve(name, via=via, session=session)
        if user is None:
            raise UnauthorizedError("this user is no more")
        return user

    def _remember(self, key: bytes) -> None:
        self._cache[key] = self._clock() + _CACHE_LIFE
        while len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)


def check_name(name: str) -> None:
    """Raise InvalidError for what cannot be a user's name: it is half of basic credentials (RFC 7617, section 2)."""
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or ":" in name or name != name.strip():
        raise InvalidError(f"a user name has 1 to {_LONGEST_NAME} characters, no `:` and no blanks around it")
