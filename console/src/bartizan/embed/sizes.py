"""Sizes of Fargate tasks, and whether what the containers reserve fits (ECS developer guide, "Task size")."""

import re
from collections.abc import Callable, Iterator, Sequence

from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.json_text import Value
from bartizan.embed.template import Resolved

_GIB = 1024
SIDECAR_MEMORY = 64
"""MiB that the sidecar wants; it is measured to take less than 16."""
_MEMORY: dict[int, Sequence[int]] = {
    256: (512, 1 * _GIB, 2 * _GIB),
    512: range(1 * _GIB, 4 * _GIB + 1, _GIB),
    1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
    2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
    4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
    8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
    16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
}
"""CPU units and the MiB of memory that go with them."""
_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(vcpu|gb|mb|gib|mib)?\s*", re.IGNORECASE)


def quantity(value: Value) -> int | None:
    """Return CPU units or MiB: `256`, `"256"`, `".25 vCPU"`, `"0.5 GB"`; None for what is none of these."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        return None
    unit = (found[2] or "").lower()
    return round(float(found[1]) * (_GIB if unit in {"vcpu", "gb", "gib"} else 1))


def advice(definition: TaskDefinition, containers: Sequence[Container]) -> Iterator[str]:
    """Yield what is wrong with the sizes of a task whose own containers are `containers`, and what would be right.

    Sizes that only a deployment knows are left out of it.
    """
    resolve = definition.template.resolve
    cpu = quantity(resolve(definition.value.get("cpu")).value)
    memory = quantity(resolve(definition.value.get("memory")).value)
    kinds = definition.value.get("requiresCompatibilities")
    if isinstance(kinds, list) and "FARGATE" in kinds and cpu is not None and memory is not None:
        yield from _pair(cpu, memory)
    if memory is not None:
        reserved = sum(_reserved(container, resolve) for container in containers)
        if reserved + SIDECAR_MEMORY > memory:
            yield _too_small(cpu, memory, reserved)
    if cpu is not None:
        units = sum(quantity(resolve(container.value.get("cpu")).value) or 0 for container in containers)
        if units > cpu:
            yield f"the containers reserve {units} CPU units and the task has {cpu}: AWS refuses that"


def _pair(cpu: int, memory: int) -> Iterator[str]:
    fitting = _MEMORY.get(cpu)
    if fitting is None:
        if cpu < max(_MEMORY):
            yield f"Fargate has no tasks with {cpu} CPU units: take one of {', '.join(map(str, _MEMORY))}"
    elif memory not in fitting:
        larger = next((size for size in fitting if size >= memory), fitting[-1])
        yield f"Fargate has no tasks with {cpu} CPU units and {memory} MiB: take {larger} MiB"


def _reserved(container: Container, resolve: Callable[[Value], Resolved]) -> int:
    """Return what a container takes of the task's memory for sure: its reservation, else its limit."""
    for key in ("memoryReservation", "memory"):
        found = quantity(resolve(container.value.get(key)).value)
        if found is not None:
            return found
    return 0


def _too_small(cpu: int | None, memory: int, reserved: int) -> str:
    wanted = reserved + SIDECAR_MEMORY
    sizes = _MEMORY.get(cpu or 0, ())
    larger = next((size for size in sizes if size >= wanted), None)
    take = f"take {larger} MiB" if larger is not None else f"the task should have {wanted} MiB"
    return f"the containers reserve {reserved} of the task's {memory} MiB, which leaves the sidecar too little: {take}"
