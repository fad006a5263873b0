"""A native ECS task definition, parsed into types that cannot be wrong (pure).

Only what `run-task` gives a meaning to is kept; other fields are ignored, as ECS agents of another age would do.
Names and rules: Amazon ECS API reference, "RegisterTaskDefinition" and "ContainerDefinition".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from bartizan.runtask.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MOST_CONTAINERS = 64


class Condition(Enum):
    """What a dependency waits for (ECS `ContainerDependency`)."""

    START = "START"
    COMPLETE = "COMPLETE"
    SUCCESS = "SUCCESS"
    HEALTHY = "HEALTHY"


@dataclass(frozen=True, slots=True)
class Dependency:
    """`dependsOn`: the other container, and the state in which it must be."""

    container: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """ECS health check; `command` is an argument list (CMD) or one shell line (CMD-SHELL); times in seconds."""

    command: tuple[str, ...]
    shell: bool
    interval: float
    timeout: float
    retries: int
    start_period: float


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A task volume seen at an absolute path of the container."""

    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class VolumesFrom:
    """All volumes of another container, at the same paths."""

    container: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """A tmpfs of `size` MiB."""

    path: str
    size: int
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Secret:
    """An environment variable whose value is looked up by `name` or `value_from`."""

    name: str
    value_from: str


@dataclass(frozen=True, slots=True)
class Container:
    """One container definition; None means "not set", so that the image's own value holds."""

    name: str
    image: str
    entry_point: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: tuple[tuple[str, str], ...]
    secrets: tuple[Secret, ...]
    user: str | None
    working_directory: str | None
    essential: bool
    read_only_root: bool
    stop_timeout: int
    depends_on: tuple[Dependency, ...]
    health_check: HealthCheck | None
    mount_points: tuple[MountPoint, ...]
    volumes_from: tuple[VolumesFrom, ...]
    tmpfs: tuple[Tmpfs, ...]
    capabilities_add: tuple[str, ...]
    capabilities_drop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """A task volume; `host_path` is a directory of this machine, None an empty volume of the task."""

    name: str
    host_path: str | None


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """The parts of a task definition that matter for running it; containers keep the order of the file."""

    family: str
    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]


def parse_definition(document: object) -> TaskDefinition:
    """Parse a decoded JSON document: a task definition, or what DescribeTaskDefinition answers.

    Raises `TaskError` with the JSON path of the first thing wrong.
    """
    top = _object(document, "the task definition")
    inner = top.get("taskDefinition")
    if isinstance(inner, dict):
        top = inner
    if "Resources" in top:
        raise TaskError(
            "the file is a CloudFormation template: give a native task definition with `containerDefinitions`"
        )
    raw = _list(top, "containerDefinitions", "")
    if not 0 < len(raw) <= _MOST_CONTAINERS:
        raise TaskError(
            f"`containerDefinitions` has {len(raw)} containers: between 1 and {_MOST_CONTAINERS} are possible"
        )
    containers = tuple(_container(item, f"containerDefinitions[{index}]") for index, item in enumerate(raw))
    volumes = tuple(_volume(item, f"volumes[{index}]") for index, item in enumerate(_list(top, "volumes", "")))
    definition = TaskDefinition(family=_text(top, "family", "") or "task", containers=containers, volumes=volumes)
    _check_names(definition)
    return definition


