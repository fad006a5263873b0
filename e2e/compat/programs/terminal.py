"""Gives a command a terminal and plays a user's session with it: `terminal.py COMMAND…` (an interactive bash).

Each step waits for what the shell must have said before the next one is typed. Prints one line per step.
"""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from pathlib import Path

CTRL_C, CTRL_Z, CTRL_BACKSLASH = "\x03", "\x1a", "\x1c"
JOB = Path(__file__).with_name("job.py")
PROMPT = r"READY\d+> $"
# What is typed, and what must come of it.
SESSION = [
    ("PS1='READY\\#> '\n", PROMPT),
    ("tty >/dev/null && stty size >/dev/null && echo a $((1+1)) terminal\n", r"a 2 terminal\r\n.*" + PROMPT),
    (f"python3 {JOB}\n", r"in front\r\n"),
    (CTRL_Z, r"\[1\]\+\s+Stopped.*" + PROMPT),
    ("bg\n", r"(?=.*behind)(?=.*READY\d+> )"),
    ("jobs\n", r"\[1\]\+\s+Running.*" + PROMPT),
    ("fg\n", r"in front\r\n"),
    (CTRL_C, PROMPT),
    ("echo status $?\n", r"status 130\r\n.*" + PROMPT),
    ("sh -c 'echo up$((1)); cat' | cat\n", r"up1\r\n"),
    ("hello\n", r"hello\r\nhello\r\n"),
    (CTRL_BACKSLASH, r"Quit.*" + PROMPT),
    ("sleep 2000 &\n", r"\[1\] \d+\r\n.*" + PROMPT),
    # Whether bash says `Terminated`, too, depends on when it notices.
    ("kill %1; wait %1; echo ended $?\n", r"ended 143\r\n.*" + PROMPT),
    ("trap 'echo noted' WINCH; kill -WINCH $$\n", r"noted.*" + PROMPT),
    ("exit 33\n", r"exit"),
]
DEADLINE_SECONDS = 20.0


def main(command: list[str]) -> int:
    """Play the session; return the command's own exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    for typed, expected in SESSION:
        os.write(terminal, typed.encode())
        print(repr(typed), "ok" if heard(terminal, expected) else "", flush=True)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def heard(terminal: int, expected: str) -> bool:
    """Read until what was said ends as expected.

    Raises:
        SystemExit: it did not in time.
    """
    said, end = "", time.monotonic() + DEADLINE_SECONDS
    while not re.search(expected, said, re.DOTALL):
        if not select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]:
            raise SystemExit(f"waited for {expected!r}, heard {said!r}")
        try:
            said += os.read(terminal, 4096).decode(errors="replace")
        except OSError as error:  # EIO: the other side is closed
            raise SystemExit(f"waited for {expected!r}, heard {said!r}, then {error}") from error
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
