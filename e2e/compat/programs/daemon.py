"""Becomes a daemon the classic way (two forks, a session between), and sees whether it was adopted and is reaped."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def daemonise(told: int) -> None:
    """Run as a daemon: tell who the new parent is, then end."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    until(lambda: os.getppid() == 1)
    os.write(told, f"adopted by {os.getppid()}, session of its own {os.getsid(0) != os.getpid()}".encode())
    os._exit(0)


def until(condition: object) -> None:
    """Wait for it, at most ten seconds."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.01)


def zombies() -> list[str]:
    """Processes that ended and that nobody has waited for."""
    states = [path.read_text().rsplit(")", 1)[1].split()[0] for path in Path("/proc").glob("[0-9]*/stat")]
    return [state for state in states if state == "Z"]


def main() -> int:
    """Start twenty daemons; return 0."""
    for _ in range(20):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            daemonise(writing)
        os.close(writing)
        os.waitpid(child, 0)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
    until(lambda: not zombies())
    print(said, zombies())
    return 0


if __name__ == "__main__":
    sys.exit(main())