def _container(document: object, at: str) -> Container:
    raw = _object(document, at)
    linux = _object(raw.get("linuxParameters") or {}, f"{at}.linuxParameters")
    capabilities = _object(linux.get("capabilities") or {}, f"{at}.linuxParameters.capabilities")
    stop_timeout = _number(raw, "stopTimeout", at, default=30)
    return Container(
        name=_named(raw, "name", at),
        image=_required(raw, "image", at),
        entry_point=_words(raw, "entryPoint", at),
        command=_words(raw, "command", at),
        environment=_each(raw, "environment", at, _variable),
        secrets=_each(raw, "secrets", at, _secret),
        user=_text(raw, "user", at) or None,
        working_directory=_absolute(raw, "workingDirectory", at) if raw.get("workingDirectory") else None,
        essential=_flag(raw, "essential", at, default=True),
        read_only_root=_flag(raw, "readonlyRootFilesystem", at, default=False),
        stop_timeout=int(stop_timeout),
        depends_on=_each(raw, "dependsOn", at, _dependency),
        health_check=_health_check(raw["healthCheck"], f"{at}.healthCheck") if raw.get("healthCheck") else None,
        mount_points=_each(raw, "mountPoints", at, _mount_point),
        volumes_from=_each(raw, "volumesFrom", at, _volumes_from),
        tmpfs=_each(linux, "tmpfs", f"{at}.linuxParameters", _tmpfs),
        capabilities_add=_words(capabilities, "add", f"{at}.linuxParameters.capabilities") or (),
        capabilities_drop=_words(capabilities, "drop", f"{at}.linuxParameters.capabilities") or (),
    )


def _variable(document: object, at: str) -> tuple[str, str]:
    raw = _object(document, at)
    name = _required(raw, "name", at)
    if "=" in name:
        raise TaskError(f"`{at}.name` is `{name}`: the name of a variable cannot hold `=`")
    return name, _text(raw, "value", at) or ""


def _secret(document: object, at: str) -> Secret:
    raw = _object(document, at)
    return Secret(name=_required(raw, "name", at), value_from=_required(raw, "valueFrom", at))


def _dependency(document: object, at: str) -> Dependency:
    raw = _object(document, at)
    word = _required(raw, "condition", at)
    try:
        condition = Condition(word)
    except ValueError:
        raise TaskError(f"`{at}.condition` is `{word}`: it must be START, COMPLETE, SUCCESS or HEALTHY") from None
    return Dependency(container=_required(raw, "containerName", at), condition=condition)


def _health_check(document: object, at: str) -> HealthCheck | None:
    raw = _object(document, at)
    command = _words(raw, "command", at) or ()
    if not command:
        raise TaskError(f"`{at}.command` is missing: give a list that starts with CMD or CMD-SHELL")
    kind, rest = command[0], command[1:]
    if kind == "NONE":
        return None
    if kind not in {"CMD", "CMD-SHELL"}:
        # Docker and ECS take a list without a keyword as a shell line.
        kind, rest = "CMD-SHELL", (" ".join(command),)
    if not rest:
        raise TaskError(f"`{at}.command` has no program after `{kind}`: add one")
    return HealthCheck(
        command=rest if kind == "CMD" else (" ".join(rest),),
        shell=kind == "CMD-SHELL",
        interval=_number(raw, "interval", at, default=30, least=1),
        timeout=_number(raw, "timeout", at, default=5, least=1),
        retries=int(_number(raw, "retries", at, default=3, least=1)),
        start_period=_number(raw, "startPeriod", at, default=0),
    )


def _mount_point(document: object, at: str) -> MountPoint:
    raw = _object(document, at)
    return MountPoint(
        volume=_required(raw, "sourceVolume", at),
        path=_absolute(raw, "containerPath", at),
        read_only=_flag(raw, "readOnly", at, default=False),
    )


def _volumes_from(document: object, at: str) -> VolumesFrom:
    raw = _object(document, at)
    return VolumesFrom(
        container=_required(raw, "sourceContainer", at), read_only=_flag(raw, "readOnly", at, default=False)
    )


def _tmpfs(document: object, at: str) -> Tmpfs:
    raw = _object(document, at)
    return Tmpfs(
        path=_absolute(raw, "containerPath", at),
        size=int(_number(raw, "size", at, default=64, least=1)),
        options=_words(raw, "mountOptions", at) or (),
    )


