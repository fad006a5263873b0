"""Reading what the user names and writing what they asked for; `-` is standard input or output."""

import codecs
import contextlib
import errno
import os
import sys
import tempfile
from pathlib import Path

from bartizan.cli.failure import Failure

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(name: str) -> str:
    """Return the text of a Dockerfile or a manifest, as `read_text` does, of which less is read."""
    from bartizan.embed.limits import LARGEST_LINES  # noqa: PLC0415 - keeps `--help` quick

    return read_text(name, largest=LARGEST_LINES)


def read_text(name: str, *, largest: int | None = None) -> str:
    """Return a file's text with its line ends as they are. Raises Failure, also for more than `largest` bytes."""
    from bartizan.embed.limits import LARGEST_DEFINITION  # noqa: PLC0415 - keeps `--help` quick

    content = read_bytes(name, largest=largest or LARGEST_DEFINITION)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Failure(f"`{name}` is not UTF-8 text: {_fault(content, error)}") from None


def read_bytes(name: str, *, largest: int) -> bytes:
    """Return what is in a file. Raises Failure, also for more than `largest` bytes."""
    try:
        if name == "-":
            content = sys.stdin.buffer.read(largest + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(largest + 1)
    except OSError as error:
        raise Failure(f"`{name}` cannot be read: {error.strerror}") from None
    except ValueError:
        raise Failure(f"`{name}` cannot be read: its name holds a NUL character") from None
    if len(content) > largest:
        raise Failure(
            f"`{name}` is larger than the {largest:,} bytes that are read: give a smaller file, or parts of it"
        )
    return content


def _fault(content: bytes, error: UnicodeDecodeError) -> str:
    if content.startswith(_UTF16):
        return "it is UTF-16: save it as UTF-8"
    before = content[: error.start]
    line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode()) + 1
    return f"line {line}, column {column} holds the byte 0x{content[error.start]:02X}: save it as UTF-8"


def write_text(name: str, text: str) -> None:
    """Write a file whole or not at all; an existing one keeps its mode. Raises Failure."""
    write_bytes(name, text.encode())


def write_bytes(name: str, content: bytes, *, mode: int | None = None) -> None:
    """Write a file whole or not at all; without a `mode` an existing one keeps its own. Raises Failure.

    A link stays a link: the file it leads to is written. What is no file (a device, a pipe) is written to, never
    replaced.
    """
    if name == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                file.write(content)
        else:
            _replace(path.resolve() if path.is_symlink() else path, content, mode)
    except OSError as error:
        raise Failure(f"`{name}` cannot be written: {error.strerror}") from None


def _replace(path: Path, content: bytes, mode: int | None) -> None:
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".bartizan.")
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
