"""The Defenders that were seen; the registry in memory is the reader, so a record is one document."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from bartizan.services.interfaces import DefenderRecord
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.tables import defenders, sources

_BATCH = 500


class SqlDefenders:
    """Implements `DefenderStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[DefenderRecord]:
        """Return all records."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(defenders.c.record)).scalars().all()
        return [msgspec.json.decode(row, type=DefenderRecord) for row in rows]

    def put(self, records: Sequence[DefenderRecord]) -> None:
        """Add or replace records."""
        statement = insert(defenders)
        statement = statement.on_conflict_do_update(
            index_elements=["instance"], set_={"record": statement.excluded.record}
        )
        rows = [{"instance": record.instance, "record": msgspec.json.encode(record)} for record in records]
        with self._database.write() as connection:
            connection.execute(statement, rows)

    def remove(self, instances: Sequence[str]) -> None:
        """Remove records and the sources that they owned."""
        with self._database.write() as connection:
            for start in range(0, len(instances), _BATCH):
                batch = instances[start : start + _BATCH]
                connection.execute(defenders.delete().where(defenders.c.instance.in_(batch)))
                connection.execute(sources.delete().where(sources.c.instance.in_(batch)))
