"""Files that hold secrets: mode 0600 from their first byte, written whole or not at all."""

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
_KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class LooseModeError(Exception):
    """A secret file that others can read or write."""


def write_atomically(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Write a file with `mode` from the start, so that after a crash either the old or the new one is there."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_private(path: Path) -> bytes | None:
    """
    Return a secret file's bytes, or None when there is none.

    Raises LooseModeError when others than the owner may use it: then it may have been read or replaced already.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        mode = stat.S_IMODE(status.st_mode)
        if mode & _OTHERS or status.st_uid not in (0, os.geteuid()):
            raise LooseModeError(
                f"`{path}` has mode {mode:04o} and belongs to user {status.st_uid}: others could use this secret; "
                f"make sure that nobody did, then run `chmod 600 {path}`"
            )
        return file.read()


def key_file(path: Path) -> tuple[bytes, bool]:
    """
    Return the key of a file, and whether it was made just now because it was missing.

    Raises ValueError for a damaged file, LooseModeError for one that others can read.
    """
    key = read_private(path)
    if key is None:
        key = secrets.token_bytes(_KEY_BYTES)
        write_atomically(path, key)
        return key, True
    if len(key) != _KEY_BYTES:
        raise ValueError(f"`{path}` is damaged: it has to hold {_KEY_BYTES} bytes")
    return key, False
