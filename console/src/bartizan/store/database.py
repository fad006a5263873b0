"""
The connection to SQLite.

WAL with `synchronous=FULL`: what was committed survives a power cut, and that is what an acknowledgement promises.
Writers take a lock of this process in turn, so that none of them meets SQLITE_BUSY.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

import sqlalchemy
from sqlalchemy import event

_CACHE_KIB = 32 * 1024
NEWEST_SCHEMA = "0011"


class Database:
    """One database file, brought to the newest schema when it is opened. Raises ValueError when that cannot be."""

    def __init__(self, path: Path) -> None:
        # SQLite gives its other files the mode of this one.
        path.touch(mode=0o600)
        self.engine = sqlalchemy.create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=4)
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)
        self._writing = threading.Lock()
        try:
            self._migrate()
        except sqlalchemy.exc.DatabaseError as error:
            raise ValueError(f"`{path}` cannot be used as a database: {error.orig}") from None

    @contextmanager
    def read(self) -> Iterator[sqlalchemy.Connection]:
        """Give a connection with one consistent view."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlalchemy.Connection]:
        """Give the only writing connection; what was done is committed at the end, or undone after an exception."""
        with self._writing, self.engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def close(self) -> None:
        """Close all connections; the last one folds the write-ahead log into the file."""
        self.engine.dispose()

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
        # Half a second of imports that only a first start, or the first one of a new version, has to pay.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        with self._writing, self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()


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
