"""What is to be done to a definition, decided on plain values before anything is written down."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bartizan.embed import launch, selection, twistlock, wrap
from bartizan.embed.definition import Container, TaskDefinition, registrable
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.launch import ImageConfig, Launch
from bartizan.embed.options import ProtectSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to a definition, before it is written down."""

    definition: TaskDefinition
    desired: dict[str, Value]
    removed: tuple[str, ...]
    selected: tuple[tuple[Container, Launch], ...]
    skipped: tuple[tuple[Container, str], ...]
    migrated: bool


def make(definition: TaskDefinition, images: Mapping[str, ImageConfig], settings: ProtectSettings) -> Plan:
    """Decide what is done to `definition`; raise `EmbedError` for what cannot be protected."""
    _refuse_platform(definition, settings)
    value, removed = registrable(definition)
    containers, migrated = own_containers(definition)
    selected, skipped = select(definition, containers, settings)
    launches = _launches(selected, images)
    replaced: dict[str, Value] = {
        container.name: wrap.wrapped(container, start, settings, definition.family)
        for container, start in zip(selected, launches, strict=True)
    }
    sidecar = wrap.sidecar(definition.family, selected, settings, reserve_memory=value.get("memory") is None)
    listed = [replaced.get(container.name, container.value) for container in containers]
    return Plan(
        definition=definition,
        desired={**value, "containerDefinitions": [*listed, sidecar]},
        removed=removed,
        selected=tuple(zip(selected, launches, strict=True)),
        skipped=tuple(skipped),
        migrated=migrated,
    )


def _refuse_platform(definition: TaskDefinition, settings: ProtectSettings) -> None:
    key, system = _windows(definition)
    if system is not None:
        message = f"the task runs on `{system}`: the Defender protects Linux tasks only"
        raise EmbedError(message, definition.where_of(key))
    clash = definition.container(settings.sidecar_name)
    if clash is not None and not twistlock.is_sidecar(clash):
        message = f"a container is already called `{clash.name}` and is not our sidecar (it has no `{wrap.UNDO_LABEL}`)"
        raise EmbedError(f"{message}: rename it or choose another name for the sidecar", clash.where)
    if settings.install_bundle_secret is not None and not definition.value.get("executionRoleArn"):
        message = "the install bundle is a secret but the task has no `executionRoleArn` to read it with: add one"
        raise EmbedError(message, definition.where_of("executionRoleArn"))


def _windows(definition: TaskDefinition) -> tuple[str, str | None]:
    """Return what binds the task to Windows and where it says so; None when nothing does."""
    platform = definition.value.get("runtimePlatform")
    system = platform.get("operatingSystemFamily") if isinstance(platform, dict) else None
    if isinstance(system, str) and system.upper().startswith("WINDOWS"):
        return "runtimePlatform", system
    constraints = definition.value.get("placementConstraints")
    for constraint in constraints if isinstance(constraints, list) else []:
        expression = constraint.get("expression") if isinstance(constraint, dict) else None
        if isinstance(expression, str) and re.search(
            r"ecs\.os-(type|family)\s*==\s*windows", expression, re.IGNORECASE
        ):
            return "placementConstraints", expression
    return "", None


def own_containers(definition: TaskDefinition) -> tuple[list[Container], bool]:
    """Return the containers without the vendor's protection, and whether there was one."""
    if not any(map(twistlock.is_sidecar, definition.containers)):
        for container in definition.containers:
            twistlock.refuse_leftover(container)
        return list(definition.containers), False
    own = [container for container in definition.containers if not twistlock.is_sidecar(container)]
    return [twistlock.unwrapped(container) for container in own], True


def select(
    definition: TaskDefinition, containers: Sequence[Container], settings: ProtectSettings
) -> tuple[list[Container], list[tuple[Container, str]]]:
    """Return the containers to wrap, and the others with the reason; raise `EmbedError` when none is left to wrap."""
    selection.check_names(containers, settings)
    selected: list[Container] = []
    skipped: list[tuple[Container, str]] = []
    for container in containers:
        reason = selection.skip_reason(definition, container, settings)
        if reason is None:
            selected.append(container)
        else:
            skipped.append((container, reason))
    if not selected:
        reasons = "; ".join(f"`{container.name}`: {reason}" for container, reason in skipped)
        where = definition.where_of("containerDefinitions")
        raise EmbedError(f"no container is left to protect ({reasons or 'the task has none of its own'})", where)
    return selected, skipped


def _launches(containers: Sequence[Container], images: Mapping[str, ImageConfig]) -> list[Launch]:
    found = [launch.resolve(container, images.get(container.image)) for container in containers]
    known = [start for start in found if start is not None]
    if len(known) == len(containers):
        return known
    unknown = [container for container, start in zip(containers, found, strict=True) if start is None]
    names = selection.listed([container.name for container in unknown])
    where = "; ".join(f"`{container.name}` ({container.where}) runs `{container.image}`" for container in unknown)
    message = f"no `entryPoint` is given for {names} and nothing is known about the image: {where}"
    raise EmbedError(f"{message}: set `entryPoint` and `command`, or have the image looked up", unknown[0].where)
