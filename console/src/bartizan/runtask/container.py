"""One running container: started, watched, asked for its health, stopped; all through runc."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bartizan.runtask.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from bartizan.runtask.definition import HealthCheck

_LONGEST_LINE = 64 << 10
_POLL = 0.005


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a container: `started`, `healthy`, `unhealthy`, `stopping`, `exited`."""

    container: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Executed:
    """The end of a program run inside a container."""

    exit_code: int
    output: bytes


class RunningContainer:
    """A container whose bundle is ready in `home`; `runc_root` is the state directory of the task's runc.

    `name` is the definition's, `identity` runc's. `started`, `exited` and `healthy` are set once each.
    """

    def __init__(
        self,
        *,
        name: str,
        identity: str,
        home: Path,
        runc_root: Path,
        on_log: Callable[[str, str], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self.name = name
        self.started = asyncio.Event()
        self.exited = asyncio.Event()
        self.healthy = asyncio.Event()
        self.unhealthy = asyncio.Event()
        self.exit_code: int | None = None
        self.pid: int | None = None
        self._identity = identity
        self._home = home
        self._runc = ("runc", "--root", str(runc_root))
        self._on_log = on_log
        self._on_event = on_event
        self._starting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the container; returns when its program has been executed. Raises `TaskError` when it cannot be.

        A start that has begun goes on when the caller is cancelled: half a container could not be removed.
        """
        self._starting = asyncio.create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        pid_file, log = self._home / "pid", self._home / "runc.log"
        process = await asyncio.create_subprocess_exec(
            *self._runc,
            *("--log", str(log), "--log-format", "json"),
            *("run", "--bundle", str(self._home), "--pid-file", str(pid_file), self._identity),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._keep(self._watch(process), "watch")
        while not self._has_started():
            if self.exited.is_set():
                raise TaskError(f"container `{self.name}` cannot be started: {_last_error(log)}")
            await asyncio.sleep(_POLL)

    def _has_started(self) -> bool:
        """Look for the file that runc puts there once the program has been executed, and note the start."""
        pid_file = self._home / "pid"
        if not self.started.is_set() and pid_file.exists():
            self.pid = int(pid_file.read_text())
            self.started.set()
            self._event("started", f"pid {self.pid}")
        return self.started.is_set()

    def watch_health(self, check: HealthCheck, *, scale: float) -> None:
        """Begin to ask for the container's health; `scale` is what the check's times are multiplied with."""
        self._keep(self._health(check, scale), "health")

    async def execute(self, argv: Sequence[str], *, seconds: float | None = None) -> Executed:
        """Run a program inside the container, as its user; after `seconds` it is killed. Raises `TaskError`."""
        await self._settle()
        if self.exited.is_set() or not self.started.is_set():
            raise TaskError(f"container `{self.name}` does not run: nothing can be executed in it")
        pid_file = self._home / f"exec-{time.monotonic_ns()}"
        process = await asyncio.create_subprocess_exec(
            *self._runc,
            *("exec", "--pid-file", str(pid_file), self._identity, *argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), seconds)
        except BaseException as cause:
            _kill_from(pid_file)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(cause, TimeoutError):
                return Executed(128 + signal.SIGKILL, b"timed out")
            raise
        finally:
            pid_file.unlink(missing_ok=True)
        return Executed(process.returncode or 0, output)

    async def stop(self, *, stop_signal: str, seconds: float) -> None:
        """Ask the container to end, and end it after `seconds`; returns when it has."""
        await self._settle()
        if not self.started.is_set():
            return
        if not self.exited.is_set():
            self._event("stopping", stop_signal)
            await self.send_signal(stop_signal)
            try:
                await asyncio.wait_for(self.exited.wait(), seconds)
            except TimeoutError:
                await self.send_signal("SIGKILL")
        await self.exited.wait()

    async def remove(self) -> None:
        """Kill what still runs and make runc forget the container."""
        await self._settle()
        await delete_container(self._runc, self._identity)
        for task in self._tasks:
            if task.get_name() == "health":
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _settle(self) -> None:
        """Wait until a start that has begun has come to its end, good or bad."""
        if self._starting is not None:
            await asyncio.wait({self._starting})

    async def send_signal(self, name: str) -> None:
        """Send a signal, such as `SIGHUP`, to the container's first process; one that has ended gets none."""
        process = await asyncio.create_subprocess_exec(
            *self._runc, "kill", self._identity, name, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        await process.wait()  # a container that has just ended cannot be signalled: no error

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            await self._read_log(process.stdout)
        code = await process.wait()
        self.exit_code = code if code >= 0 else 128 - code
        started = self._has_started()  # a program may have ended before anyone looked
        self.exited.set()
        if started:
            self._event("exited", f"exit code {self.exit_code}")

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(_LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._on_log(self.name, line.decode(errors="replace").removesuffix("\r"))
        if rest:
            self._on_log(self.name, rest.decode(errors="replace"))

    async def _health(self, check: HealthCheck, scale: float) -> None:
        argv = ("/bin/sh", "-c", *check.command) if check.shell else check.command
        begun = time.monotonic()
        failures = 0
        while not self.exited.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.exited.wait(), check.interval * scale)
                return
            try:
                done = await self.execute(argv, seconds=max(check.timeout * scale, 1.0))
            except TaskError:
                return
            if done.exit_code == 0:
                failures = 0
                if not self.healthy.is_set():
                    self.healthy.set()
                    self.unhealthy.clear()
                    self._event("healthy", "")
            elif self.healthy.is_set() or time.monotonic() - begun > check.start_period * scale:
                failures += 1
                if failures == check.retries:
                    self.healthy.clear()
                    self.unhealthy.set()
                    self._event("unhealthy", done.output.decode(errors="replace")[-200:].strip())

    def _keep(self, work: Coroutine[object, object, None], name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _event(self, kind: str, detail: str) -> None:
        self._on_event(Event(self.name, kind, detail))


async def delete_container(runc: Sequence[str], identity: str) -> None:
    """Kill and forget a container; one that runc does not know is no error."""
    process = await asyncio.create_subprocess_exec(
        *runc,
        *("delete", "--force", identity),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    await process.wait()


def _last_error(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
        return str(json.loads(lines[-1])["msg"])
    except (OSError, ValueError, LookupError, TypeError):
        return "runc gave no reason"


def _kill_from(pid_file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
