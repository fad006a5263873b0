"""The history of a policy: every revision with who made it, when and why, up to a number of them."""

import sqlalchemy as sa

from bartizan.services.interfaces import Revision
from bartizan.store.database import Database

MOST_REVISIONS = 1000


class SqlRevisions:
    """Implements `PolicyStore` on a table with `revision`, `document`, `author`, `created` and `comment`."""

    def __init__(self, database: Database, table: sa.Table) -> None:
        self._database = database
        self._table = table

    def latest(self) -> tuple[int, bytes] | None:
        """Return the newest revision and its document."""
        columns = self._table.c
        query = sa.select(columns.revision, columns.document).order_by(columns.revision.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.revision, row.document)

    def add(self, document: bytes, *, author: str, now: int, comment: str = "") -> int:
        """Keep a document as the next revision and return its number; the oldest beyond what is kept go."""
        values = {"document": document, "author": author, "created": now, "comment": comment}
        columns = self._table.c
        with self._database.write() as connection:
            statement = self._table.insert().values(values).returning(columns.revision)
            number = int(connection.execute(statement).scalar_one())
            connection.execute(self._table.delete().where(columns.revision <= number - MOST_REVISIONS))
        return number

    def page(self, *, below: int | None, limit: int) -> list[Revision]:
        """Return revisions, the newest first, those below a number if one is given."""
        columns = self._table.c
        query = sa.select(columns.revision, columns.author, columns.created, columns.comment)
        if below is not None:
            query = query.where(columns.revision < below)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(columns.revision.desc()).limit(limit)).all()
        return [
            Revision(number=row.revision, author=row.author, created=row.created, comment=row.comment) for row in rows
        ]

    def get(self, number: int) -> tuple[Revision, bytes] | None:
        """Return a revision with its document."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(self._table).where(self._table.c.revision == number)).first()
        if row is None:
            return None
        found = Revision(number=row.revision, author=row.author, created=row.created, comment=row.comment)
        return found, row.document
