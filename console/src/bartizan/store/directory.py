"""The people whom the Console knows."""

from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.services.directory import UserRecord
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

    def add_first_user(self, user: UserRecord) -> bool:
        """Add the user if there is none at all; return whether it was added."""
        with self._database.write() as connection:
            if connection.execute(sa.select(users.c.name).limit(1)).first() is not None:
                return False
            connection.execute(users.insert().values(_values(user)))
            return True

    def put_user(self, user: UserRecord) -> None:
        """Add or replace a user."""
        values = _values(user)
        with self._database.write() as connection:
            changed = connection.execute(users.update().where(users.c.name == user.name).values(values))
            if not changed.rowcount:
                connection.execute(users.insert().values(values))


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
