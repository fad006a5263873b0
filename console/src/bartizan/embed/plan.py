"""What is to be done to a definition, decided on plain values before anything is written down."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, repeat

from bartizan.embed import exposure, intrinsics, launch, selection, services, twistlock, wrap
from bartizan.embed.definition import Container, TaskDefinition, registrable
from bartizan.embed.errors import EmbedError
from bartizan.embed.exposure import Moved
from bartizan.embed.json_text import Value
from bartizan.embed.launch import ImageConfig, Launch
from bartizan.embed.options import ProtectSettings
from bartizan.embed.services import Following


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to a definition, before it is written down."""

    definition: TaskDefinition
    desired: dict[str, Value]
    removed: tuple[str, ...]
    selected: tuple[tuple[Container, Launch], ...]
    skipped: tuple[tuple[Container, str], ...]
    migrated: bool
    unpinned: tuple[Container, ...] = ()
    """whose image should have been pinned to its digest but is not known well enough"""
    pinned: Mapping[int, Mapping[str, ImageConfig]] = field(default_factory=dict)
    """the images whose digest is written, by reference, of each container by its index"""
    moved: tuple[Moved, ...] = ()
    """the port mappings that go to the sidecar"""
    following: tuple[Following, ...] = ()
    """what else in the template names those ports"""


class NothingToProtectError(EmbedError):
    """A definition has nothing that the Defender could protect; of several in a template it is left as it is."""


def make(definition: TaskDefinition, images: Mapping[str, ImageConfig], settings: ProtectSettings) -> Plan:
    """Decide what is done to `definition`; raise `EmbedError` for what cannot be protected."""
    _refuse_platform(definition, settings)
    value, removed = registrable(definition)
    containers, migrated = own_containers(definition)
    selected, skipped = select(definition, containers, settings)
    launches = _launches(definition, selected, images)
    changed: dict[int, Value] = {container.index: container.value for container in containers}
    for container, start in zip(selected, launches, strict=True):
        changed[container.index] = wrap.wrapped(container, start, settings, definition)
    unpinned, pinned = _pin(selected, images, changed) if settings.pin_digest else ((), {})
    moved = exposure.moved(definition, containers, settings)
    for container in containers:
        value_now = changed[container.index]
        if isinstance(value_now, dict):
            changed[container.index] = exposure.without_mappings(value_now, container, moved)
    sidecar = exposure.with_exposure(wrap.sidecar(definition, selected, settings), moved)
    return Plan(
        definition=definition,
        desired={**value, "containerDefinitions": _listed(value["containerDefinitions"], changed, sidecar)},
        removed=removed,
        selected=tuple(zip(selected, launches, strict=True)),
        skipped=tuple(skipped),
        migrated=migrated,
        unpinned=unpinned,
        pinned=pinned,
        moved=moved,
        following=services.following(definition, moved, settings.sidecar_name),
    )


def _pin(
    containers: Sequence[Container], images: Mapping[str, ImageConfig], changed: dict[int, Value]
) -> tuple[tuple[Container, ...], dict[int, dict[str, ImageConfig]]]:
    """Write the digests that were looked at into the images; return the containers that stay without, and the images.

    The images are by reference, of each container by its index.
    """
    unpinned: list[Container] = []
    pinned: dict[int, dict[str, ImageConfig]] = {}
    for container in containers:
        image, value = container.value["image"], changed[container.index]
        known = images.get(container.image) or images.get(container.name)
        if isinstance(image, str) and "@" in image:
            continue
        if isinstance(image, str) and known is not None and known.digest is not None and isinstance(value, dict):
            changed[container.index] = {**value, "image": f"{_untagged(image)}@{known.digest}"}
            pinned[container.index] = {image: known}
        else:
            unpinned.append(container)
    return tuple(unpinned), pinned


def _untagged(image: str) -> str:
    """Return an image without its tag: ECS takes `repository:tag` or `repository@digest`, not both."""
    path, slash, name = image.rpartition("/")
    return path + slash + name.partition(":")[0]


