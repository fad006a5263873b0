"""
Users, groups and roles: who changes them, and what holds whoever does.

Nobody gives rights that they lack themselves, and there is always an administrator with a password left.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

from bartizan.services.accounts import check_name
from bartizan.services.collections import Usage
from bartizan.services.directory import Directory, GroupRecord, KeptCollections, UserRecord
from bartizan.services.errors import ConflictError, ForbiddenError, InvalidError, MissingError
from bartizan.services.interfaces import Clock
from bartizan.services.passwords import Passwords
from bartizan.services.rights import GRANTABLE, Permission, User
from bartizan.services.roles import ADMINISTRATOR, Role
from bartizan.services.sessions import Sessions

MOST_USERS = 10_000
MOST_GROUPS = 1000
MOST_ROLES = 200
MOST_COLLECTIONS = 100
_LONGEST_NAME = 100
_LONGEST_TEXT = 1000
_TITLE = re.compile(r"[^\s:/][^:/\x00-\x1f\x7f]{0,98}")


class Users:
    """The people of a Console."""

    def __init__(
        self,
        directory: Directory,
        sessions: Sessions,
        passwords: Passwords,
        collections: KeptCollections,
        *,
        clock: Clock,
    ) -> None:
        self.directory = directory
        self._collections = collections
        self._sessions = sessions
        self._passwords = passwords
        self._clock = clock

    async def add(self, actor: User, user: UserRecord, password: str) -> None:
        """Add a user. Raises InvalidError, ConflictError for a name that is taken, ForbiddenError."""
        check_name(user.name)
        self._check_grant(actor, user.role, user.collections)
        encoded = await self._passwords.hashed(password) if user.auth_type == "basic" else ""
        now = self._clock()
        async with self.directory.lock, self._collections.kept(user.collections):
            if user.name in self.directory.users:
                raise ConflictError(f"there is a user `{user.name}` already")
            if len(self.directory.users) >= MOST_USERS:
                raise InvalidError(f"there are {MOST_USERS} users, no more are possible")
            await self.directory.put_user(
                dataclasses.replace(user, password_hash=encoded, created=now, modified=now, last_login=0)
            )

    async def change(self, actor: User, user: UserRecord, password: str) -> None:
        """Change a user's role, limits and, if one is given, password. Raises MissingError and as `add` does."""
        self._check_grant(actor, user.role, user.collections)
        encoded = await self._passwords.hashed(password) if password else ""
        async with self.directory.lock, self._collections.kept(user.collections):
            old = self._user(user.name)
            self._check_above(actor, old.name)
            if old.auth_type != user.auth_type:
                raise InvalidError("`authType`: it cannot be changed, remove the user and add them anew")
            if encoded and old.auth_type != "basic":
                raise InvalidError("`password`: this user signs in by the identity provider and has none")
            changed = dataclasses.replace(
                old,
                role=user.role,
                collections=user.collections,
                password_hash=encoded or old.password_hash,
                modified=self._clock(),
            )
            _check_administrator({**self.directory.users, user.name: changed}.values())
            await self.directory.put_user(changed)
        if encoded:
            await self._sessions.end_all_of(user.name, but=actor.session)

    async def remove(self, actor: User, name: str) -> None:
        """Remove a user, with their sessions and tokens. Raises MissingError, ConflictError or ForbiddenError."""
        async with self.directory.lock:
            self._user(name)
            self._check_above(actor, name)
            _check_administrator([user for user in self.directory.users.values() if user.name != name])
            await self.directory.remove_user(name)

    async def change_password(self, actor: User, *, old: str, new: str) -> None:
        """Change one's own password; all one's other sessions end. Raises InvalidError or ForbiddenError."""
        record = self._user(actor.name)
        if actor.via == "token" or record.auth_type != "basic":
            raise ForbiddenError("a password is changed by whom it belongs to, who logged in with it")
        if not await self._passwords.verify(record.password_hash, old):
            raise ForbiddenError("the old password is wrong")
        encoded = await self._passwords.hashed(new)
        async with self.directory.lock:
            record = self._user(actor.name)
            await self.directory.put_user(dataclasses.replace(record, password_hash=encoded, modified=self._clock()))
        await self._sessions.end_all_of(actor.name, but=actor.session)

    async def put_group(self, actor: User, group: GroupRecord, *, new: bool) -> None:
        """Add or change a group. Raises InvalidError, MissingError, ConflictError or ForbiddenError."""
        _check_title("groupName", group.name)
        self._check_grant(actor, group.role, group.collections)
        async with self.directory.lock, self._collections.kept(group.collections):
            old = self.directory.groups.get(group.name)
            if new and old is not None:
                raise ConflictError(f"there is a group `{group.name}` already")
            if not new and old is None:
                raise MissingError(f"there is no group `{group.name}`")
            if len(self.directory.groups) >= MOST_GROUPS and new:
                raise InvalidError(f"there are {MOST_GROUPS} groups, no more are possible")
            if old is not None:
                self._check_gives(actor, old.role)
            if unknown := [name for name in group.users if name not in self.directory.users]:
                raise InvalidError(f"`user`: there is no user `{unknown[0][:_LONGEST_NAME]}`")
            last = max((item.position for item in self.directory.groups.values()), default=0)
            await self.directory.put_group(
                dataclasses.replace(
                    group,
                    owner=actor.name,
                    modified=self._clock(),
                    position=old.position if old is not None else last + 1,
                )
            )

    async def remove_group(self, actor: User, name: str) -> None:
        """Remove a group. Raises MissingError or ForbiddenError."""
        async with self.directory.lock:
            group = self.directory.groups.get(name)
            if group is None:
                raise MissingError(f"there is no group `{name[:_LONGEST_NAME]}`")
            self._check_gives(actor, group.role)
            await self.directory.remove_group(name)

    async def put_role(self, actor: User, role: Role, *, new: bool) -> None:
        """Add or change a role. Raises InvalidError, MissingError, ConflictError or ForbiddenError."""
        _check_title("name", role.name)
        if len(role.description) > _LONGEST_TEXT or not role.permissions <= GRANTABLE or not role.permissions:
            raise InvalidError(f"a role gives some permission, and has a description of at most {_LONGEST_TEXT}")
        _check_held(actor, role.permissions)
        async with self.directory.lock:
            old = self.directory.roles.get(role.name)
            if new and old is not None:
                raise ConflictError(f"there is a role `{role.name}` already")
            if not new:
                self._own_role(role.name)
            if len(self.directory.roles) >= MOST_ROLES and new:
                raise InvalidError(f"there are {MOST_ROLES} roles, no more are possible")
            if old is not None:
                _check_held(actor, old.permissions)
            await self.directory.put_role(dataclasses.replace(role, system=False, modified=self._clock()))

    async def remove_role(self, actor: User, name: str) -> None:
        """Remove a role that nobody has. Raises MissingError, ConflictError that names who has it, ForbiddenError."""
        async with self.directory.lock:
            _check_held(actor, self._own_role(name).permissions)
            if holders := self.holders(name):
                raise ConflictError(f"role `{name}` is given to {', '.join(holders[:10])}: take it from them first")
            await self.directory.remove_role(name)

    def holders(self, role: str) -> list[str]:
        """Return who has a role, in words."""
        return [
            *(f"user `{user.name}`" for user in self.directory.users.values() if user.role == role),
            *(f"group `{group.name}`" for group in self.directory.groups.values() if group.role == role),
            *(f"API token `{token.name}`" for token in self.directory.tokens.values() if token.role == role),
        ]

    def users_of_collection(self, name: str) -> Iterable[Usage]:
        """Return who is limited to a collection, so that it is not removed under them."""
        yield from (
            Usage(kind="user", name=user.name) for user in self.directory.users.values() if name in user.collections
        )
        for group in self.directory.groups.values():
            if name in group.collections:
                yield Usage(kind="group", name=group.name)
        for token in self.directory.tokens.values():
            if name in token.collections:
                yield Usage(kind="apiToken", name=f"{token.user}/{token.name}")

    def _user(self, name: str) -> UserRecord:
        found = self.directory.users.get(name)
        if found is None:
            raise MissingError(f"there is no user `{name[:_LONGEST_NAME]}`")
        return found

    def _own_role(self, name: str) -> Role:
        found = self.directory.roles.get(name)
        if found is None:
            raise MissingError(f"there is no role `{name[:_LONGEST_NAME]}`")
        if found.system:
            raise ConflictError(f"role `{name}` belongs to every Console, it cannot be changed")
        return found

    def _check_grant(self, actor: User, role: str, collections: Sequence[str]) -> None:
        if role not in self.directory.roles:
            known = ", ".join(f"`{name}`" for name in self.directory.roles)
            raise InvalidError(f"`role`: there is no role `{role[:_LONGEST_NAME]}`; possible are {known}")
        if len(collections) > MOST_COLLECTIONS:
            raise InvalidError(f"`collections`: at most {MOST_COLLECTIONS} are possible")
        self._check_gives(actor, role)

    def _check_gives(self, actor: User, role: str) -> None:
        found = self.directory.roles.get(role)
        _check_held(actor, found.permissions if found is not None else frozenset())

    def _check_above(self, actor: User, name: str) -> None:
        """Raise ForbiddenError when somebody would change a user who may more than they do, and so become them."""
        user = self.directory.resolve(name)
        _check_held(actor, user.permissions if user is not None else frozenset())


def _check_held(actor: User, permissions: frozenset[Permission]) -> None:
    lacking = sorted(permission.value for permission in permissions - actor.everywhere)
    if lacking:
        raise ForbiddenError(f"nobody gives or takes rights that they lack: you have no `{lacking[0]}`")


def _check_administrator(users: Iterable[UserRecord]) -> None:
    """Raise ConflictError when nobody would be left who can mend everything without the identity provider."""
    if not any(user.role == ADMINISTRATOR and user.password_hash and not user.collections for user in users):
        raise ConflictError("this is the last administrator with a password, add another one first")


def _check_title(field: str, name: str) -> None:
    if _TITLE.fullmatch(name) is None or not name.isprintable() or name != name.strip():
        raise InvalidError(f"`{field}` has 1 to {_LONGEST_NAME} characters, no `:` or `/`, and no blanks around it")
