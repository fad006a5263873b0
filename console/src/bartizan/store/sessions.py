"""Sessions, known by the digests of their tokens."""

from typing import Any

import sqlalchemy as sa

from bartizan.services.sessions import SessionRecord
from bartizan.store.database import Database
from bartizan.store.tables import sessions


class SqlSessions:
    """Implements `SessionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, digest: bytes, record: SessionRecord, *, most: int) -> None:
        """Keep a session; drop all that ended before it was made, and the user's oldest beyond so many."""
        mine = sessions.c.user == record.user
        newest = sa.select(sessions.c.id).where(mine).order_by(sessions.c.created.desc(), sessions.c.id).limit(most - 1)
        with self._database.write() as connection:
            connection.execute(sessions.delete().where(_ended(record.created)))
            connection.execute(sessions.delete().where(mine, sessions.c.id.not_in(newest)))
            values = {name: getattr(record, name) for name in record.__slots__}
            connection.execute(sessions.insert().values(digest=digest, **values))

    def find(self, digest: bytes) -> SessionRecord | None:
        """Return a session."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(sessions).where(sessions.c.digest == digest)).first()
        return None if row is None else _session(row)

    def touch(self, session: str, *, now: int) -> None:
        """Note that a session was used."""
        with self._database.write() as connection:
            connection.execute(sessions.update().where(sessions.c.id == session).values(last_used=now))

    def all(self, *, now: int) -> list[SessionRecord]:
        """Return the sessions that have not ended, the newest first."""
        query = sa.select(sessions).where(sa.not_(_ended(now))).order_by(sessions.c.created.desc(), sessions.c.id)
        with self._database.read() as connection:
            return [_session(row) for row in connection.execute(query)]

    def remove(self, session: str) -> bool:
        """End a session; return whether there was one."""
        with self._database.write() as connection:
            return bool(connection.execute(sessions.delete().where(sessions.c.id == session)).rowcount)

    def remove_of(self, user: str, *, but: str = "") -> int:
        """End all sessions of a user but one; return how many."""
        statement = sessions.delete().where(sessions.c.user == user, sessions.c.id != but)
        with self._database.write() as connection:
            return connection.execute(statement).rowcount


def _ended(now: int) -> sa.ColumnElement[bool]:
    return sa.or_(sessions.c.expires <= now, sessions.c.last_used + sessions.c.idle <= now)


def _session(row: Any) -> SessionRecord:  # noqa: ANN401 - a row of this table
    return SessionRecord(
        id=row.id,
        user=row.user,
        kind=row.kind,
        created=row.created,
        last_used=row.last_used,
        expires=row.expires,
        idle=row.idle,
        address=row.address,
        agent=row.agent,
    )
