"""The history of the runtime policy."""

import sqlalchemy as sa

from bartizan.store.database import Database
from bartizan.store.tables import policies


class SqlPolicies:
    """Implements `PolicyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self) -> tuple[int, bytes] | None:
        """Return the newest revision and its document."""
        query = sa.select(policies.c.revision, policies.c.document).order_by(policies.c.revision.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.revision, row.document)

    def add(self, document: bytes, *, author: str, now: int) -> int:
        """Keep a document as the next revision and return its number."""
        statement = policies.insert().values(document=document, author=author, created=now)
        with self._database.write() as connection:
            key = connection.execute(statement.returning(policies.c.revision)).scalar_one()
        return int(key)
