"""CloudFormation's intrinsic functions, as far as protecting needs them: choices, names for people, known values.

An intrinsic function is an object with one member (`{"Ref": "X"}`, `{"Fn::Sub": "…"}`; CloudFormation user guide,
"Intrinsic function reference"). What the output says is never computed: functions stay as they are, or are put around
others. What an image is called is computed in `template`, to look it up.
"""

from collections.abc import Callable, Iterator, Mapping

from bartizan.embed.json_text import Value
from bartizan.embed.rewrite import CONDITION

NO_VALUE: dict[str, Value] = {"Ref": "AWS::NoValue"}
"""Stands for a member or an item that is not there (CloudFormation, "Pseudo parameters")."""


def function(value: Value) -> str | None:
    """Return the name of the intrinsic function that `value` is, None when it is a plain value."""
    if isinstance(value, dict) and len(value) == 1:
        name = next(iter(value))
        if name in {"Ref", "Condition"} or name.startswith("Fn::"):
            return name
    return None


def absent(value: Value) -> bool:
    """Return whether a member with this value is not there: null, or `AWS::NoValue`."""
    return value is None or value == NO_VALUE


def choice(value: Value) -> tuple[str, Value, Value] | None:
    """Return condition, value if true and value if false of an `Fn::If`; None for anything else."""
    if isinstance(value, dict) and len(value) == 1:
        arguments = value.get(CONDITION)
        if isinstance(arguments, list) and len(arguments) == 3 and isinstance(arguments[0], str):  # noqa: PLR2004
            return arguments[0], arguments[1], arguments[2]
    return None


def chosen(condition: str, if_true: Value, if_false: Value) -> Value:
    """Return a choice between two values; the value itself when both are the same."""
    if if_true == if_false:
        return if_true
    return {CONDITION: [condition, if_true, if_false]}


def branches(value: Value) -> Iterator[Value]:
    """Yield the values that a choice may come to, nested choices included; None for one that is not there."""
    alternatives = choice(value)
    if alternatives is None:
        yield None if absent(value) else value
        return
    yield from branches(alternatives[1])
    yield from branches(alternatives[2])


def map_branches(value: Value, change: Callable[[Value], Value]) -> Value:
    """Return `value` with `change` done to each value it may come to (None for one that is not there)."""
    alternatives = choice(value)
    if alternatives is None:
        return change(None if absent(value) else value)
    condition, if_true, if_false = alternatives
    return {CONDITION: [condition, map_branches(if_true, change), map_branches(if_false, change)]}


def given(value: Value, known: Mapping[str, bool]) -> Value:
    """Return `value` without the choices whose condition is `known`."""
    alternatives = choice(value)
    while alternatives is not None and alternatives[0] in known:
        value = alternatives[1] if known[alternatives[0]] else alternatives[2]
        alternatives = choice(value)
    return value


def spelled(value: Value) -> str:
    """Return what people call a value: its text, with `${…}` for what only a deployment knows."""
    name = function(value)
    if name is None or not isinstance(value, dict):
        return value if isinstance(value, str) else "" if value is None else str(value)
    argument = value[name]
    if name == "Fn::Transform" and isinstance(argument, dict):
        argument = argument.get("Name")
    parts = argument if isinstance(argument, list) else [argument]
    if name == "Fn::Sub":
        return spelled(parts[0] if parts else None)
    if name == "Fn::Join" and parts and isinstance(parts[-1], list):
        return spelled(parts[0]).join(map(spelled, parts[-1]))
    if name == CONDITION and len(parts) > 1:
        return " or ".join(map(spelled, parts[1:]))
    words = {"Ref": "", "Fn::GetAtt": ""}.get(name, name.removeprefix("Fn::") + " ")
    return f"${{{words}{('.' if name == 'Fn::GetAtt' else ' ').join(map(spelled, parts))}}}"
