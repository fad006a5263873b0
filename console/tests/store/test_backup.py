"""Backups: consistent while others write, whole or not at all, from either database into either."""

import gzip
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError
from tests.postgresql import Where
from tests.store.test_store import new_audit

from bartizan.app.backup import restore_console
from bartizan.data_directory import ConsoleError
from bartizan.pki.passphrase import PassphraseError, open_with, seal_with
from bartizan.services.interfaces import AuditQuery
from bartizan.settings import Settings
from bartizan.store import Database, SqlAudits, SqlPolicies, SqlSettings
from bartizan.store.backup import BackupError, Head, dump, head_of, restore


def backed_up(database: Database, path: Path, *, keys: bytes = b"") -> int:
    """Write a backup."""
    return dump(database, path, version="1", created=1, keys=keys, progress=lambda _rows: None)


def test_a_backup_goes_into_either_database(database: Database, fresh: Callable[[], Database], tmp_path: Path) -> None:
    """What was there is there again with its ids; no id that was ever given is given again; what was there is gone."""
    audits = SqlAudits(database)
    newest = audits.add([new_audit(number) for number in range(1, 450)])
    audits.prune(received_before=0, below_id=newest - 9, most=1000)
    audits.prune(received_before=5000, below_id=0, most=1000)
    SqlSettings(database).put("name", "Grüße, \N{SNOWMAN}")
    assert SqlPolicies(database).add(b"\x00\xff", author="a", now=1) == 1
    rows = backed_up(database, tmp_path / "one")
    database.close()
    other = fresh()
    SqlSettings(other).put("other", "x")
    assert restore(other, tmp_path / "one") == rows
    assert SqlSettings(other).get("name") == "Grüße, \N{SNOWMAN}"
    assert SqlSettings(other).get("other") is None
    assert SqlPolicies(other).latest() == (1, b"\x00\xff")
    assert SqlPolicies(other).add(b"", author="a", now=2) == 2
    SqlAudits(other).add([new_audit(1000)])
    assert SqlAudits(other).page(AuditQuery())[0][0] > newest
    other.close()


def test_a_backup_is_of_one_moment(database: Database, tmp_path: Path) -> None:
    """While it is made audits go on being written, in pairs: a backup never has half of one."""
    audits = SqlAudits(database)
    audits.add([new_audit(number) for number in range(1, 2001)])
    done = threading.Event()
    written = []

    def write() -> None:
        for number in range(3000, 5000, 2):
            if done.is_set():
                return
            written.append(audits.add([new_audit(number), new_audit(number + 1)]))

    writer = threading.Thread(target=write)
    writer.start()
    rows = backed_up(database, tmp_path / "one")
    done.set()
    writer.join()
    assert written
    assert rows >= 2000
    assert rows % 2 == 0


def test_what_is_damaged_changes_nothing(fresh: Callable[[], Database], tmp_path: Path) -> None:
    """A backup that was cut off anywhere, changed, or is something else leaves the database as it was."""
    database = fresh()
    SqlAudits(database).add([new_audit(number) for number in range(1, 300)])
    backed_up(database, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    plain = gzip.decompress(good)
    for number, bad in enumerate((
        good[: len(good) // 2], gzip.compress(plain[:-40]), gzip.compress(plain[: len(plain) // 2]), b"",
        b"somebody's file", gzip.compress(b"\xff\xff\xff\xff"), gzip.compress(b""),
    )):  # fmt: skip
        (tmp_path / str(number)).write_bytes(bad)
        with pytest.raises((BackupError, DBAPIError)):
            restore(database, tmp_path / str(number))
        assert SqlAudits(database).count(AuditQuery()) == 299
    database.close()


def test_a_newer_backup_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that this version does not know is told before anything is touched."""
    database = Database(tmp_path / "bartizan.db")
    backed_up(database, tmp_path / "one")
    database.close()
    monkeypatch.setattr("bartizan.store.backup.NEWEST_SCHEMA", "0001")
    with pytest.raises(BackupError, match="made by a newer Bartizan"):
        head_of(tmp_path / "one")


def test_the_passphrase_guards_the_keys(tmp_path: Path) -> None:
    """Keys come back with the right passphrase alone, never by accident, and the file never shows one."""
    first = tmp_path / "first"
    first.mkdir(mode=0o700)
    database = Database(first / "bartizan.db")
    secret = b"a key that must not be seen"
    sealed = seal_with("correct horse battery", secret, purpose=b"p")
    backed_up(database, tmp_path / "one", keys=sealed)
    database.close()
    assert secret not in gzip.decompress((tmp_path / "one").read_bytes())
    assert isinstance(head_of(tmp_path / "one"), Head)
    with pytest.raises(PassphraseError):
        open_with("correct horse batterz", sealed, purpose=b"p")
    second = Settings(data_directory=tmp_path / "second")
    for passphrase, told in (("", "give the passphrase"), ("wrong passphrase", "not the one")):
        with pytest.raises(ConsoleError, match=told):
            restore_console(second, tmp_path / "one", passphrase=passphrase, replace=False, without_keys=False)
    assert restore_console(second, tmp_path / "one", passphrase="", replace=False, without_keys=True) == 0


@settings(max_examples=60)
@given(content=st.binary(max_size=200))
def test_any_file_is_a_backup_or_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever is in a file, reading its head gives a head or one error."""
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(gzip.compress(content, compresslevel=0))
    with pytest.raises(BackupError):
        head_of(path)


def test_both_databases_are_meant(where: Where) -> None:
    """The file of SQLite and PostgreSQL both say how large they are and what they have counted."""
    database = Database(where)
    assert database.size() > 0
    SqlAudits(database).add([new_audit(1)])
    with database.read() as connection:
        assert database.counters(connection)["audits"] == 1
    database.close()
