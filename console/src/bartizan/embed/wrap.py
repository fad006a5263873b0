"""What protection adds to a container, and the sidecar it adds to the task; plain values in, plain values out."""

import json
from collections.abc import Mapping, Sequence

from bartizan.embed.definition import Container
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.launch import Launch
from bartizan.embed.options import ProtectSettings

VOLUME = "/var/lib/bartizan"
WRAPPER = (f"{VOLUME}/defender", "fargate", "entrypoint")
SIDECAR_PROGRAM = "/usr/local/bin/defender"
VERSION_LABEL = "com.bartizan.version"
UNDO_LABEL = "com.bartizan.undo"
CAPABILITY = "SYS_PTRACE"
OWN_ENVIRONMENT = (
    "DEFENDER_TYPE",
    "FARGATE_TASK",
    "DEFENDER_IMAGE_NAME",
    "DEFENDER_CONTAINER_NAME",
    "FILESYSTEM_MONITORING",
    "DEFENDER_TOKEN",
    "DEFENDER_FAIL_MODE",
)


def wrapped(container: Container, launch: Launch, settings: ProtectSettings, family: str) -> dict[str, Value]:
    """Return the container definition that starts `launch` under the Defender.

    Everything the user set stays; ours comes behind it. Raises `EmbedError` where the container already has what we
    would add.
    """
    _refuse_clashes(container, settings)
    value = dict(container.value)
    value["entryPoint"] = [*WRAPPER, *launch.entry_point]
    if launch.command is not None:
        value["command"] = list(launch.command)
    value["environment"] = [*container.objects("environment"), *_environment(container, settings, family)]
    value["dependsOn"] = [
        *container.objects("dependsOn"),
        {"containerName": settings.sidecar_name, "condition": "HEALTHY"},
    ]
    value["volumesFrom"] = [
        *container.objects("volumesFrom"),
        {"sourceContainer": settings.sidecar_name, "readOnly": True},
    ]
    value["linuxParameters"] = _with_capability(container)
    return value


def is_wrapped(container: Container) -> bool:
    """Return whether a container starts under our Defender."""
    entry_point = container.value.get("entryPoint")
    return isinstance(entry_point, list) and entry_point[: len(WRAPPER)] == list(WRAPPER)


def _environment(container: Container, settings: ProtectSettings, family: str) -> list[Value]:
    values = (
        "fargate",
        family,
        container.image,
        container.name,
        _switch(on=settings.filesystem_monitoring),
        settings.container_token(container.name),
        settings.fail_mode,
    )
    return variables(dict(zip(OWN_ENVIRONMENT, values, strict=True)))


def variables(values: Mapping[str, str]) -> list[Value]:
    """Return names and values the way ECS lists them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def _switch(*, on: bool) -> str:
    return "true" if on else "false"


def _with_capability(container: Container) -> dict[str, Value]:
    """Return `linuxParameters` with SYS_PTRACE among the added capabilities and all else as it was."""
    parameters = container.object("linuxParameters")
    if has_capability(container):
        return parameters
    capabilities, added = _capabilities(container)
    return {**parameters, "capabilities": {**capabilities, "add": [*added, CAPABILITY]}}


def has_capability(container: Container) -> bool:
    """Return whether the container is given SYS_PTRACE."""
    _, added = _capabilities(container)
    return CAPABILITY in added or "ALL" in added


def _capabilities(container: Container) -> tuple[dict[str, Value], list[Value]]:
    """Return the container's capabilities, and those added."""
    capabilities = container.object("linuxParameters").get("capabilities")
    capabilities = {} if capabilities is None else capabilities
    added = capabilities.get("add") if isinstance(capabilities, dict) else None
    added = [] if added is None else added
    if not isinstance(capabilities, dict) or not isinstance(added, list):
        message = f"`linuxParameters.capabilities` of container `{container.name}` must hold lists of capabilities"
        raise EmbedError(message, container.where_of("linuxParameters"))
    return capabilities, added


