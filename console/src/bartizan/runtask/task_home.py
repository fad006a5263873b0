"""The directory of one run of a task, locked while its runner lives; what dead runners left is found by its lock."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from bartizan.runtask.container import delete_container
from bartizan.runtask.network import remove_network
from bartizan.runtask.rootfs import unmount_below


@dataclass(frozen=True, slots=True)
class TaskHome:
    """`path` holds all files of the run; `lock` is an open, locked descriptor: the kernel frees it when we die."""

    task: str
    path: Path
    lock: int

    @classmethod
    def make(cls, cache: Path) -> TaskHome:
        """Make and lock the directory of a new run under `cache`."""
        task = secrets.token_hex(4)
        path = _runs(cache) / task
        # Only a locked directory gets a name under which others look for stale ones.
        new = path.with_name(f".{task}")
        new.mkdir(mode=0o700, parents=True)
        home = cls(task, path, _open_lock(new))
        fcntl.flock(home.lock, fcntl.LOCK_EX)
        new.rename(path)
        for directory in (home.runc, path / "containers", path / "volumes"):
            directory.mkdir(mode=0o755)
        return home

    @property
    def runc(self) -> Path:
        """Runc's state directory."""
        return self.path / "runc"

    def identity(self, name: str) -> str:
        """Return the name that runc knows a container by."""
        return f"bartizan-{self.task}-{name}"

    def container(self, name: str) -> Path:
        """Return the directory of a container, made when missing."""
        path = self.path / "containers" / name
        path.mkdir(exist_ok=True)
        return path

    def volume(self, key: str) -> Path:
        """Return the directory of a volume with a key of any characters."""
        return self.path / "volumes" / hashlib.sha256(key.encode()).hexdigest()[:16]

    async def remove(self) -> None:
        """Remove the run: containers, mounts, network, cgroups, files."""
        await _remove(self.path)
        os.close(self.lock)


async def remove_stale(cache: Path) -> None:
    """Remove all runs under `cache` whose runner is dead."""
    for path in _children(_runs(cache)):
        try:
            lock = _open_lock(path)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await _remove(path)
        except BlockingIOError:
            pass  # its runner lives
        finally:
            os.close(lock)


async def _remove(path: Path) -> None:
    runc = path / "runc"
    for container in _children(runc):
        await delete_container(("runc", "--root", str(runc)), container.name)
    await unmount_below(path)
    await remove_network(path.name)
    _remove_cgroups(f"bartizan-{path.name}")
    # The lock goes last: until then a run that was cut short here is found again.
    for part in _children(path):
        if part.name != "lock":
            await asyncio.to_thread(shutil.rmtree, part)
    await asyncio.to_thread(shutil.rmtree, path)


def _runs(cache: Path) -> Path:
    return cache.absolute() / "tasks"


def _children(path: Path) -> list[Path]:
    return sorted(path.glob("[!.]*")) if path.is_dir() else []


def _remove_cgroups(name: str) -> None:
    """Remove the empty parents that runc leaves, in each hierarchy."""
    root = Path("/sys/fs/cgroup")
    for parent in [root / name, *(entry / name for entry in root.iterdir() if entry.is_dir())]:
        with contextlib.suppress(OSError):
            parent.rmdir()


def _open_lock(path: Path) -> int:
    return os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
