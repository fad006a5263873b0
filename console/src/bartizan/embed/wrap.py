"""What protection adds to a container, and the sidecar it adds to the task; plain values in, plain values out."""

import json
from collections.abc import Mapping, Sequence

from bartizan.embed import intrinsics, selection
from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.errors import EmbedError
from bartizan.embed.intrinsics import map_branches
from bartizan.embed.json_text import Value
from bartizan.embed.launch import Launch
from bartizan.embed.options import ProtectSettings
from bartizan.embed.template import Template

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
TIER = "DEFENDER_TIER"
"""Set only for containers in the compat tier."""
ALLOW_32BIT = "DEFENDER_ALLOW_32BIT"
"""Set only where 32-bit programs may run."""


def wrapped(
    container: Container, launch: Launch, settings: ProtectSettings, definition: TaskDefinition
) -> dict[str, Value]:
    """Return the container definition that starts `launch` under the Defender.

    Everything the user set stays; ours comes behind it, in every branch of a choice. Raises `EmbedError` where the
    container already has what we would add, and where there is no place to add it.
    """
    _refuse_clashes(container, settings)
    value = dict(container.value)
    value["entryPoint"] = _under_defender(container, launch.entry_point, definition.template)
    if launch.command is not None:
        value["command"] = launch.command
    value["environment"] = _appended(container, "environment", _environment(container, settings, definition))
    dependency: Value = {"containerName": settings.sidecar_name, "condition": "HEALTHY"}
    value["dependsOn"] = _appended(container, "dependsOn", [dependency])
    volume: Value = {"sourceContainer": settings.sidecar_name, "readOnly": True}
    value["volumesFrom"] = _appended(container, "volumesFrom", [volume])
    value["linuxParameters"] = map_branches(
        container.value.get("linuxParameters"), lambda parameters: _with_capability(container, parameters)
    )
    return value


def is_wrapped(container: Container) -> bool:
    """Return whether a container starts under our Defender, whatever a template chooses."""
    return all(_begins_with_wrapper(found) for found in intrinsics.branches(container.value.get("entryPoint")))


def _begins_with_wrapper(entry_point: Value) -> bool:
    if isinstance(entry_point, dict) and intrinsics.function(entry_point) == "Fn::Split":
        split = entry_point["Fn::Split"]
        join = split[-1] if isinstance(split, list) and split else None
        joined = join.get("Fn::Join") if isinstance(join, dict) else None
        entry_point = joined[-1] if isinstance(joined, list) and joined else None
    return isinstance(entry_point, list) and entry_point[: len(WRAPPER)] == list(WRAPPER)


def _under_defender(container: Container, entry_point: Value, template: Template) -> Value:
    """Return an entrypoint with the Defender in front.

    A list that only a deployment knows is joined and split again at what its items cannot hold: the commas of a
    `CommaDelimitedList`, the delimiter of the very `Fn::Split` it comes from.
    """

    def under(found: Value) -> Value:
        if isinstance(found, list):
            return [*WRAPPER, *found]
        name = intrinsics.function(found)
        argument = found[name] if isinstance(found, dict) and name is not None else None
        if name == "Ref" and template.is_list(argument):
            return _split(",", {"Fn::Join": [",", found]})
        if name == "Fn::Split" and isinstance(argument, list) and isinstance(argument[0], str):
            delimiter = argument[0]
            if delimiter and not any(delimiter in piece for piece in WRAPPER):
                return _split(delimiter, argument[1])
        message = f"`{container.dialect.key('entryPoint')}` of container `{container.name}` is"
        message = f"{message} `{intrinsics.spelled(found)}`, which only a deployment knows: write the list out"
        raise EmbedError(message, container.where_of("entryPoint"))

    return map_branches(entry_point, under)


def _split(delimiter: str, rest: Value) -> Value:
    return {"Fn::Split": [delimiter, {"Fn::Join": [delimiter, [*WRAPPER, rest]]}]}


