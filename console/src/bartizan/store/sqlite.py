"""
SQLite, in a file of the data directory.

WAL with `synchronous=FULL`: what was committed survives a power cut, and that is what an acknowledgement promises.
"""

from collections.abc import Mapping
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

import sqlalchemy
from sqlalchemy import event

_CACHE_KIB = 32 * 1024


class SqliteEngine:
    """Implements `Engine` for one file, which is made for its owner only."""

    def __init__(self, path: Path) -> None:
        # SQLite gives its other files the mode of this one.
        path.touch(mode=0o600)
        self.name = str(path)
        self.engine = sqlalchemy.create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=4)
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)

    def begin_read(self, connection: sqlalchemy.Connection) -> None:
        """Do nothing: each transaction sees one state."""

    def begin_write(self, connection: sqlalchemy.Connection) -> None:
        """Take the file's lock at once, not at the first change."""
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def highest_id(self, connection: sqlalchemy.Connection, table: str) -> int:
        """Return the highest id ever given in a table."""
        # AUTOINCREMENT keeps it here, also when its row was pruned (SQLite, "Autoincrement").
        query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        return int(connection.exec_driver_sql(query, (table,)).scalar() or 0)

    def counters(self, connection: sqlalchemy.Connection) -> dict[str, int]:
        """Return the highest id ever given in each table that counts."""
        rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")
        return {row[0]: int(row[1] or 0) for row in rows}

    def set_counters(self, connection: sqlalchemy.Connection, counters: Mapping[str, int]) -> None:
        """Go on counting behind these ids; those of the rows that are there SQLite has counted."""
        tables = set(sqlalchemy.inspect(connection).get_table_names())
        for table, highest in counters.items():
            if table in tables:
                connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ? AND seq < ?", (table, highest))
                connection.exec_driver_sql(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT ?, ? "
                    "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)",
                    (table, highest, table),
                )

    def size(self, connection: sqlalchemy.Connection) -> int:
        """Return the bytes that the database takes."""
        pages, size = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in _SIZES)
        return pages * size

    def close(self) -> None:
        """Close all connections; the last one folds the write-ahead log into the file."""
        self.engine.dispose()


_SIZES = ("page_count", "page_size")


def _prepare(connection: SqliteConnection, _record: object) -> None:
    # The driver's own transaction control begins too late and commits by surprise; `_begin` does it instead.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        f"cache_size=-{_CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
