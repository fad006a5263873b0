"""Backups, made while the Console works, kept in its data directory until somebody takes them away."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.interfaces import Clock

_log = logging.getLogger(__name__)
_NAME = re.compile(r"bartizan-\d{8}T\d{9}Z\.backup")
_MOST = 20
_SHORTEST_PASSPHRASE = 12
_LONGEST_PASSPHRASE = 1024


class Maker(Protocol):
    """Makes a backup."""

    def __call__(self, path: Path, *, passphrase: str, created: int, progress: Callable[[int], None]) -> int:
        """Write a new file, with the Console's keys when there is a passphrase; return how many rows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup's file, or one that is being made (`running`) or was not (`failed`)."""

    name: str
    created: int
    size: int
    state: str
    rows: int = 0
    keys: bool = False
    error: str = ""


class Backups:
    """The folder of backups; one is made at a time, and at most 20 are kept until somebody removes some."""

    def __init__(self, folder: Path, maker: Maker, *, clock: Clock) -> None:
        self._folder = folder
        self._maker = maker
        self._clock = clock
        self._job: asyncio.Task[None] | None = None
        self._latest: Backup | None = None
        for left in folder.glob(".*.part"):  # of a Console that was killed meanwhile
            left.unlink()

    def all(self) -> list[Backup]:
        """Return the backups, the newest first; the one that is being made is among them."""
        latest = self._latest
        found = [self._of(path) for path in self._folder.glob("*.backup") if _NAME.fullmatch(path.name)]
        if latest is not None:
            found = [item for item in found if item.name != latest.name]
            if latest.state != "done" or self._path(latest.name).exists():
                found.append(latest)
        return sorted(found, key=lambda item: item.name, reverse=True)

    def start(self, *, passphrase: str = "") -> Backup:
        """
        Begin a backup and return it; `all` tells how far it is.

        With a passphrase the Console's keys are in it, sealed. Raises InvalidError, ConflictError.
        """
        if passphrase and not _SHORTEST_PASSPHRASE <= len(passphrase) <= _LONGEST_PASSPHRASE:
            raise InvalidError(f"`passphrase` has to have {_SHORTEST_PASSPHRASE} to {_LONGEST_PASSPHRASE} characters")
        if self._job is not None and not self._job.done():
            raise ConflictError("a backup is being made already")
        if len(self.all()) >= _MOST:
            raise ConflictError(f"there are {_MOST} backups already: remove some first")
        created = self._clock()
        stamp = dt.datetime.fromtimestamp(created / 1000, tz=dt.UTC)
        name = f"bartizan-{stamp:%Y%m%dT%H%M%S}{created % 1000:03d}Z.backup"
        self._latest = Backup(name=name, created=created, size=0, state="running", keys=bool(passphrase))
        self._job = asyncio.create_task(self._make(self._latest, passphrase))
        return self._latest

    def path(self, name: str) -> Path:
        """Return the file of a finished backup. Raises MissingError."""
        path = self._path(name)
        if not path.is_file():
            raise MissingError(f"there is no backup `{name[:64]}`")
        return path

    async def remove(self, name: str) -> None:
        """Remove a backup. Raises MissingError, or ConflictError while it is being made."""
        latest = self._latest
        if latest is not None and latest.name == name:
            if latest.state == "running":
                raise ConflictError("the backup is being made")
            self._latest = None
            if latest.state == "failed":
                return
        await asyncio.to_thread(self.path(name).unlink)

    async def close(self) -> None:
        """Wait for the one that is being made."""
        if self._job is not None:
            await asyncio.gather(self._job, return_exceptions=True)

    async def _make(self, backup: Backup, passphrase: str) -> None:
        part = self._folder / f".{backup.name}.part"

        def told(rows: int) -> None:
            self._latest = dataclasses.replace(backup, rows=rows)

        def make() -> tuple[int, int]:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            rows = self._maker(part, passphrase=passphrase, created=backup.created, progress=told)
            part.rename(self._path(backup.name))
            return rows, self._path(backup.name).stat().st_size

        try:
            rows, size = await asyncio.to_thread(make)
        except Exception as error:  # noqa: BLE001 - told in the list
            _log.exception("the backup failed")
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) else "see the Console's log"
            self._latest = dataclasses.replace(backup, state="failed", error=f"it was not made: {reason}")
            return
        self._latest = dataclasses.replace(backup, state="done", rows=rows, size=size)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise MissingError(f"there is no backup `{name[:64]}`")
        return self._folder / name

    def _of(self, path: Path) -> Backup:
        made = dt.datetime.strptime(path.name[9:27], "%Y%m%dT%H%M%S%f").replace(tzinfo=dt.UTC)
        return Backup(name=path.name, created=round(made.timestamp() * 1000), size=path.stat().st_size, state="done")