def _appended(container: Container, key: str, items: list[Value]) -> Value:
    """Return a member that is a list with `items` behind, in every branch of a choice."""

    def appended(found: Value) -> Value:
        if found is None:
            return items
        if isinstance(found, list):
            return [*found, *items]
        message = f"`{container.dialect.key(key)}` of container `{container.name}` is `{intrinsics.spelled(found)}`"
        raise EmbedError(f"{message}, which only a deployment knows: write the list out", container.where_of(key))

    container.objects(key)
    return map_branches(container.value.get(key), appended)


def _environment(container: Container, settings: ProtectSettings, definition: TaskDefinition) -> list[Value]:
    values = (
        "fargate",
        family(definition),
        container.value["image"],
        container.value["name"],
        _switch(on=settings.filesystem_monitoring),
        settings.container_token(identity(container)),
        settings.fail_mode,
    )
    own = dict(zip(OWN_ENVIRONMENT, values, strict=True))
    if selection.is_compat(definition, container, settings):
        own[TIER] = "compat"
    if settings.allow_32bit:
        own[ALLOW_32BIT] = _switch(on=True)
    return variables(own)


def identity(container: Container) -> str:
    """Return what the token of a container is made of: its name, or the expression of it where that is not known.

    The expression is written with angle brackets, for `${…}` outside of `Fn::Sub` is taken for a mistake.
    """
    return container.name.replace("${", "<").replace("}", ">")


def family(definition: TaskDefinition) -> Value:
    """Return the family of a task as the definition says it, or what it is called when AWS makes one up."""
    return definition.value.get("family") or definition.family


def variables(values: Mapping[str, Value]) -> list[Value]:
    """Return names and values the way ECS lists them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def _switch(*, on: bool) -> str:
    return "true" if on else "false"


def _with_capability(container: Container, parameters: Value) -> Value:
    """Return `linuxParameters` with SYS_PTRACE among the added capabilities and all else as it was."""
    capabilities, added = _capabilities(container, parameters)
    if CAPABILITY in added or "ALL" in added:
        return parameters
    own = parameters if isinstance(parameters, dict) else {}
    return {**own, "capabilities": {**capabilities, "add": [*added, CAPABILITY]}}


def has_capability(container: Container) -> bool:
    """Return whether the container is given SYS_PTRACE, whatever a template chooses."""
    every = [
        _capabilities(container, found)[1] for found in intrinsics.branches(container.value.get("linuxParameters"))
    ]
    return all(CAPABILITY in added or "ALL" in added for added in every)


def _capabilities(container: Container, parameters: Value) -> tuple[dict[str, Value], list[Value]]:
    """Return the container's capabilities, and those added."""
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, dict):
        container.object("linuxParameters")
    capabilities = parameters.get("capabilities") if isinstance(parameters, dict) else parameters
    capabilities = {} if intrinsics.absent(capabilities) else capabilities
    added = capabilities.get("add") if isinstance(capabilities, dict) else None
    added = [] if intrinsics.absent(added) else added
    opaque = any(intrinsics.function(part) is not None for part in (parameters, capabilities, added))
    if opaque or not isinstance(parameters, dict) or not isinstance(capabilities, dict) or not isinstance(added, list):
        spelled = f"{container.dialect.key('linuxParameters')}.{container.dialect.key('capabilities')}"
        message = f"`{spelled}` of container `{container.name}` must hold lists of capabilities"
        raise EmbedError(message, container.where_of("linuxParameters"))
    return capabilities, added


def _refuse_clashes(container: Container, settings: ProtectSettings) -> None:
    if is_wrapped(container):
        message = f"container `{container.name}` already starts under the Defender but its sidecar is gone"
        raise EmbedError(f"{message}: protect the original definition", container.where_of("entryPoint"))
    for key in ("environment", "secrets"):
        for item in container.objects(key):
            if item.get("name") in (*OWN_ENVIRONMENT, TIER, ALLOW_32BIT):
                message = f"container `{container.name}` sets `{item['name']}`, a name the Defender needs: rename it"
                raise EmbedError(message, container.where_of(key))
    for key, member in (("dependsOn", "containerName"), ("volumesFrom", "sourceContainer")):
        if any(item.get(member) == settings.sidecar_name for item in container.objects(key)):
            named = f"`{container.dialect.key(key)}` of container `{container.name}`"
            message = f"{named} names `{settings.sidecar_name}`, which is not there"
            raise EmbedError(f"{message}: remove it", container.where_of(key))
    for item in container.objects("mountPoints"):
        path = item.get("containerPath")
        if isinstance(path, str) and (path.rstrip("/") + "/").startswith(VOLUME + "/"):
            message = f"container `{container.name}` mounts `{path}`, where the Defender lives: mount it elsewhere"
            raise EmbedError(message, container.where_of("mountPoints"))


