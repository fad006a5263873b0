"""Reading what the user names and writing what they asked for; `-` is standard input or output."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from bartizan.cli.failure import Failure


def read_text(name: str) -> str:
    """Return a file's text with its line ends as they are. Raises Failure."""
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return content.decode()
    except OSError as error:
        raise Failure(f"`{name}` cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Failure(f"`{name}` is not UTF-8 text: byte {error.start}") from None


def write_text(name: str, text: str) -> None:
    """Write a file whole or not at all; an existing one keeps its mode. Raises Failure."""
    write_bytes(name, text.encode())


def write_bytes(name: str, content: bytes, *, mode: int | None = None) -> None:
    """Write a file whole or not at all; without a `mode` an existing one keeps its own. Raises Failure."""
    if name == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        if mode is None:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise Failure(f"`{name}` cannot be written: {error.strerror}") from None
