"""Backups of a Console: its database, and under a passphrase the keys of its data directory."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from bartizan import pki
from bartizan.app.base import Base
from bartizan.data_directory import ConsoleError, locked
from bartizan.pki.passphrase import PassphraseError, open_with, seal_with
from bartizan.settings import Settings
from bartizan.store import Database
from bartizan.store.backup import BackupError, dump, head_of, restore

_IS_KEY = re.compile(r"ca\.pem|ca-key\.pem|[a-z-]{1,40}\.key")
_PURPOSE = b"bartizan keys"


class ConsoleBackup:
    """Implements `Maker`."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def __call__(self, path: Path, *, passphrase: str, created: int, progress: Callable[[int], None]) -> int:
        """Write a new file; return how many rows."""
        keys = _sealed_keys(self._base.directory, passphrase) if passphrase else b""
        version = self._base.settings.version
        return dump(self._base.database, path, version=version, created=created, keys=keys, progress=progress)


def restore_console(settings: Settings, path: Path, *, passphrase: str, replace: bool, without_keys: bool) -> int:
    """
    Put a backup into the place of a Console that does not run; return how many rows it has.

    The database is changed whole or not at all. Raises ConsoleError.
    """
    with locked(settings.data_directory) as directory:
        try:
            head = head_of(path)
            keys = _opened_keys(head.keys, passphrase, without_keys=without_keys)
            database = Database(settings.database or directory / "bartizan.db")
        except (BackupError, PassphraseError, ValueError) as error:
            raise ConsoleError(str(error)) from None
        try:
            if not replace and _is_used(database):
                raise ConsoleError("the database has users already: give --replace to lose what is in it")
            rows = restore(database, path)
        except BackupError as error:
            raise ConsoleError(str(error)) from None
        finally:
            database.close()
        for name, content in keys.items():
            pki.write_atomically(directory / name, content, mode=0o644 if name == "ca.pem" else 0o600)
        if keys:
            # Of another authority; the Console issues one anew.
            (directory / "server.pem").unlink(missing_ok=True)
        (directory / "setup-token").unlink(missing_ok=True)
        return rows


def _sealed_keys(directory: Path, passphrase: str) -> bytes:
    found = {path.name: path.read_bytes() for path in directory.iterdir() if _IS_KEY.fullmatch(path.name)}
    return seal_with(passphrase, msgspec.msgpack.encode(found), purpose=_PURPOSE)


def _opened_keys(sealed: bytes, passphrase: str, *, without_keys: bool) -> dict[str, bytes]:
    if without_keys or not sealed:
        return {}
    if not passphrase:
        raise BackupError("the backup has the Console's keys: give the passphrase, or --without-keys")
    opened = msgspec.msgpack.decode(open_with(passphrase, sealed, purpose=_PURPOSE), type=dict[str, bytes])
    return {name: content for name, content in opened.items() if _IS_KEY.fullmatch(name)}


def _is_used(database: Database) -> bool:
    with database.read() as connection:
        return connection.exec_driver_sql("SELECT name FROM users LIMIT 1").first() is not None
