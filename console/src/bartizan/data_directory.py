"""The data directory of a Console: who uses it, and the token that opens the one-time set-up."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bartizan import pki


class ConsoleError(Exception):
    """The Console cannot start; the message is for the person who started it."""


@contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Give the data directory, made with mode 0700 and locked against a second Console."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConsoleError(f"the data directory `{path}` cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConsoleError(f"another Console is running on the data directory `{path}`") from None
        yield path
    finally:
        os.close(descriptor)


def setup_token(path: Path) -> str:
    """Return the token of the one-time set-up; it stays the same over restarts, until it is used."""
    present = pki.read_private(path)
    if present is not None:
        return present.decode().strip()
    token = secrets.token_urlsafe(18)
    pki.write_atomically(path, token.encode() + b"\n")
    return token
