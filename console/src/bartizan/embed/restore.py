"""The way back in terms of values: what was added leaves, what was taken returns, what the user did since stays.

A path names members by key and items of lists by what they are known by (`["name", "web"]`), never by position, so it
still leads to its place after containers were moved, variables sorted or members added.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from bartizan.embed.json_text import Value
from bartizan.embed.rewrite import CONDITION, align, identity, same
from bartizan.embed.wrap import WRAPPER

Key = str | tuple[str, str]
STEPS_LIMIT = 5_000
_DEPTH_LIMIT = 32
_DIGITS = 6
# Argument lists are one value: their items mean nothing by themselves.
_ARGUMENTS = ("entryPoint", "command")
# In a path: an argument of a choice (`Fn::If`), by its index.
_POSITION = "#"


class Step(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """One step back at the place `path`.

    `drop` takes a member or an item out. `prune` takes out a member that is empty now, or nulls it unless `absent`.
    `put` gives a missing member back its `old` value. `insert` gives the list at `path` back its missing item `old`.
    `reset` sets a member that is still `new` back to `old`, or takes it out when `absent`; from an argument list that
    was changed since, it takes the first `index` arguments when those are still ours.
    """

    kind: str
    path: list[Key]
    index: int = 0
    absent: bool = False
    old: Any = None
    new: Any = None


def record(old: Value, new: Value, path: tuple[Key, ...] = ()) -> Iterator[Step]:
    """Yield the steps that lead from the value `new` back to `old`."""
    if path and path[-1] in _ARGUMENTS:
        yield Step("reset", list(path), index=_prefix(path), old=old, new=new)
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _record_members(old, new, path)
    elif isinstance(old, list) and isinstance(new, list) and path[-1] == CONDITION and len(old) == len(new):
        for index, (item, other) in enumerate(zip(new, old, strict=True)):
            if not same(other, item):
                yield from record(other, item, (*path, (_POSITION, str(index))))
    elif isinstance(old, list) and isinstance(new, list) and _known(new):
        yield from _record_items(old, new, path)
    elif old is None and isinstance(new, (dict, list)) and _known(new):
        yield from list(_added(new, path))[:-1]
        yield Step("prune", list(path))
    else:
        yield Step("reset", list(path), index=_prefix(path), old=old, new=new)


def _record_members(old: dict[str, Value], new: dict[str, Value], path: tuple[Key, ...]) -> Iterator[Step]:
    for key, item in new.items():
        if key not in old:
            yield from _added(item, (*path, key))
        elif not same(old[key], item):
            yield from record(old[key], item, (*path, key))
    for key, item in old.items():
        if key not in new:
            yield Step("put", [*path, key], old=item)


def _record_items(old: list[Value], new: list[Value], path: tuple[Key, ...]) -> Iterator[Step]:
    matches = align(old, new)
    for item, match in zip(new, matches, strict=True):
        if match is not None and old[match] is item:
            continue
        known = identity(item) or ""
        if match is None:
            yield Step("drop", [*path, known])
        elif not same(old[match], item):
            yield from record(old[match], item, (*path, known))
    stayed = set(matches)
    for index, item in enumerate(old):
        if index not in stayed:
            yield Step("insert", list(path), index=index, old=item)


def _added(item: Value, path: tuple[Key, ...]) -> Iterator[Step]:
    if isinstance(item, dict):
        for key, child in item.items():
            yield from _added(child, (*path, key))
        yield Step("prune", list(path), absent=True)
    elif isinstance(item, list) and path[-1] not in _ARGUMENTS and _known(item):
        for child in item:
            yield Step("drop", [*path, identity(child) or ""])
        yield Step("prune", list(path), absent=True)
    else:
        yield Step("reset", list(path), index=_prefix(path), absent=True, new=item)


def _known(value: Value) -> bool:
    return not isinstance(value, list) or all(identity(item) is not None for item in value)


def _prefix(path: tuple[Key, ...]) -> int:
    return len(WRAPPER) if path and path[-1] == "entryPoint" else 0


def restore(value: dict[str, Value], steps: Iterable[Step]) -> dict[str, Value]:
    """Return `value` with `steps` done; a step whose place is gone, or was filled since, does nothing."""
    changed: Value = value
    for step in steps:
        if 0 < len(step.path) <= _DEPTH_LIMIT and step.kind in _CHANGES:
            changed = _change(changed, step.path, step)
    return changed if isinstance(changed, dict) else value


def _change(value: Value, path: list[Key], step: Step) -> Value:
    """Do `step` at the end of `path`, copying only what lies on the way."""
    key, rest = path[0], path[1:]
    if not rest:
        return _CHANGES[step.kind](value, key, step)
    if isinstance(value, dict) and isinstance(key, str) and key in value:
        child = _change(value[key], rest, step)
        return value if child is value[key] else {**value, key: child}
    index = _index(value, key)
    if isinstance(value, list) and index is not None:
        child = _change(value[index], rest, step)
        return value if child is value[index] else [*value[:index], child, *value[index + 1 :]]
    return value


def _index(value: Value, key: Key) -> int | None:
    if not isinstance(value, list):
        return None
    if isinstance(key, tuple) and key[0] == _POSITION:
        return int(key[1]) if key[1].isdecimal() and len(key[1]) < _DIGITS and int(key[1]) < len(value) else None
    return next((index for index, item in enumerate(value) if identity(item) == key), None)


def _drop(value: Value, key: Key, _: Step) -> Value:
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name != key}
    index = _index(value, key)
    return [*value[:index], *value[index + 1 :]] if isinstance(value, list) and index is not None else value


def _prune(value: Value, key: Key, step: Step) -> Value:
    if not isinstance(value, dict) or not isinstance(key, str) or value.get(key) not in ({}, []):
        return value
    return _drop(value, key, step) if step.absent else {**value, key: None}


def _put(value: Value, key: Key, step: Step) -> Value:
    if not isinstance(value, dict) or not isinstance(key, str) or key in value:
        return value
    return {**value, key: step.old}


def _insert(value: Value, key: Key, step: Step) -> Value:
    items = value.get(key) if isinstance(value, dict) and isinstance(key, str) else None
    if not isinstance(value, dict) or not isinstance(key, str) or not isinstance(items, list):
        return value
    known = identity(step.old)
    if known is not None and _index(items, known) is not None:
        return value
    at = max(step.index, 0)
    return {**value, key: [*items[:at], step.old, *items[at:]]}


def _reset(value: Value, key: Key, step: Step) -> Value:
    index = _index(value, key)
    if isinstance(value, list) and index is not None:
        return [*value[:index], step.old, *value[index + 1 :]] if same(value[index], step.new) else value
    if not isinstance(value, dict) or not isinstance(key, str) or key not in value:
        return value
    now, ours = value[key], step.new
    if same(now, ours):
        return _drop(value, key, step) if step.absent else {**value, key: step.old}
    if step.index > 0 and isinstance(now, list) and isinstance(ours, list) and now[: step.index] == ours[: step.index]:
        rest = now[step.index :]
        return {**value, key: rest} if rest else _drop(value, key, step)
    return value


_CHANGES: dict[str, Callable[[Value, Key, Step], Value]] = {
    "drop": _drop,
    "prune": _prune,
    "put": _put,
    "insert": _insert,
    "reset": _reset,
}
