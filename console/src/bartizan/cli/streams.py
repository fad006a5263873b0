"""The standard streams when they are closed, or lead to a disk that is full."""

import errno
import os
import sys

_OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def open_closed_streams() -> None:
    """Open what the caller closed (`>&-`), so that to use it is an error like others, and no file takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # The wrong way round: reading what can only be written, and the reverse, fails with EBADF (read(2)).
            descriptor = os.open(os.devnull, os.O_WRONLY if number == 0 else os.O_RDONLY)
            setattr(sys, name, os.fdopen(descriptor, "r" if number == 0 else "w", closefd=False))


def is_of_output(error: OSError) -> bool:
    """Return whether an error can only be that standard output takes no more: it names no file."""
    return error.errno in _OUTPUT_ERRORS and error.filename is None


def drop_output() -> None:
    """Forget what standard output still holds: it cannot be written, and the interpreter would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