def _listed(containers: Value, changed: Mapping[int, Value], sidecar: dict[str, Value]) -> Value:
    """Return the containers of a task, by their index those that are `changed` and none else, and the sidecar last.

    Where a template chooses between lists, each gets the sidecar; the way back is kept in the first.
    """
    indexes = count()
    sidecars = chain([sidecar], repeat(_without_undo(sidecar)))

    def item(found: Value) -> Value:
        return intrinsics.NO_VALUE if found is None else changed.get(next(indexes), intrinsics.NO_VALUE)

    def items(found: Value) -> Value:
        if not isinstance(found, list):
            return intrinsics.NO_VALUE
        kept = [(each, intrinsics.map_branches(each, item)) for each in found]
        stay = [new for old, new in kept if intrinsics.absent(old) or not intrinsics.absent(new)]
        return [*stay, next(sidecars)]

    return intrinsics.map_branches(containers, items)


def _without_undo(sidecar: dict[str, Value]) -> dict[str, Value]:
    labels = sidecar["dockerLabels"]
    kept = {key: label for key, label in labels.items() if key != wrap.UNDO_LABEL} if isinstance(labels, dict) else {}
    return {**sidecar, "dockerLabels": kept}


def _refuse_platform(definition: TaskDefinition, settings: ProtectSettings) -> None:
    bound = windows(definition)
    if bound is not None:
        key, system = bound
        message = f"the task runs on `{system}`: the Defender protects Linux tasks only"
        raise NothingToProtectError(message, definition.where_of(key))
    clash = definition.container(settings.sidecar_name)
    if clash is not None and not twistlock.is_sidecar(clash):
        message = f"a container is already called `{clash.name}` and is not our sidecar (it has no `{wrap.UNDO_LABEL}`)"
        raise EmbedError(f"{message}: rename it or choose another name for the sidecar", clash.where)
    if settings.install_bundle_secret is not None and not definition.value.get("executionRoleArn"):
        key = definition.dialect.key("executionRoleArn")
        message = f"the install bundle is a secret but the task has no `{key}` to read it with: add one"
        raise EmbedError(message, definition.where_of("executionRoleArn"))


def windows(definition: TaskDefinition) -> tuple[str, str] | None:
    """Return which member binds the task to Windows, and what it says; None when nothing does."""
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
    return None


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
    """Return the containers to wrap, and the others with the reason; raise `NothingToProtectError` if none is left."""
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
        raise NothingToProtectError(
            f"no container is left to protect ({reasons or 'the task has none of its own'})", where
        )
    return selected, skipped


def architecture(definition: TaskDefinition) -> str:
    """Return the processor a task runs on as registries call it: `runtimePlatform`, X86_64 when it does not say."""
    platform = definition.value.get("runtimePlatform")
    cpu = platform.get("cpuArchitecture") if isinstance(platform, dict) else None
    return "arm64" if definition.template.resolve(cpu).value == "ARM64" else "amd64"


def needed(definition: TaskDefinition, settings: ProtectSettings) -> Iterator[tuple[Container, launch.Reference]]:
    """Yield the images that must be known to protect a definition, with the container each is for."""
    try:
        selected, _ = select(definition, own_containers(definition)[0], settings)
    except NothingToProtectError:
        return
    for container in selected:
        references = launch.references(container, definition.template)
        if settings.pin_digest and isinstance(container.value["image"], str) and "@" not in container.image:
            references = (launch.Reference(container.image, container.image),)
        for reference in references:
            yield container, reference


def _launches(
    definition: TaskDefinition, containers: Sequence[Container], images: Mapping[str, ImageConfig]
) -> list[Launch]:
    known: list[Launch] = []
    unknown: list[launch.UnknownImageError] = []
    for container in containers:
        try:
            known.append(launch.resolve(container, definition.template, images))
        except launch.UnknownImageError as error:
            unknown.append(error)
    if not unknown:
        return known
    names = selection.listed([error.container.name for error in unknown])
    where = "; ".join(map(_unknown, unknown))
    key = definition.dialect.key
    message = f"no `{key('entryPoint')}` is given for {names} and nothing is known about the image: {where}"
    advice = f"set `{key('entryPoint')}` and `{key('command')}`, or have the image looked up"
    missing = list(dict.fromkeys(name for error in unknown for name in error.reference.unknown))
    if missing:
        advice += f" (give {' and '.join(missing)} with `--parameter`, or the image of a container by its name)"
    raise EmbedError(f"{message}: {advice}", unknown[0].container.where)


def _unknown(error: launch.UnknownImageError) -> str:
    container, reference = error.container, error.reference
    called = f"`{reference.expression}`"
    if reference.reference is not None and reference.reference != reference.expression:
        called += f" (`{reference.reference}`)"
    return f"`{container.name}` ({container.where}) runs {called}"
