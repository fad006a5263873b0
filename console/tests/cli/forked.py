"""The command line in processes of its own, forked from one that has it loaded: real processes, ten times as many.

Run as a program this file is that one process. It reads a line of JSON for each command and answers with one.
"""

import gc
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bartizan.cli.failure import Failure
from bartizan.cli.main import app, main

MEMORY = 1 << 30
SECONDS = 20


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its exit code (negative: the signal), what it wrote, its CPU seconds and peak memory."""

    code: int
    output: bytes
    errors: str
    seconds: float
    memory: int


class Commands:
    """Runs commands, each bounded to 20 s of CPU and 1 GiB of memory, and bound by the modes of files even as root."""

    def __init__(self, server: subprocess.Popen[str], folder: Path) -> None:
        self._server = server
        self._folder = folder

    def run(
        self, folder: Path, *words: str, output: str | None = "", input_closed: bool = False, file_size: int = -1
    ) -> Done:
        """Run `bartizan WORDS` in a folder.

        `output` is a file that is standard output instead of the one whose content is returned; None closes it.
        No file may grow beyond `file_size` bytes, as on a disk that is full (RLIMIT_FSIZE).
        """
        out, errors = self._folder / "output", self._folder / "errors"
        request = {
            "words": words,
            "folder": str(folder),
            "output": str(out) if output == "" else output,
            "errors": str(errors),
            "inputClosed": input_closed,
            "fileSize": file_size,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        out.write_bytes(b"")
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code, seconds, memory = json.loads(self._server.stdout.readline())
        return Done(code, out.read_bytes(), errors.read_text(), seconds, memory)


@contextmanager
def commands(folder: Path) -> Iterator[Commands]:
    """Start the process that commands are forked from; `folder` is for what they write to the standard streams."""
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    with subprocess.Popen(
        [*unprivileged, sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield Commands(server, folder)


def _serve() -> None:
    # Refused, these have loaded what the commands need: once, rather than in each process.
    for command in (["generate-fargate-task"], ["embed-manifest"], ["embed", "--app-id", "x"]):
        with suppress(Failure):
            app(["app-embedded", *command, "--bundle", os.devnull, os.devnull])
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
            main()
            return
        _, status, used = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss << 10]) + "\n")
        sys.stdout.flush()


def _become(request: dict[str, Any]) -> None:
    """Turn this process into the one that was asked for."""
    os.chdir(request["folder"])
    sys.argv = ["bartizan", *request["words"]]
    os.dup2(os.open(request["errors"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    if request["output"] is None:
        os.close(1)
        sys.stdout = None
    else:
        os.dup2(os.open(request["output"], os.O_WRONLY), 1)
    if request["inputClosed"]:
        os.close(0)
        sys.stdin = None
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["fileSize"], request["fileSize"]))


if __name__ == "__main__":
    _serve()
