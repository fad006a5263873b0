"""A task from its definition to its end: everything it needs is made, started in order, watched, and taken away."""

from __future__ import annotations

import asyncio
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bartizan.registry import Image, open_image
from bartizan.runtask import network as networks
from bartizan.runtask.container import Event, Executed, RunningContainer
from bartizan.runtask.definition import Condition, Container, TaskDefinition, parse_definition
from bartizan.runtask.errors import TaskError
from bartizan.runtask.oci_bundle import Bind, Bundle, runtime_config
from bartizan.runtask.plan import ContainerPlan, ImageVolume, PlannedMount, TaskVolume, plan_task
from bartizan.runtask.rootfs import account_files, copy_up, image_directories, mount_root
from bartizan.runtask.seccomp import Host, resolve_seccomp
from bartizan.runtask.task_home import TaskHome, remove_stale
from bartizan.runtask.users import resolve_user

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from types import TracebackType

    from bartizan.runtask.network import Network

HOST_NAME = "host.bartizan.internal"
"""The name by which the containers of a task reach this machine (Docker has `host.docker.internal`)."""


class TaskRun:
    """One run of a task definition.

    `images` maps the definition's image references to sources for `open_image`; a reference that is not in it is looked
    for in its registry. `secrets` maps a secret's name or `valueFrom` to its value. `health_scale` multiplies the times
    of health checks. The network namespace exists from `__aenter__` on, so that servers can be put into it; leaving the
    context stops and removes everything.
    """

    def __init__(  # noqa: PLR0913 - what a run needs, each named
        self,
        definition: Mapping[str, object],
        *,
        images: Mapping[str, str],
        seccomp_profile: Path,
        cache_dir: Path,
        secrets: Mapping[str, str] | None = None,
        network: networks.Kind = "task",
        name_server: str | None = None,
        health_scale: float = 1.0,
        opener: Callable[[str], Image] = open_image,
        on_log: Callable[[str, str], None] = lambda _container, _line: None,
        on_event: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._definition: TaskDefinition = parse_definition(dict(definition))
        self._images = images
        self._secrets = secrets or {}
        self._kind: networks.Kind = network
        self._name_server = name_server
        self._profile = seccomp_profile
        self._cache = cache_dir
        self._scale = health_scale
        self._open = opener
        self._on_log = on_log
        self._on_event = on_event
        self._home: TaskHome | None = None
        self._network: Network | None = None
        self._plans: tuple[ContainerPlan, ...] = ()
        self._containers: dict[str, RunningContainer] = {}
        self._ended = asyncio.Event()
        self._first_exit: int | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Make the network namespace. Raises `TaskError`; then nothing is left behind."""
        await remove_stale(self._cache)
        self._home = TaskHome.make(self._cache)
        try:
            self._network = await networks.make_network(self._kind, self._home.task)
        except BaseException:
            await self._home.remove()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and remove everything."""
        await asyncio.shield(self._close())

    @property
    def address(self) -> str:
        """The task's own address."""
        return self._made_network().address

    @property
    def host_address(self) -> str:
        """The address under which the task reaches this machine."""
        return self._made_network().host_address

    @property
    def namespace(self) -> str:
        """The path of the network namespace, for `nsenter --net=PATH`."""
        return self._made_network().namespace

    async def start(self) -> None:
        """Make the containers and start them in order; returns when all are started.

        Raises `TaskError` (or `ImageError` for an image) when one cannot be, or when one that others wait for fails.
        """
        await self._prepare()
        essential = {plan.container.name for plan in self._plans if plan.container.essential}
        self._watchers = [
            asyncio.create_task(self._watch(container, essential=name in essential))
            for name, container in self._containers.items()
        ]
        starts = [asyncio.create_task(self._start(plan)) for plan in self._plans]
        ended = asyncio.create_task(self._ended.wait())
        try:
            pending = set(starts)
            while pending and not ended.done():
                done, _ = await asyncio.wait({*pending, ended}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {ended}:
                    task.result()
                pending = {task for task in pending if not task.done()}
        finally:
            for task in (*starts, ended):
                task.cancel()
            await asyncio.gather(*starts, ended, return_exceptions=True)

    async def wait(self) -> int:
        """Wait until the task has ended; returns the exit code of the first essential container that did."""
        await self._ended.wait()
        await self._stop_all()
        return self._exit_code()

    async def stop(self) -> int:
        """Stop all containers in reverse order, each within its `stopTimeout`; returns the task's exit code."""
        await self._stop_all()
        return self._exit_code()

    def pid(self, name: str) -> int:
        """Return the id, on this machine, of a container's first process. Raises `TaskError` before the start."""
        pid = self._container(name).pid
        if pid is None:
            raise TaskError(f"container `{name}` is not started yet")
        return pid

    def exit_code(self, name: str) -> int | None:
        """Return a container's exit code, None while it runs."""
        return self._container(name).exit_code

    async def exec(self, name: str, argv: Sequence[str], *, seconds: float | None = None) -> Executed:
        """Run a program inside a container and return its exit code and output. Raises `TaskError`."""
        return await self._container(name).execute(argv, seconds=seconds)

    async def signal(self, name: str, signal_name: str) -> None:
        """Send a signal such as `SIGHUP` to a container's first process."""
        await self._container(name).send_signal(signal_name)

    async def wait_exit(self, name: str) -> int:
        """Wait until a container has ended; returns its exit code."""
        container = self._container(name)
        await container.exited.wait()
        return container.exit_code or 0

    async def wait_healthy(self, name: str) -> None:
        """Wait until a container's health check has succeeded. Raises `TaskError` when the container ends before."""
        container = self._container(name)
        await _first(container.healthy.wait(), container.exited.wait())
        if not container.healthy.is_set():
            raise TaskError(f"container `{name}` ended with exit code {container.exit_code} before it was healthy")

    async def _prepare(self) -> None:
        home = self._made_home()
        images = await asyncio.to_thread(self._open_images)
        configs = {container.name: images[container.image].config for container in self._definition.containers}
        self._plans = plan_task(self._definition, images=configs, secrets=self._secrets)
        profile = self._read_profile()
        roots: dict[str, Path] = {}
        for plan in self._plans:
            layers = await asyncio.to_thread(image_directories, images[plan.container.image], self._cache)
            roots[plan.container.name] = await mount_root(home.container(plan.container.name), layers)
        for plan in self._plans:
            await self._fill_volumes(plan, roots[plan.container.name])
        for plan in self._plans:
            self._write_bundle(plan, roots[plan.container.name], profile)
            self._containers[plan.container.name] = self._runner(plan.container.name)

    def _open_images(self) -> dict[str, Image]:
        references = {container.image for container in self._definition.containers}
        return {reference: self._open(self._images.get(reference, reference)) for reference in sorted(references)}

    def _read_profile(self) -> object:
        try:
            return json.loads(self._profile.read_bytes())
        except (OSError, ValueError) as cause:
            raise TaskError(f"seccomp profile `{self._profile}` cannot be read: {cause}") from None

    async def _fill_volumes(self, plan: ContainerPlan, root: Path) -> None:
        for mount in plan.mounts:
            source = self._volume_source(mount)
            if not source.exists():
                source.mkdir(parents=True)
            own = not isinstance(mount.volume, ImageVolume) or mount.volume.container == plan.container.name
            if own and not self._is_host_volume(mount):
                await copy_up(root, mount.path, source)

    def _is_host_volume(self, mount: PlannedMount) -> bool:
        return isinstance(mount.volume, TaskVolume) and self._host_path(mount.volume.name) is not None

    def _volume_source(self, mount: PlannedMount) -> Path:
        if isinstance(mount.volume, TaskVolume):
            host = self._host_path(mount.volume.name)
            return Path(host) if host is not None else self._made_home().volume(f"task {mount.volume.name}")
        return self._made_home().volume(f"image {mount.volume.container} {mount.volume.path}")

    def _host_path(self, name: str) -> str | None:
        return next((volume.host_path for volume in self._definition.volumes if volume.name == name), None)

    def _write_bundle(self, plan: ContainerPlan, root: Path, profile: object) -> None:
        home, network = self._made_home(), self._made_network()
        directory = home.container(plan.container.name)
        hostname = f"{plan.container.name[:50]}-{home.task}".lower().replace("_", "-")
        binds = [Bind(str(self._volume_source(m)), m.path, m.read_only) for m in plan.mounts]
        binds += self._write_etc(directory, hostname)
        passwd, group = account_files(root)
        bundle = Bundle(
            plan=plan,
            user=resolve_user(plan.user, passwd=passwd, group=group),
            root=str(root),
            hostname=hostname,
            namespace=None if network.kind == "host" else network.namespace,
            binds=tuple(binds),
            seccomp=resolve_seccomp(profile, capabilities=plan.capabilities, host=_this_host()),
            cgroup=f"/bartizan-{home.task}/{plan.container.name}",
        )
        path = directory / "config.json"
        path.touch(mode=0o600)  # it holds the values of secrets
        path.write_text(json.dumps(runtime_config(bundle)))

    def _write_etc(self, directory: Path, hostname: str) -> list[Bind]:
        address = self.address
        machine = "" if self._kind == "none" else f"{self.host_address} {HOST_NAME}\n"
        if self._name_server is not None:
            resolver = f"nameserver {self._name_server}\n"
        else:
            host = Path("/etc/resolv.conf")
            resolver = host.read_text() if host.is_file() else ""
        contents = {
            "resolv.conf": resolver,
            "hosts": f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{address} {hostname}\n{machine}",
            "hostname": f"{hostname}\n",
        }
        for name, content in contents.items():
            (directory / name).write_text(content)
        return [Bind(str(directory / name), f"/etc/{name}", read_only=False) for name in contents]

    def _runner(self, name: str) -> RunningContainer:
        home = self._made_home()
        return RunningContainer(
            name=name,
            identity=home.identity(name),
            home=home.container(name),
            runc_root=home.runc,
            on_log=self._on_log,
            on_event=self._on_event,
        )

    async def _start(self, plan: ContainerPlan) -> None:
        for dependency in plan.container.depends_on:
            await self._wait_for(plan.container, dependency.container, dependency.condition)
        container = self._containers[plan.container.name]
        await container.start()
        if plan.container.health_check is not None:
            container.watch_health(plan.container.health_check, scale=self._scale)

    async def _wait_for(self, waiting: Container, name: str, condition: Condition) -> None:
        other = self._containers[name]
        if condition is Condition.START:
            await _first(other.started.wait(), other.exited.wait())
        elif condition is Condition.HEALTHY:
            await _first(other.healthy.wait(), other.unhealthy.wait(), other.exited.wait())
            if not other.healthy.is_set():
                raise TaskError(f"container `{waiting.name}` cannot be started: `{name}` never was healthy")
        else:
            await other.exited.wait()
            if condition is Condition.SUCCESS and other.exit_code != 0:
                raise TaskError(
                    f"container `{waiting.name}` cannot be started: `{name}` ended with exit code {other.exit_code}"
                )

    async def _watch(self, container: RunningContainer, *, essential: bool) -> None:
        await container.exited.wait()
        if essential and self._first_exit is None and container.started.is_set():
            self._first_exit = container.exit_code
            self._ended.set()

    async def _stop_all(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop_in_order())
        await asyncio.shield(self._stopping)

    async def _stop_in_order(self) -> None:
        """Stop each container when all that depend on it have ended; independent ones at the same time."""
        stopped = {plan.container.name: asyncio.Event() for plan in self._plans}

        async def stop(plan: ContainerPlan) -> None:
            name = plan.container.name
            for other in self._plans:
                if any(dependency.container == name for dependency in other.container.depends_on):
                    await stopped[other.container.name].wait()
            await self._containers[name].stop(stop_signal=plan.stop_signal, seconds=plan.container.stop_timeout)
            stopped[name].set()

        if self._containers:
            await asyncio.gather(*(stop(plan) for plan in self._plans))
        self._ended.set()

    def _exit_code(self) -> int:
        if self._first_exit is not None:
            return self._first_exit
        codes = [self._containers[p.container.name].exit_code for p in self._plans if p.container.essential]
        return next((code for code in codes if code is not None), 0)

    async def _close(self) -> None:
        try:
            for container in self._containers.values():
                await container.remove()
            for watcher in self._watchers:
                watcher.cancel()
            await asyncio.gather(*self._watchers, return_exceptions=True)
        finally:
            if self._home is not None:
                await self._home.remove()

    def _container(self, name: str) -> RunningContainer:
        if name not in self._containers:
            raise TaskError(f"the task has no container `{name}` that was started")
        return self._containers[name]

    def _made_home(self) -> TaskHome:
        if self._home is None:
            raise TaskError("the task has not been entered: use `async with`")
        return self._home

    def _made_network(self) -> Network:
        if self._network is None:
            raise TaskError("the task has not been entered: use `async with`")
        return self._network


def _this_host() -> Host:
    major, minor = platform.release().split(".")[:2]
    return Host(platform.machine(), (int(major), int("".join(c for c in minor if c.isdigit()) or 0)))


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Wait for the first of several coroutines; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
