"""The people whom a Console knows, with all that says what they may do; kept in memory, and in the store."""

import asyncio
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bartizan.services.rights import Grant, User
from bartizan.services.roles import SYSTEM_ROLES, Role

AuthType = Literal["basic", "oidc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """
    A user as they are stored; times are unix milliseconds.

    Users of an identity provider (`oidc`) have no password. `collections` limit what their own role gives.
    """

    name: str
    role: str
    password_hash: str = field(default="", repr=False)
    auth_type: AuthType = "basic"
    collections: tuple[str, ...] = ()
    created: int = 0
    modified: int = 0
    last_login: int = 0


class DirectoryStore(Protocol):
    """Users."""

    def users(self) -> list[UserRecord]:
        """Return all users."""
        ...

    def add_first_user(self, user: UserRecord) -> bool:
        """Add the user if there is none at all; return whether it was added."""
        ...

    def put_user(self, user: UserRecord) -> None:
        """Add or replace a user."""
        ...


class Directory:
    """What is known of people. Whoever writes holds `lock` from what they checked on until it is written."""

    def __init__(self, store: DirectoryStore) -> None:
        self._store = store
        self.lock = asyncio.Lock()
        self._users = {user.name: user for user in store.users()}

    @property
    def users(self) -> Mapping[str, UserRecord]:
        """The users by their names."""
        return self._users

    @property
    def roles(self) -> Mapping[str, Role]:
        """The roles by their names."""
        return SYSTEM_ROLES

    def resolve(self, name: str, *, via: str = "", session: str = "") -> User | None:
        """Return a user with all that they got; None if there is no such user."""
        record = self._users.get(name)
        if record is None:
            return None
        return User(name=name, role=record.role, grants=tuple(self._grants(record)), via=via, session=session)

    async def add_first_user(self, user: UserRecord) -> bool:
        """Add the user if there is none at all; return whether it was added."""
        async with self.lock:
            added = await asyncio.to_thread(self._store.add_first_user, user)
            if added:
                self._users[user.name] = user
            return added

    async def logged_in(self, name: str, *, now: int) -> None:
        """Note when a user logged in."""
        async with self.lock:
            if (record := self._users.get(name)) is not None:
                await self.put_user(dataclasses.replace(record, last_login=now))

    async def put_user(self, user: UserRecord) -> None:
        """Add or replace a user; the caller holds the lock."""
        await asyncio.to_thread(self._store.put_user, user)
        self._users[user.name] = user

    def _grants(self, record: UserRecord) -> list[Grant]:
        role = self.roles.get(record.role)
        if role is None:
            return []
        return [Grant(role=role.name, permissions=role.permissions, collections=record.collections)]