def _refuse_clashes(container: Container, settings: ProtectSettings) -> None:
    if is_wrapped(container):
        message = f"container `{container.name}` already starts under the Defender but its sidecar is gone"
        raise EmbedError(f"{message}: protect the original definition", container.where_of("entryPoint"))
    for key in ("environment", "secrets"):
        for item in container.objects(key):
            if item.get("name") in OWN_ENVIRONMENT:
                message = f"container `{container.name}` sets `{item['name']}`, a name the Defender needs: rename it"
                raise EmbedError(message, container.where_of(key))
    for key, member in (("dependsOn", "containerName"), ("volumesFrom", "sourceContainer")):
        if any(item.get(member) == settings.sidecar_name for item in container.objects(key)):
            message = f"`{key}` of container `{container.name}` names `{settings.sidecar_name}`, which is not there"
            raise EmbedError(f"{message}: remove it", container.where_of(key))
    for item in container.objects("mountPoints"):
        path = item.get("containerPath")
        if isinstance(path, str) and (path.rstrip("/") + "/").startswith(VOLUME + "/"):
            message = f"container `{container.name}` mounts `{path}`, where the Defender lives: mount it elsewhere"
            raise EmbedError(message, container.where_of("mountPoints"))


def sidecar(
    family: str, containers: Sequence[Container], settings: ProtectSettings, *, reserve_memory: bool
) -> dict[str, Value]:
    """Return the sidecar of a task whose wrapped containers are `containers`; its undo label is still empty.

    Tools read its environment by position, so the order is part of the contract. It runs as the user of its image, so
    that it can write the shared volume, and with no capability at all.
    """
    value: dict[str, Value] = {"name": settings.sidecar_name, "image": settings.defender_image}
    if settings.image_pull_secret is not None:
        value["repositoryCredentials"] = {"credentialsParameter": settings.image_pull_secret}
    value["essential"] = settings.essential
    value["entryPoint"] = [SIDECAR_PROGRAM, "fargate", "sidecar"]
    value["environment"] = variables(_sidecar_environment(family, containers, settings))
    if settings.install_bundle_secret is not None:
        value["secrets"] = [{"name": "INSTALL_BUNDLE", "valueFrom": settings.install_bundle_secret}]
    value["healthCheck"] = {
        "command": ["CMD", SIDECAR_PROGRAM, "fargate", "healthcheck"],
        "interval": 5,
        "timeout": 5,
        "retries": 3,
        "startPeriod": 10,
    }
    value["linuxParameters"] = {"capabilities": {"drop": ["ALL"]}}
    value["readonlyRootFilesystem"] = True
    if reserve_memory:
        value["memoryReservation"] = 64
    logs = _shared_logs(containers[0])
    if logs is not None:
        value["logConfiguration"] = logs
    value["dockerLabels"] = {VERSION_LABEL: settings.version, UNDO_LABEL: ""}
    return value


def _sidecar_environment(family: str, containers: Sequence[Container], settings: ProtectSettings) -> dict[str, str]:
    named = [{"name": container.name, "image": container.image} for container in containers]
    values = {} if settings.install_bundle is None else {"INSTALL_BUNDLE": settings.install_bundle.strip()}
    values |= {
        "DEFENDER_TYPE": "fargate",
        "FARGATE_TASK": family,
        "WS_ADDRESS": settings.ws_address,
        "FILESYSTEM_MONITORING": _switch(on=settings.filesystem_monitoring),
        "DEFENDER_APP_ID": settings.app_id(family),
        "DEFENDER_CONTAINERS": json.dumps(named, separators=(",", ":")),
        "DEFENDER_FAIL_MODE": settings.fail_mode,
    }
    if settings.policy_timeout is not None:
        values["DEFENDER_POLICY_TIMEOUT"] = str(settings.policy_timeout)
    return values


def _shared_logs(container: Container) -> dict[str, Value] | None:
    """Return the container's log configuration when a second container can use it just so."""
    logs = container.object("logConfiguration")
    return logs if logs.get("logDriver") == "awslogs" and not logs.get("secretOptions") else None
