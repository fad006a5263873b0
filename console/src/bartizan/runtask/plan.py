"""What each container of a task will be, from its definition and its image's configuration (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bartizan.runtask.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bartizan.registry import ImageConfig
    from bartizan.runtask.definition import Container, TaskDefinition

DEFAULT_CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
"""Docker's defaults (moby `oci/caps/defaults.go`)."""

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class TaskVolume:
    """A volume of the task definition."""

    name: str


@dataclass(frozen=True, slots=True)
class ImageVolume:
    """A volume that the image of `container` declares at `path`."""

    container: str
    path: str


@dataclass(frozen=True, slots=True)
class PlannedMount:
    """A volume at an absolute path of one container."""

    volume: TaskVolume | ImageVolume
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """All that is decided before anything is made; `user` is still a name, as only the root file system knows it."""

    container: Container
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    user: str
    working_directory: str
    capabilities: tuple[str, ...]
    mounts: tuple[PlannedMount, ...]
    stop_signal: str


def plan_task(
    definition: TaskDefinition, *, images: Mapping[str, ImageConfig], secrets: Mapping[str, str]
) -> tuple[ContainerPlan, ...]:
    """Plan every container, in an order in which each comes after those that it depends on.

    `images` has the configuration for each container's name; `secrets` maps a secret's name or
    `valueFrom` to its value.
    Raises `TaskError` for a cycle, a missing secret, a container without a program.
    """
    ordered = start_order(definition)
    by_name = {container.name: container for container in ordered}
    return tuple(_plan(container, by_name, images, secrets) for container in ordered)


def start_order(definition: TaskDefinition) -> tuple[Container, ...]:
    """Containers, each after those it needs, else in the file's order. Raises `TaskError` for a cycle."""
    by_name = {container.name: container for container in definition.containers}
    done: dict[str, Container] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in path:
            circle = " → ".join((*path[path.index(name) :], name))
            raise TaskError(f"containers wait for each other in a circle: {circle}: remove one `dependsOn`")
        for other in _needs(by_name[name]):
            visit(other, (*path, name))
        done[name] = by_name[name]

    for container in definition.containers:
        visit(container.name, ())
    return tuple(done.values())


def arguments(container: Container, image: ImageConfig) -> tuple[str, ...]:
    """Docker's rule: the image's CMD counts only when the task sets neither `entryPoint` nor `command`."""
    entry_point = image.entrypoint if container.entry_point is None else container.entry_point
    image_command = image.cmd if container.entry_point is None else ()
    command = image_command if container.command is None else container.command
    if not (*entry_point, *command):
        raise TaskError(f"container `{container.name}` has no program: set `entryPoint`, as its image has none")
    return (*entry_point, *command)


def capabilities(container: Container) -> tuple[str, ...]:
    """Docker's default set, plus `add`, minus `drop`, as sorted `CAP_` names; `ALL` in `drop` empties the default."""
    add = {_capability(name) for name in container.capabilities_add}
    drop = {_capability(name) for name in container.capabilities_drop}
    if "CAP_ALL" in add:
        raise TaskError(f"container `{container.name}` adds capability `ALL`: name those that it needs")
    base = set() if "CAP_ALL" in drop else set(DEFAULT_CAPABILITIES) - drop
    return tuple(sorted(base | (add - drop)))


def _plan(
    container: Container,
    by_name: Mapping[str, Container],
    images: Mapping[str, ImageConfig],
    secrets: Mapping[str, str],
) -> ContainerPlan:
    image = images[container.name]
    return ContainerPlan(
        container=container,
        arguments=arguments(container, image),
        environment=_environment(container, image, secrets),
        user=container.user or image.user,
        working_directory=container.working_directory or image.working_dir or "/",
        capabilities=capabilities(container),
        mounts=_mounts(container, by_name, images),
        stop_signal=image.stop_signal or "SIGTERM",
    )


def _environment(container: Container, image: ImageConfig, secrets: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    merged: dict[str, str] = {"PATH": _DEFAULT_PATH}
    for line in image.env:
        name, _, merged[name] = line.partition("=")
    merged |= dict(container.environment)
    for secret in container.secrets:
        value = secrets[secret.name] if secret.name in secrets else secrets.get(secret.value_from)
        if value is None:
            raise TaskError(
                f"container `{container.name}` wants secret `{secret.name}` from `{secret.value_from}`: "
                "give its value under one of these names"
            )
        if "\0" in value:
            raise TaskError(f"the value of secret `{secret.name}` holds NUL: environment variables cannot")
        merged[secret.name] = value
    return tuple(merged.items())


def _mounts(
    container: Container, by_name: Mapping[str, Container], images: Mapping[str, ImageConfig]
) -> tuple[PlannedMount, ...]:
    """Later ones win at the same path: image volumes, then `volumesFrom`, then `mountPoints`; parents come first."""
    at: dict[str, PlannedMount] = {mount.path: mount for mount in _own_volumes(container, images)}
    for source in container.volumes_from:
        for mount in _mounts(by_name[source.container], by_name, images):
            at[mount.path] = PlannedMount(mount.volume, mount.path, mount.read_only or source.read_only)
    for point in container.mount_points:
        path = _clean(point.path)
        at[path] = PlannedMount(TaskVolume(point.volume), path, point.read_only)
    return tuple(at[path] for path in sorted(at))


def _own_volumes(container: Container, images: Mapping[str, ImageConfig]) -> Iterator[PlannedMount]:
    for volume in images[container.name].volumes:
        path = _clean(volume)
        if path == "/" or ".." in path.split("/"):
            raise TaskError(
                f"the image of container `{container.name}` has a volume at `{volume}`, which cannot be one"
            )
        yield PlannedMount(ImageVolume(container.name, path), path, read_only=False)


def _needs(container: Container) -> Iterator[str]:
    for dependency in container.depends_on:
        yield dependency.container
    for source in container.volumes_from:
        yield source.container


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper.startswith("CAP_") else f"CAP_{upper}"


def _clean(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