def _volume(document: object, at: str) -> Volume:
    raw = _object(document, at)
    for foreign in ("efsVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration"):
        if raw.get(foreign):
            raise TaskError(
                f"`{at}.{foreign}` cannot be mounted here: use a volume without it, or with host.sourcePath"
            )
    host = _object(raw.get("host") or {}, f"{at}.host")
    path = _absolute(host, "sourcePath", f"{at}.host") if host.get("sourcePath") else None
    return Volume(name=_required(raw, "name", at), host_path=path)


def _check_names(definition: TaskDefinition) -> None:
    names = [container.name for container in definition.containers]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise TaskError(f"two containers are called `{doubled[0]}`: give each its own name")
    volumes = {volume.name for volume in definition.volumes}
    for container in definition.containers:
        for point in container.mount_points:
            if point.volume not in volumes:
                raise TaskError(f"container `{container.name}` mounts volume `{point.volume}`, which `volumes` lacks")
        for other in [d.container for d in container.depends_on] + [v.container for v in container.volumes_from]:
            if other not in names:
                raise TaskError(f"container `{container.name}` refers to container `{other}`, which does not exist")
            if other == container.name:
                raise TaskError(f"container `{container.name}` refers to itself: remove that entry")
    _check_health(definition)
    if not any(container.essential for container in definition.containers):
        raise TaskError("no container is `essential`: at least one must be")


def _check_health(definition: TaskDefinition) -> None:
    checked = {container.name for container in definition.containers if container.health_check}
    for container in definition.containers:
        for wanted in container.depends_on:
            if wanted.condition is Condition.HEALTHY and wanted.container not in checked:
                raise TaskError(
                    f"container `{container.name}` waits for `{wanted.container}` to be HEALTHY, "
                    "but that has no `healthCheck`: add one"
                )


def _object(document: object, at: str) -> Mapping[str, object]:
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise TaskError(f"`{at}` must be an object")
    return document


def _list(raw: Mapping[str, object], key: str, at: str) -> list[object]:
    value = raw.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise TaskError(f"`{_path(at, key)}` must be a list")
    return value


def _each(raw: Mapping[str, object], key: str, at: str, parse: Callable[[object, str], _T]) -> tuple[_T, ...]:
    return tuple(parse(item, f"{_path(at, key)}[{index}]") for index, item in enumerate(_list(raw, key, at)))


def _words(raw: Mapping[str, object], key: str, at: str) -> tuple[str, ...] | None:
    """Read a list of strings; absent, null and empty are the same to ECS: not set."""
    words = _list(raw, key, at)
    for index, word in enumerate(words):
        if not isinstance(word, str) or "\0" in word:
            raise TaskError(f"`{_path(at, key)}[{index}]` must be a string without NUL")
    return tuple(str(word) for word in words) or None


def _text(raw: Mapping[str, object], key: str, at: str) -> str | None:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise TaskError(f"`{_path(at, key)}` must be a string without NUL")
    return value


def _required(raw: Mapping[str, object], key: str, at: str) -> str:
    value = _text(raw, key, at)
    if not value:
        raise TaskError(f"`{_path(at, key)}` is missing: give a string")
    return value


def _named(raw: Mapping[str, object], key: str, at: str) -> str:
    value = _required(raw, key, at)
    if not _NAME.fullmatch(value):
        raise TaskError(f"`{_path(at, key)}` is `{value}`: use up to 255 letters, digits, `-` and `_`")
    return value


def _absolute(raw: Mapping[str, object], key: str, at: str) -> str:
    value = _required(raw, key, at)
    if not value.startswith("/") or ".." in value.split("/"):
        raise TaskError(f"`{_path(at, key)}` is `{value}`: it must be an absolute path without `..`")
    return value


def _flag(raw: Mapping[str, object], key: str, at: str, *, default: bool) -> bool:
    value = raw.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise TaskError(f"`{_path(at, key)}` must be true or false")
    return value


def _number(raw: Mapping[str, object], key: str, at: str, *, default: int, least: int = 0) -> float:
    value = raw.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 2**31:
        raise TaskError(f"`{_path(at, key)}` must be a whole number of at least {least}")
    return value


def _path(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key
