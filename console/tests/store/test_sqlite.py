"""What holds for the file of SQLite alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bartizan.store import Database, SqlSettings


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Open a new file."""
    opened = Database(tmp_path / "bartizan.db")
    yield opened
    opened.close()


def test_commits_survive_a_power_cut(database: Database) -> None:
    """The journal is a write-ahead log, synchronised at every commit."""
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_the_file_is_private(database: Database, tmp_path: Path) -> None:
    """The database and its log are for their owner only."""
    SqlSettings(database).put("a", "b")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """What is not ours is named and left alone."""
    path = tmp_path / "bartizan.db"
    path.write_bytes(b"this is no database, but somebody's file" * 100)
    with pytest.raises(ValueError, match="cannot be used as a database"):
        Database(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_newer_database_is_not_touched(tmp_path: Path) -> None:
    """After a step back to an older Bartizan nothing is written in a schema that it does not know."""
    path = tmp_path / "bartizan.db"
    Database(path).close()
    with sqlite3.connect(path) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ValueError, match="newer Bartizan"):
        Database(path)
