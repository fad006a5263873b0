"""The people whom the Console knows, and what says what they may do."""

import dataclasses
from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.services.directory import GroupRecord, TokenRecord, UserRecord
from bartizan.services.roles import Role
from bartizan.store.access_tables import api_tokens, custom_roles, user_groups
from bartizan.store.database import Database
from bartizan.store.tables import users


class SqlDirectory:
    """Implements `DirectoryStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def users(self) -> list[UserRecord]:
        """Return all users."""
        with self._database.read() as connection:
            return [_user(row) for row in connection.execute(sa.select(users).order_by(users.c.name))]

    def groups(self) -> list[GroupRecord]:
        """Return all groups."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(user_groups.c.document)).scalars().all()
        found = [msgspec.json.decode(row, type=GroupRecord) for row in rows]
        return sorted(found, key=lambda group: group.position)

    def roles(self) -> list[Role]:
        """Return the roles that people made."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(custom_roles.c.document).order_by(custom_roles.c.name)).scalars().all()
        return [msgspec.json.decode(row, type=Role) for row in rows]

    def tokens(self) -> list[tuple[bytes, TokenRecord]]:
        """Return all API tokens with the digests that they are known by."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(api_tokens)).all()
        return [(row.digest, _token(row)) for row in rows]

    def add_first_user(self, user: UserRecord) -> bool:
        """Add the user if there is none at all; return whether it was added."""
        with self._database.write() as connection:
            if connection.execute(sa.select(users.c.name).limit(1)).first() is not None:
                return False
            connection.execute(users.insert().values(_values(user)))
            return True

    def put_user(self, user: UserRecord) -> None:
        """Add or replace a user."""
        self._put(users, _values(user))

    def remove_user(self, name: str) -> None:
        """Remove a user with their sessions and tokens."""
        self._remove(users, name)

    def put_group(self, group: GroupRecord) -> None:
        """Add or replace a group."""
        self._put(user_groups, {"name": group.name, "document": msgspec.json.encode(group)})

    def remove_group(self, name: str) -> None:
        """Remove a group."""
        self._remove(user_groups, name)

    def put_role(self, role: Role) -> None:
        """Add or replace a role."""
        self._put(custom_roles, {"name": role.name, "document": msgspec.json.encode(role)})

    def remove_role(self, name: str) -> None:
        """Remove a role."""
        self._remove(custom_roles, name)

    def add_token(self, digest: bytes, token: TokenRecord) -> None:
        """Add an API token."""
        values = {"id": token.id, "digest": digest, "user": token.user, "last_used": token.last_used}
        with self._database.write() as connection:
            connection.execute(api_tokens.insert().values(**values, document=msgspec.json.encode(token)))

    def touch_token(self, token: str, *, now: int) -> None:
        """Note that an API token was used."""
        with self._database.write() as connection:
            connection.execute(api_tokens.update().where(api_tokens.c.id == token).values(last_used=now))

    def remove_token(self, token: str) -> None:
        """Remove an API token."""
        with self._database.write() as connection:
            connection.execute(api_tokens.delete().where(api_tokens.c.id == token))

    def _put(self, table: sa.Table, values: dict[str, Any]) -> None:
        with self._database.write() as connection:
            changed = connection.execute(table.update().where(table.c.name == values["name"]).values(values))
            if not changed.rowcount:
                connection.execute(table.insert().values(values))

    def _remove(self, table: sa.Table, name: str) -> None:
        with self._database.write() as connection:
            connection.execute(table.delete().where(table.c.name == name))


def _values(user: UserRecord) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role,
        "password_hash": user.password_hash,
        "auth_type": user.auth_type,
        "collections": msgspec.json.encode(user.collections).decode(),
        "created": user.created,
        "modified": user.modified,
        "last_login": user.last_login,
    }


def _user(row: Any) -> UserRecord:  # noqa: ANN401 - a row of this table
    return UserRecord(
        name=row.name,
        role=row.role,
        password_hash=row.password_hash,
        auth_type=row.auth_type,
        collections=msgspec.json.decode(row.collections, type=tuple[str, ...]),
        created=row.created,
        modified=row.modified,
        last_login=row.last_login,
    )


def _token(row: Any) -> TokenRecord:  # noqa: ANN401 - a row of this table
    token = msgspec.json.decode(row.document, type=TokenRecord)
    return dataclasses.replace(token, last_used=row.last_used)
