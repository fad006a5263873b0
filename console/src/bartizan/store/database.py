"""
The Console's database.

Writers take a lock of this process in turn, so that none of them meets another.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy

from bartizan.database_address import DatabaseAddress
from bartizan.store.sqlite import SqliteEngine

NEWEST_SCHEMA = "0013"


class Engine(Protocol):
    """What one kind of database does in its own way."""

    name: str
    engine: sqlalchemy.Engine

    def begin_read(self, connection: sqlalchemy.Connection) -> None:
        """Prepare a transaction that reads one state."""

    def begin_write(self, connection: sqlalchemy.Connection) -> None:
        """Prepare the transaction of the only writer."""

    def highest_id(self, connection: sqlalchemy.Connection, table: str) -> int:
        """Return the highest id ever given in a table, or 0."""

    def counters(self, connection: sqlalchemy.Connection) -> dict[str, int]:
        """Return the highest id ever given in each table that counts."""

    def set_counters(self, connection: sqlalchemy.Connection, counters: Mapping[str, int]) -> None:
        """Go on counting behind these ids and behind the rows that are there."""

    def size(self, connection: sqlalchemy.Connection) -> int:
        """Return the bytes that the database takes."""

    def close(self) -> None:
        """Close all connections."""


class Database:
    """
    One database, a file of SQLite or PostgreSQL at an address, brought to the newest schema when it is opened.

    Raises ValueError when that cannot be.
    """

    def __init__(self, where: Path | DatabaseAddress) -> None:
        self._writing = threading.Lock()
        try:
            self._kind = _opened(where)
        except sqlalchemy.exc.DBAPIError as error:
            raise ValueError(f"the database `{where}` cannot be opened: {reason(error)}") from None
        self.engine = self._kind.engine
        try:
            self._migrate()
        except sqlalchemy.exc.DBAPIError as error:
            self.close()
            raise ValueError(f"`{where}` cannot be used as a database: {reason(error)}") from None
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The file or the address, without a password."""
        return self._kind.name

    @property
    def kind(self) -> str:
        """What kind of database it is, such as `sqlite`."""
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[sqlalchemy.Connection]:
        """Give a connection with one consistent view."""
        with self.engine.connect() as connection:
            self._kind.begin_read(connection)
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlalchemy.Connection]:
        """Give the only writing connection; what was done is committed at the end, or undone after an exception."""
        with self._writing, self.engine.connect() as connection:
            self._kind.begin_write(connection)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def highest_id(self, connection: sqlalchemy.Connection, table: sqlalchemy.Table) -> int:
        """Return the highest `id` ever given in a table, also when its row is gone; 0 when there was none."""
        return self._kind.highest_id(connection, table.name)

    def counters(self, connection: sqlalchemy.Connection) -> dict[str, int]:
        """Return the highest id ever given in each table that counts."""
        return self._kind.counters(connection)

    def set_counters(self, connection: sqlalchemy.Connection, counters: Mapping[str, int]) -> None:
        """Let each table that counts go on behind its rows, and behind the highest id that was ever given."""
        self._kind.set_counters(connection, counters)

    def size(self) -> int:
        """Return the bytes that the database takes."""
        with self.read() as connection:
            return self._kind.size(connection)

    def close(self) -> None:
        """Close all connections."""
        self._kind.close()

    def _migrate(self) -> None:
        with self.read() as connection:
            known = sqlalchemy.inspect(connection).has_table("alembic_version")
            query = "SELECT version_num FROM alembic_version"
            present = connection.exec_driver_sql(query).scalar() if known else None
        if present == NEWEST_SCHEMA:
            return
        if present is not None and present > NEWEST_SCHEMA:
            raise ValueError(
                f"the database was written by a newer Bartizan (schema {present}), this one reads {NEWEST_SCHEMA}"
            )
        with self._writing, self.engine.connect() as connection:
            self.migrate(connection, "head")
            connection.commit()

    def migrate(self, connection: sqlalchemy.Connection, schema: str) -> None:
        """Bring the tables forward to a schema, or to the newest one (`head`), within the present transaction."""
        # Half a second of imports that only a first start, or the first one of a new version, has to pay.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, schema)


def reason(error: sqlalchemy.exc.DBAPIError) -> str:
    """Return what a database says is wrong, in one line and without the statement or its values."""
    told = error.orig.args[0] if error.orig is not None and error.orig.args else "unknown"
    # PostgreSQL's errors have fields; `M` is the message (PostgreSQL, "Error and Notice Message Fields").
    return " ".join(str(told.get("M", "unknown") if isinstance(told, dict) else told).split())


def _opened(where: Path | DatabaseAddress) -> Engine:
    if isinstance(where, Path):
        return SqliteEngine(where)
    from bartizan.store.postgresql import PostgresEngine  # noqa: PLC0415 - its driver is for those who ask for it

    return PostgresEngine(where)
