"""A busybox image of our own, and a way to run tasks from it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bartizan.registry import File, ImageConfig, Link, write_image
from bartizan.runtask import Event, TaskRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECCOMP_PROFILE = Path(os.environ.get("BARTIZAN_SECCOMP_PROFILE", "/usr/share/containers/seccomp.json"))
DEADLINE = 20.0
_APPLETS = ("sh", "cat", "grep", "id", "ip", "kill", "ls", "mount", "nc", "sleep", "test", "touch", "unshare", "wget")


def container(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """Return a container definition that runs a shell script in the busybox image, both streams in one order."""
    return {"name": name, "image": "busybox", "entryPoint": ["/bin/sh", "-c", f"exec 2>&1; {script}"], **fields}


class Bench:
    """Runs tasks and keeps what they wrote and what happened to them."""

    def __init__(self, image: Path, cache: Path) -> None:
        self.cache = cache
        self.lines: list[tuple[str, str]] = []
        self.events: list[Event] = []
        self._image = image
        self._changed = asyncio.Condition()

    def task(self, *containers: dict[str, Any], volumes: list[dict[str, Any]] | None = None, **options: Any) -> TaskRun:
        """Return a task that is not entered yet."""
        definition = {"family": "test", "containerDefinitions": list(containers), "volumes": volumes or []}
        defaults: dict[str, Any] = {"network": "none", "health_scale": 0.01, "seccomp_profile": SECCOMP_PROFILE}
        return TaskRun(
            definition,
            images={"busybox": f"oci:{self._image}"},
            cache_dir=self.cache,
            on_log=lambda name, line: self._note(self.lines, (name, line)),
            on_event=lambda event: self._note(self.events, event),
            **{**defaults, **options},
        )

    def run(self, *containers: dict[str, Any], **options: Any) -> int:
        """Run a task to its end; returns its exit code."""

        async def whole() -> int:
            async with self.task(*containers, **options) as task:
                await task.start()
                return await task.wait()

        return self.drive(whole)

    def drive(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run a coroutine function within the deadline."""

        async def bounded() -> Any:
            return await asyncio.wait_for(work(), DEADLINE)

        return asyncio.run(bounded())

    async def line(self, name: str, text: str) -> None:
        """Wait until a container has written a line."""
        async with self._changed:
            await self._changed.wait_for(lambda: (name, text) in self.lines)

    def written(self, name: str) -> list[str]:
        """Return what a container has written."""
        return [line for writer, line in self.lines if writer == name]

    def happened(self) -> list[tuple[str, str]]:
        """(container, kind) of all events so far."""
        return [(event.container, event.kind) for event in self.events]

    def _note(self, where: list[Any], what: Any) -> None:
        where.append(what)
        self._notices = [task for task in getattr(self, "_notices", []) if not task.done()]
        self._notices.append(asyncio.get_running_loop().create_task(self._wake()))

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an OCI layout with busybox, two accounts and a volume with content at /data."""
    out = tmp_path_factory.mktemp("image") / "busybox"
    files = [
        File("/bin/busybox", 0o755, Path("/bin/busybox")),
        *(File(f"/bin/{name}", 0o777, Link("busybox")) for name in _APPLETS),
        File("/etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n"),
        File("/etc/group", 0o644, b"root:x:0:\napp:x:1234:\nextra:x:77:app\n"),
        File("/data/given", 0o644, b"from the image\n"),
    ]
    config = ImageConfig(cmd=("/bin/sh", "-c", "echo image cmd"), env=("FROM_IMAGE=yes",), volumes=("/data",))
    write_image(out, files=files, config=config, reference="busybox:1", architecture="amd64")
    return out


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where layers are unpacked, once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def bench(image: Path, cache: Path) -> Bench:
    """Give a bench for one test."""
    return Bench(image, cache)