def sidecar(definition: TaskDefinition, containers: Sequence[Container], settings: ProtectSettings) -> dict[str, Value]:
    """Return the sidecar of a task whose wrapped containers are `containers`; its undo label is still empty.

    Tools read its environment by position, so the order is part of the contract. It runs as the user of its image, so
    that it can write the shared volume, and with no capability at all.
    """
    value: dict[str, Value] = {"name": settings.sidecar_name, "image": settings.defender_image}
    if settings.image_pull_secret is not None:
        value["repositoryCredentials"] = {"credentialsParameter": settings.image_pull_secret}
    value["essential"] = settings.essential
    value["entryPoint"] = [SIDECAR_PROGRAM, "fargate", "sidecar"]
    value["environment"] = variables(_sidecar_environment(definition, containers, settings))
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
    if definition.value.get("memory") is None:
        value["memoryReservation"] = 64
    logs = _shared_logs(containers[0])
    if logs is not None:
        value["logConfiguration"] = logs
    value["dockerLabels"] = {VERSION_LABEL: settings.version, UNDO_LABEL: ""}
    return value


def _sidecar_environment(
    definition: TaskDefinition, containers: Sequence[Container], settings: ProtectSettings
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    if settings.install_bundle is not None:
        values["INSTALL_BUNDLE"] = settings.install_bundle.strip()
    values |= {
        "DEFENDER_TYPE": "fargate",
        "FARGATE_TASK": family(definition),
        "WS_ADDRESS": settings.ws_address,
        "FILESYSTEM_MONITORING": _switch(on=settings.filesystem_monitoring),
        "DEFENDER_APP_ID": settings.app_id(definition.family),
        "DEFENDER_CONTAINERS": _containers(containers),
        "DEFENDER_FAIL_MODE": settings.fail_mode,
    }
    if settings.policy_timeout is not None:
        values["DEFENDER_POLICY_TIMEOUT"] = str(settings.policy_timeout)
    return values


def _containers(containers: Sequence[Container]) -> Value:
    """Return names and images as JSON; what only a deployment knows is joined in when it is deployed.

    A container whose name is such is known to the sidecar by the token of its expression (`id`); one that a condition
    leaves out is null.
    """
    pieces: list[Value] = ["["]
    for number, container in enumerate(containers):
        pieces += ["," if number else "", *_entry(container)]
    return _joined([*pieces, "]"])


def _entry(container: Container) -> list[Value]:
    """Return JSON of what the sidecar must know of a container, in pieces."""
    entry: dict[str, Value] = {"name": container.value["name"], "image": container.value["image"]}
    if not isinstance(entry["name"], str):
        entry["id"] = identity(container)
    pieces: list[Value] = []
    for key, value in entry.items():
        pieces.append(f"{',' if pieces else '{'}{json.dumps(key)}:")
        pieces += [json.dumps(value)] if isinstance(value, str) else ['"', value, '"']
    pieces.append("}")
    for condition, holds in reversed(list(container.conditions.items())):
        there = _joined(pieces)
        pieces = [intrinsics.chosen(condition, there, "null") if holds else intrinsics.chosen(condition, "null", there)]
    return pieces


def _joined(pieces: Sequence[Value]) -> Value:
    """Return the text that `pieces` make: itself where all is known, else a function that joins them."""
    joined: list[Value] = [""]
    for piece in pieces:
        if isinstance(piece, str) and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return joined[0] if len(joined) == 1 else {"Fn::Join": ["", joined]}


def _shared_logs(container: Container) -> dict[str, Value] | None:
    """Return the container's log configuration when a second container can use it just so."""
    logs = container.object("logConfiguration")
    return logs if logs.get("logDriver") == "awslogs" and not logs.get("secretOptions") else None
