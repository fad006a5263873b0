"""Whether a definition is protected, for a gate in front of a deployment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bartizan.embed import exposure, intrinsics, plan, selection, undo, wrap
from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.json_text import Value
from bartizan.embed.options import ProtectSettings
from bartizan.embed.protect import protect
from bartizan.embed.reading import read
from bartizan.embed.undo import Embedding
from bartizan.embed.waas_ports import VARIABLE, read_waas_ports

Code = Literal["missingSidecar", "unprotected", "tampered", "stale"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `message` is a sentence that says what to do about it."""

    code: Code
    message: str
    where: Where
    container: str | None = None


def verify(text: str, *, version: str, settings: ProtectSettings | None = None) -> list[Finding]:
    """Return what keeps a definition from being protected by `version`; an empty list is good.

    With `settings` it is also compared with what `protect` would make of it now. Raises `EmbedError` for a text that is
    no task definition.
    """
    source = read(text)
    findings: list[Finding] = []
    protected: list[Embedding] = []
    for definition in source.definitions:
        if len(source.definitions) > 1 and plan.windows(definition) is not None:
            continue
        found = undo.find(definition)
        if found is None:
            findings += _without_sidecar(definition)
        else:
            protected.append(found)
            findings += [*_sidecar(found, version), *_containers(definition, found, settings)]
            findings += _ports(definition, found.sidecar)
    if not findings and settings is not None and protected:
        findings += _against(text, protected[0], settings)
    return findings


def _without_sidecar(definition: TaskDefinition) -> Iterator[Finding]:
    where = definition.where_of("containerDefinitions")
    yield Finding("missingSidecar", "the task has no sidecar of the Defender: protect the definition", where)
    for container in definition.containers:
        message = f"container `{container.name}` runs unprotected: protect the definition"
        yield Finding("unprotected", message, container.where, container.name)


def _sidecar(found: Embedding, version: str) -> Iterator[Finding]:
    sidecar = found.sidecar
    if found.version != version:
        message = f"protected by version `{found.version}`, not `{version}`: protect it again"
        yield Finding("stale", message, sidecar.where_of("dockerLabels"), sidecar.name)
    if sidecar.value.get("entryPoint") != [wrap.SIDECAR_PROGRAM, "fargate", "sidecar"] or sidecar.command is not None:
        yield _tampered(sidecar, "entryPoint", "does not start the Defender")
    check = sidecar.object("healthCheck").get("command")
    if check != ["CMD", wrap.SIDECAR_PROGRAM, "fargate", "healthcheck"]:
        yield _tampered(sidecar, "healthCheck", "has lost its health check")


def _ports(definition: TaskDefinition, sidecar: Container) -> Iterator[Finding]:
    """Find what leads around the firewall, or keeps clients from it."""
    said = [item.get("value") for item in sidecar.objects("environment") if item.get("name") == VARIABLE]
    try:
        ports = read_waas_ports(value for value in said if isinstance(value, str))
    except EmbedError as error:
        yield _tampered(sidecar, "environment", f"has a firewall that cannot listen: {error.message}")
        return
    if not ports:
        return
    mapped = {
        (container.name, exposure.number(definition, mapping.get("containerPort")))
        for container in definition.containers
        for mapping in container.objects("portMappings")
    }
    for port in ports:
        if (sidecar.name, port.exposed) not in mapped:
            yield _tampered(sidecar, "portMappings", f"has lost port {port.exposed}, where the firewall listens")
        for container in definition.containers:
            if (container.name, port.app) in mapped:
                yield _tampered(container, "portMappings", f"maps port {port.app}, around the firewall")


def _containers(definition: TaskDefinition, found: Embedding, settings: ProtectSettings | None) -> Iterator[Finding]:
    for container in definition.containers:
        if container.name == found.sidecar.name:
            continue
        if wrap.is_wrapped(container):
            yield from _wrap(container, found.sidecar.name, settings)
        elif not _may_skip(definition, container, found, settings):
            message = f"container `{container.name}` runs unprotected: protect the definition again"
            yield Finding("unprotected", message, container.where_of("entryPoint"), container.name)


def _may_skip(
    definition: TaskDefinition, container: Container, found: Embedding, settings: ProtectSettings | None
) -> bool:
    """Return whether a container may be left alone: by the settings, or else as it was when it was protected."""
    if settings is not None:
        return selection.skip_reason(definition, container, settings) is not None
    return container.name in found.record.skipped


def _wrap(container: Container, sidecar: str, settings: ProtectSettings | None) -> Iterator[Finding]:
    if not _has(container, "volumesFrom", {"sourceContainer": sidecar, "readOnly": True}):
        yield _tampered(container, "volumesFrom", "does not mount the Defender's volume read-only")
    if not _has(container, "dependsOn", {"containerName": sidecar, "condition": "HEALTHY"}):
        yield _tampered(container, "dependsOn", "does not wait for the sidecar")
    if not wrap.has_capability(container):
        yield _tampered(container, "linuxParameters", f"lacks the capability {wrap.CAPABILITY}")
    if any(count != 1 for count in _own_variables(container)):
        yield _tampered(container, "environment", "lacks or repeats a variable of the Defender")
    elif not _has(container, "environment", {"name": "DEFENDER_CONTAINER_NAME", "value": container.value["name"]}):
        yield _tampered(container, "environment", "tells the Defender another name")
    elif settings is not None and not _has(container, "environment", _token(container, settings)):
        yield _tampered(container, "environment", "has not the token the sidecar knows it by")


def _token(container: Container, settings: ProtectSettings) -> dict[str, Value]:
    return {"name": "DEFENDER_TOKEN", "value": settings.container_token(wrap.identity(container))}


def _own_variables(container: Container) -> Iterator[int]:
    """Yield how often each variable of the Defender is set, in each branch of a choice."""
    for found in intrinsics.branches(container.value.get("environment")):
        names = [item.get("name") for item in found if isinstance(item, dict)] if isinstance(found, list) else []
        yield from (names.count(name) for name in wrap.OWN_ENVIRONMENT)


def _has(container: Container, key: str, wanted: dict[str, Value]) -> bool:
    """Return whether a member that is a list has what is `wanted`, in each branch of a choice."""
    return all(
        isinstance(found, list)
        and any(isinstance(item, dict) and all(item.get(k) == v for k, v in wanted.items()) for item in found)
        for found in intrinsics.branches(container.value.get(key))
    )


def _tampered(container: Container, key: str, what: str) -> Finding:
    message = f"container `{container.name}` {what}: protect the definition again"
    return Finding("tampered", message, container.where_of(key), container.name)


def _against(text: str, found: Embedding, settings: ProtectSettings) -> Iterator[Finding]:
    """Find what `protect` would change today."""
    where = found.sidecar.where
    try:
        protection = protect(text, images={}, settings=settings)
    except EmbedError as error:
        message = f"it cannot be protected with these settings: {error.message}"
        yield Finding("stale", message, error.where or where, found.sidecar.name)
        return
    if protection.edits:
        places = sorted({made.pointer for made in protection.edits})
        message = f"these settings would change {selection.listed(places)}: protect it again"
        yield Finding("stale", message, where, found.sidecar.name)
