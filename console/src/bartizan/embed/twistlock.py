"""Definitions that carry the vendor's Defender: take it out, so that ours can go in.

The shape is that of definitions in public repositories: a sidecar `TwistlockDefender`; in each other container an
entrypoint that begins with a program in the vendor's volume, variables `TW_…`, a dependency and a volume.
"""

from dataclasses import replace

from bartizan.embed.definition import Container
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value

SIDECAR = "TwistlockDefender"
_VOLUME = "/var/lib/twistlock/"
_PROGRAMS = ("/defender", "/fargate_defender.sh")
_VARIABLES = ("DEFENDER_TYPE", "FARGATE_TASK", "FILESYSTEM_MONITORING", "FIPS_ENABLED")


def is_sidecar(container: Container) -> bool:
    """Return whether `container` is the vendor's sidecar."""
    return container.name == SIDECAR


def unwrapped(container: Container) -> Container:
    """Return `container` as it was before the vendor's tool, as far as its output tells.

    The vendor starts the command alone when the entrypoint is empty, so such a container resets its entrypoint
    (`[""]`). Raises `EmbedError` for members of the wrong type.
    """
    value = dict(container.value)
    entry_point = container.entry_point or []
    if _is_wrap(entry_point):
        rest = entry_point[1:]
        rest = rest[2:] if rest[:2] == ["fargate", "entrypoint"] else rest
        _set(value, "entryPoint", list(rest) or ([""] if container.command else []))
        own = [item for item in container.objects("environment") if not _is_variable(item.get("name"))]
        _set(value, "environment", list(own))
    for key, member in (("volumesFrom", "sourceContainer"), ("dependsOn", "containerName")):
        kept = [item for item in container.objects(key) if item.get(member) != SIDECAR]
        if len(kept) < len(container.objects(key)):
            _set(value, key, list(kept))
    return replace(container, value=value)


def refuse_leftover(container: Container) -> None:
    """Raise `EmbedError` when a container starts under the vendor's Defender although the sidecar is gone."""
    if _is_wrap(container.entry_point or []):
        message = f"container `{container.name}` starts under the vendor's Defender but `{SIDECAR}` is gone"
        raise EmbedError(f"{message}: protect the original definition", container.where_of("entryPoint"))


def _is_wrap(entry_point: list[Value]) -> bool:
    program = entry_point[0] if entry_point else None
    return isinstance(program, str) and program.startswith(_VOLUME) and program.endswith(_PROGRAMS)


def _is_variable(name: Value) -> bool:
    return isinstance(name, str) and (name.startswith("TW_") or name in _VARIABLES)


def _set(value: dict[str, Value], key: str, items: list[Value]) -> None:
    if items:
        value[key] = items
    else:
        value.pop(key, None)
