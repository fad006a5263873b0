"""Users and sessions."""

import sqlalchemy as sa

from bartizan.services.interfaces import User
from bartizan.store.database import Database
from bartizan.store.tables import sessions, users


class SqlAccounts:
    """Implements `AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has_users(self) -> bool:
        """Return whether there is any user."""
        with self._database.read() as connection:
            return connection.execute(sa.select(users.c.name).limit(1)).first() is not None

    def add_first_user(self, user: User, password_hash: str) -> bool:
        """Add the user if there is none at all; return whether it was added."""
        with self._database.write() as connection:
            if connection.execute(sa.select(users.c.name).limit(1)).first() is not None:
                return False
            connection.execute(users.insert().values(name=user.name, role=user.role, password_hash=password_hash))
            return True

    def user(self, name: str) -> tuple[User, str] | None:
        """Return a user with the password's hash."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(users).where(users.c.name == name)).first()
        return None if row is None else (User(name=row.name, role=row.role), row.password_hash)

    def add_session(self, digest: bytes, user: str, *, expires: int, now: int) -> None:
        """Keep a session and drop those that ended."""
        with self._database.write() as connection:
            connection.execute(sessions.delete().where(sessions.c.expires <= now))
            connection.execute(sessions.insert().values(digest=digest, user=user, expires=expires))

    def session_user(self, digest: bytes, *, now: int) -> User | None:
        """Return whose live session this is."""
        query = (
            sa.select(users.c.name, users.c.role)
            .join(sessions, sessions.c.user == users.c.name)
            .where(sessions.c.digest == digest, sessions.c.expires > now)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else User(name=row.name, role=row.role)
