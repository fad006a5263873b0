"""The people whom a Console knows, with all that says what they may do; kept in memory, and in the store."""

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bartizan.services.rights import Grant, Permission, User
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRecord:
    """
    A group: its role, within `collections` if there are any, is given to its users beside their own.

    Who signs in by an identity provider that puts them into `oidc_group` gets it, too. Groups are asked in the order of
    their positions.
    """

    name: str
    role: str
    collections: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    oidc_group: str = ""
    owner: str = ""
    modified: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """
    An API token of a user, known by its digest; times are unix milliseconds, `expires` 0 is never.

    It gives what its user has, no more than `role` gives if there is one, no more than `permissions` if there are any,
    and only within `collections` if there are any.
    """

    id: str
    name: str
    user: str
    role: str = ""
    permissions: frozenset[Permission] = frozenset()
    collections: tuple[str, ...] = ()
    created: int = 0
    expires: int = 0
    last_used: int = 0


class DirectoryStore(Protocol):
    """Users, groups, roles and API tokens."""

    def users(self) -> list[UserRecord]:
        """Return all users."""
        ...

    def groups(self) -> list[GroupRecord]:
        """Return all groups."""
        ...

    def roles(self) -> list[Role]:
        """Return the roles that people made."""
        ...

    def tokens(self) -> list[tuple[bytes, TokenRecord]]:
        """Return all API tokens with the digests that they are known by."""
        ...

    def add_first_user(self, user: UserRecord) -> bool:
        """Add the user if there is none at all; return whether it was added."""
        ...

    def put_user(self, user: UserRecord) -> None:
        """Add or replace a user."""
        ...

    def remove_user(self, name: str) -> None:
        """Remove a user with their sessions and tokens."""
        ...

    def put_group(self, group: GroupRecord) -> None:
        """Add or replace a group."""
        ...

    def remove_group(self, name: str) -> None:
        """Remove a group."""
        ...

    def put_role(self, role: Role) -> None:
        """Add or replace a role."""
        ...

    def remove_role(self, name: str) -> None:
        """Remove a role."""
        ...

    def add_token(self, digest: bytes, token: TokenRecord) -> None:
        """Add an API token."""
        ...

    def touch_token(self, token: str, *, now: int) -> None:
        """Note that an API token was used."""
        ...

    def remove_token(self, token: str) -> None:
        """Remove an API token."""
        ...


class KeptCollections(Protocol):
    """The collections that rights can be limited to."""

    def kept(self, names: Iterable[str]) -> AbstractAsyncContextManager[None]:
        """Let these be there, and stay until the block ends. Raises InvalidError for one that is not."""
        ...


class Directory:
    """What is known of people. Whoever writes holds `lock` from what they checked on until it is written."""

    def __init__(self, store: DirectoryStore) -> None:
        self._store = store
        self.lock = asyncio.Lock()
        self._users = {user.name: user for user in store.users()}
        self._groups = {group.name: group for group in store.groups()}
        self._roles = {**{role.name: role for role in store.roles()}, **SYSTEM_ROLES}
        self._tokens = dict(store.tokens())

    @property
    def users(self) -> Mapping[str, UserRecord]:
        """The users by their names."""
        return self._users

    @property
    def groups(self) -> Mapping[str, GroupRecord]:
        """The groups by their names."""
        return self._groups

    @property
    def roles(self) -> Mapping[str, Role]:
        """The roles by their names."""
        return self._roles

    @property
    def tokens(self) -> Mapping[bytes, TokenRecord]:
        """The API tokens by their digests."""
        return self._tokens

    def resolve(self, name: str, *, via: str = "", session: str = "") -> User | None:
        """Return a user with all that they got; None if there is no such user."""
        record = self._users.get(name)
        if record is None:
            return None
        return User(name=name, role=record.role, grants=tuple(self._grants(record)), via=via, session=session)

    def resolve_token(self, token: TokenRecord) -> User | None:
        """Return the user of an API token with what it leaves of their rights; None if there is no such user."""
        user = self.resolve(token.user, via="token", session=token.id)
        if user is None:
            return None
        allowed = token.permissions or None
        if token.role:
            given = self._permissions(token.role)
            allowed = given if allowed is None else allowed & given
        grants = tuple(left for grant in user.grants if (left := _narrowed(grant, allowed, token.collections)))
        return dataclasses.replace(user, grants=grants)

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
        """Add or replace a user; the caller holds the lock, here and below."""
        await asyncio.to_thread(self._store.put_user, user)
        self._users[user.name] = user

    async def remove_user(self, name: str) -> None:
        """Remove a user from everywhere."""
        for group in [group for group in self._groups.values() if name in group.users]:
            left = tuple(user for user in group.users if user != name)
            await self.put_group(dataclasses.replace(group, users=left))
        await asyncio.to_thread(self._store.remove_user, name)
        self._tokens = {digest: token for digest, token in self._tokens.items() if token.user != name}
        del self._users[name]

    async def put_group(self, group: GroupRecord) -> None:
        """Add or replace a group."""
        await asyncio.to_thread(self._store.put_group, group)
        self._groups[group.name] = group

    async def remove_group(self, name: str) -> None:
        """Remove a group."""
        await asyncio.to_thread(self._store.remove_group, name)
        del self._groups[name]

    async def put_role(self, role: Role) -> None:
        """Add or replace a role."""
        await asyncio.to_thread(self._store.put_role, role)
        self._roles[role.name] = role

    async def remove_role(self, name: str) -> None:
        """Remove a role."""
        await asyncio.to_thread(self._store.remove_role, name)
        del self._roles[name]

    async def add_token(self, digest: bytes, token: TokenRecord) -> None:
        """Add an API token."""
        await asyncio.to_thread(self._store.add_token, digest, token)
        self._tokens[digest] = token

    async def token_used(self, digest: bytes, *, now: int) -> None:
        """Note that an API token was used."""
        async with self.lock:
            if (token := self._tokens.get(digest)) is not None:
                await asyncio.to_thread(self._store.touch_token, token.id, now=now)
                self._tokens[digest] = dataclasses.replace(token, last_used=now)

    async def remove_token(self, token: str) -> None:
        """Remove an API token."""
        await asyncio.to_thread(self._store.remove_token, token)
        self._tokens = {digest: item for digest, item in self._tokens.items() if item.id != token}

    def _grants(self, record: UserRecord) -> list[Grant]:
        groups = [group for group in self._groups.values() if record.name in group.users]
        held = [(record.role, record.collections), *((group.role, group.collections) for group in groups)]
        return [
            Grant(role=role, permissions=self._permissions(role), collections=collections) for role, collections in held
        ]

    def _permissions(self, role: str) -> frozenset[Permission]:
        found = self._roles.get(role)
        return found.permissions if found is not None else frozenset()


def _narrowed(grant: Grant, allowed: frozenset[Permission] | None, collections: tuple[str, ...]) -> Grant | None:
    """Return what is left of a grant: fewer permissions, in no more collections; None if nothing is."""
    permissions = grant.permissions if allowed is None else grant.permissions & allowed
    within = grant.collections
    if collections:
        within = tuple(name for name in within if name in collections) if within else collections
        if not within:
            return None
    return dataclasses.replace(grant, permissions=permissions, collections=within) if permissions else None
