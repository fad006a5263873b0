"""
The whole database as one file that no kind of database is needed to read, and back.

The file is gzip; in it are records, each with its length (4 bytes, big-endian) before it, of MessagePack: a head, then
for each table its name, its columns and some of its rows, and at the end how many rows there were. So a file of SQLite
can be restored into PostgreSQL, and one that was cut off is noticed.
"""

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import sqlalchemy as sa

from bartizan.store.database import NEWEST_SCHEMA, Database

_FORMAT = "bartizan-backup-1"
_LENGTH = struct.Struct(">I")
_LARGEST_RECORD = 256 * 1024 * 1024
_ROWS_AT_ONCE = 200
_VERSIONS = "alembic_version"


class BackupError(Exception):
    """A backup that cannot be made or restored; the message is for the person who asked."""


class Head(msgspec.Struct, frozen=True, tag="head"):
    """What a backup is of: its schema, when it was made (unix ms), its sealed keys, ids that are not given again."""

    format: str
    version: str
    schema: str
    created: int
    keys: bytes
    counters: dict[str, int]


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Some rows of a table."""

    table: str
    columns: list[str]
    rows: list[list[Any]]


class End(msgspec.Struct, frozen=True, tag="end"):
    """The end, with the number of all rows."""

    rows: int


Record = Head | Rows | End


def dump(
    database: Database, path: Path, *, version: str, created: int, keys: bytes, progress: Callable[[int], None]
) -> int:
    """
    Write a new file (mode 0600) with one consistent state of the database while others write; return how many rows.

    `progress` is told how many rows there are so far.
    """
    path.touch(mode=0o600, exist_ok=False)
    with gzip.open(path, "wb", compresslevel=5) as file, database.read() as connection:
        tables = _tables(connection)
        counters = database.counters(connection)
        schema = connection.execute(sa.select(tables[_VERSIONS].c.version_num)).scalar_one()
        head = Head(format=_FORMAT, version=version, schema=schema, created=created, keys=keys, counters=counters)
        _write(file, head)
        total = 0
        for table in tables.values():
            if table.name == _VERSIONS:
                continue
            columns = [str(column.name) for column in table.columns]
            streamed = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(sa.select(table))
            for rows in streamed.partitions():
                _write(file, Rows(table=str(table.name), columns=columns, rows=[list(row) for row in rows]))
                total += len(rows)
                progress(total)
        _write(file, End(rows=total))
        return total


def head_of(path: Path) -> Head:
    """Return the head of a backup. Raises BackupError when it is none, or of a newer Bartizan."""
    with _opened(path) as file:
        return _head(_records(file))


def restore(database: Database, path: Path) -> int:
    """
    Put a backup in the place of everything in the database, whole or not at all; return how many rows.

    Its schema is brought to the newest one. Raises BackupError.
    """
    with _opened(path) as file, database.write() as connection:
        records = _records(file)
        head = _head(records)
        present = sa.MetaData()
        present.reflect(connection)
        present.drop_all(connection)
        database.migrate(connection, head.schema)
        total = _fill(connection, records)
        database.set_counters(connection, head.counters)
        database.migrate(connection, "head")
        return total


def _fill(connection: sa.Connection, records: Iterator[Record]) -> int:
    tables, total = _tables(connection), 0
    for record in records:
        if isinstance(record, End):
            if record.rows != total:
                raise BackupError(f"the backup says that it has {record.rows} rows, but {total} came")
            return total
        if not isinstance(record, Rows) or record.table not in tables:
            raise BackupError("the backup has something that its schema has not")
        table = tables[record.table]
        if not set(record.columns) <= set(table.columns.keys()):
            raise BackupError(f"the backup's table `{record.table}` has other columns than its schema")
        if record.rows:
            rows = [dict(zip(record.columns, row, strict=True)) for row in record.rows]
            connection.execute(table.insert(), rows)
        total += len(record.rows)
    raise BackupError("the backup was cut off: its end is missing")


def _tables(connection: sa.Connection) -> dict[str, sa.Table]:
    """Return the tables, each behind those that it refers to."""
    found = sa.MetaData()
    found.reflect(connection)
    return {table.name: table for table in found.sorted_tables}


def _head(records: Iterator[Record]) -> Head:
    head = next(records, None)
    if not isinstance(head, Head) or head.format != _FORMAT:
        raise BackupError("the file is no backup of a Console")
    if head.schema > NEWEST_SCHEMA:
        raise BackupError(
            f"the backup was made by a newer Bartizan (version {head.version}, schema {head.schema}), "
            f"this one reads up to {NEWEST_SCHEMA}"
        )
    return head


def _opened(path: Path) -> gzip.GzipFile:
    try:
        return gzip.open(path, "rb")
    except OSError as error:
        raise BackupError(f"`{path}` cannot be read: {error.strerror}") from None


def _write(file: gzip.GzipFile, record: Record) -> None:
    content = msgspec.msgpack.encode(record)
    file.write(_LENGTH.pack(len(content)))
    file.write(content)


def _records(file: BinaryIO | gzip.GzipFile) -> Iterator[Record]:
    decoder = msgspec.msgpack.Decoder(Record)
    try:
        while length := file.read(_LENGTH.size):
            size = _LENGTH.unpack(length)[0]
            if size > _LARGEST_RECORD:
                raise BackupError("the backup is damaged: a record is too large")
            yield decoder.decode(file.read(size))
    except (OSError, EOFError, struct.error, msgspec.MsgspecError):
        raise BackupError("the backup is damaged or was cut off") from None
