"""CloudFormation's intrinsic functions, as far as protecting needs them: choices, names for people, known values.

An intrinsic function is an object with one member (`{"Ref": "X"}`, `{"Fn::Sub": "…"}`; CloudFormation user guide,
"Intrinsic function reference"). What the output says is never computed: functions stay as they are, or are put around
others. Computed is only what an image is called, to look it up.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bartizan.embed.json_text import Value
from bartizan.embed.rewrite import CONDITION

NO_VALUE: dict[str, Value] = {"Ref": "AWS::NoValue"}
"""Stands for a member or an item that is not there (CloudFormation, "Pseudo parameters")."""
DEPTH_LIMIT = 20
_REFERENCE = re.compile(r"\$\{([^}]*)\}")


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
    parts = argument if isinstance(argument, list) else [argument]
    match name:
        case "Ref":
            return f"${{{spelled(argument)}}}"
        case "Fn::Sub":
            return spelled(parts[0] if parts else None)
        case "Fn::GetAtt":
            return f"${{{'.'.join(map(spelled, parts))}}}"
        case "Fn::Join" if len(parts) == 2 and isinstance(parts[1], list):  # noqa: PLR2004
            return spelled(parts[0]).join(map(spelled, parts[1]))
        case "Fn::If" if len(parts) == 3:  # noqa: PLR2004
            return f"{spelled(parts[1])} or {spelled(parts[2])}"
        case _:
            return f"${{{name.removeprefix('Fn::')} {' '.join(map(spelled, parts))}}}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a value comes to. `value` is None when something is `unknown`: names for people, in backticks."""

    value: Value
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """What a template knows: values of parameters (defaults, and those given), mappings, conditions."""

    parameters: Mapping[str, Value] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    mappings: Mapping[str, Value] = field(default_factory=dict)
    conditions: Mapping[str, Value] = field(default_factory=dict)

    def is_list(self, parameter: Value) -> bool:
        """Return whether a parameter is a list whose items hold no comma."""
        return isinstance(parameter, str) and self.types.get(parameter, "").startswith(("CommaDelimitedList", "List<"))

    def resolve(self, value: Value, depth: int = 0) -> Resolved:
        """Return what `value` comes to with the parameters known, or what is unknown."""
        name = function(value)
        if name is None or not isinstance(value, dict):
            return Resolved(value)
        if depth > DEPTH_LIMIT:
            return Resolved(None, ("an expression that goes round in circles",))
        argument = value[name]
        match name:
            case "Ref":
                return self._reference(spelled(argument))
            case "Fn::Sub":
                return self._substituted(argument, depth)
            case "Fn::GetAtt":
                return Resolved(None, (f"`{spelled(value)[2:-1]}`",))
            case "Fn::If":
                return self._choice(argument, depth)
            case "Fn::Join" | "Fn::Select" | "Fn::Split" | "Fn::FindInMap":
                return self._computed(name, argument, depth)
            case _:
                return Resolved(None, (f"`{spelled(value)[2:-1]}`",))

    def holds(self, condition: Value, depth: int = 0) -> bool | None:
        """Return whether a condition (its name, or its expression) holds; None when that is unknown."""
        if depth > DEPTH_LIMIT:
            return None
        if isinstance(condition, str):
            return self.holds(self.conditions[condition], depth + 1) if condition in self.conditions else None
        name = function(condition)
        if name is None or not isinstance(condition, dict):
            return None
        arguments = condition[name]
        if name == "Condition":
            return self.holds(arguments, depth + 1)
        if not isinstance(arguments, list):
            return None
        if name == "Fn::Equals" and len(arguments) == 2:  # noqa: PLR2004
            left, right = (self.resolve(side, depth + 1) for side in arguments)
            return None if left.unknown or right.unknown else spelled(left.value) == spelled(right.value)
        parts = [self.holds(part, depth + 1) for part in arguments]
        if name == "Fn::Not" and len(parts) == 1:
            return None if parts[0] is None else not parts[0]
        if name in {"Fn::And", "Fn::Or"}:
            decisive = name == "Fn::Or"
            return decisive if decisive in parts else None if None in parts else not decisive
        return None

    def _reference(self, name: str) -> Resolved:
        if name in self.parameters:
            return Resolved(self.parameters[name])
        region = self.parameters.get("AWS::Region")
        if isinstance(region, str) and name in {"AWS::URLSuffix", "AWS::Partition"}:
            china = region.startswith("cn-")
            suffix = "amazonaws.com.cn" if china else "amazonaws.com"
            return Resolved(suffix if name == "AWS::URLSuffix" else "aws-cn" if china else "aws")
        return Resolved(None, (f"`{name}`",))

    def _choice(self, arguments: Value, depth: int) -> Resolved:
        alternatives = choice({CONDITION: arguments})
        if alternatives is None:
            return Resolved(None, ("a malformed `Fn::If`",))
        holds = self.holds(alternatives[0])
        if holds is None:
            return Resolved(None, (f"the condition `{alternatives[0]}`",))
        return self.resolve(alternatives[1] if holds else alternatives[2], depth + 1)

    def _substituted(self, argument: Value, depth: int) -> Resolved:
        template, own = (argument[0], argument[1]) if isinstance(argument, list) and len(argument) == 2 else (argument, {})  # noqa: PLR2004
        if not isinstance(template, str) or not isinstance(own, dict):
            return Resolved(None, ("a malformed `Fn::Sub`",))
        unknown: list[str] = []

        def fill(found: re.Match[str]) -> str:
            name = found[1].strip()
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            part = self.resolve(own[name], depth + 1) if name in own else self._reference(name)
            unknown.extend(part.unknown)
            return spelled(part.value)

        text = _REFERENCE.sub(fill, template)
        return Resolved(None, tuple(dict.fromkeys(unknown))) if unknown else Resolved(text)

    def _computed(self, name: str, argument: Value, depth: int) -> Resolved:
        """Return what a function of values comes to."""
        arguments = argument if isinstance(argument, list) else []
        found: list[Value] = []
        unknown: list[str] = []
        for item in arguments:
            part = self._list(item, depth) if isinstance(item, list) else self.resolve(item, depth + 1)
            found.append(part.value)
            unknown += part.unknown
        if unknown:
            return Resolved(None, tuple(dict.fromkeys(unknown)))
        try:
            return Resolved(self._compute(name, found))
        except (KeyError, IndexError, TypeError, ValueError):
            return Resolved(None, (f"`{spelled({name: argument})[2:-1]}`",))

    def _list(self, items: list[Value], depth: int) -> Resolved:
        parts = [self.resolve(item, depth + 1) for item in items]
        unknown = tuple(dict.fromkeys(name for part in parts for name in part.unknown))
        return Resolved(None if unknown else [part.value for part in parts], unknown)

    def _compute(self, name: str, arguments: list[Value]) -> Value:
        match name:
            case "Fn::Join":
                return spelled(arguments[0]).join(map(spelled, _listed(arguments[1])))
            case "Fn::Select":
                return _listed(arguments[1])[int(spelled(arguments[0]))]
            case "Fn::Split":
                return list(spelled(arguments[1]).split(spelled(arguments[0])))
            case _:
                mapping = self.mappings[spelled(arguments[0])]
                row = mapping[spelled(arguments[1])] if isinstance(mapping, dict) else None
                if not isinstance(row, dict):
                    raise KeyError(name)
                return row[spelled(arguments[2])]


def _listed(items: Value) -> list[Value]:
    if isinstance(items, str):  # a parameter that is a list is given as one text
        return list(items.split(","))
    if isinstance(items, list):
        return items
    raise TypeError(items)


def template(root: Value, given: Mapping[str, str]) -> Template:
    """Return what a template knows, `given` values of parameters included.

    The default of an SSM parameter type is the name of a parameter, not its value, so it is not taken.
    """
    sections = root if isinstance(root, dict) else {}
    declared = _section(sections, "Parameters")
    values: dict[str, Value] = {}
    types: dict[str, str] = {}
    for name, parameter in declared.items():
        if not isinstance(parameter, dict):
            continue
        types[name] = spelled(parameter.get("Type"))
        default = parameter.get("Default")
        if default is not None and not types[name].startswith("AWS::SSM::Parameter::Value<"):
            values[name] = default
    return Template(
        {**values, **given}, types, _section(sections, "Mappings"), _section(sections, "Conditions")
    )


def _section(root: Mapping[str, Value], name: str) -> dict[str, Value]:
    section = root.get(name)
    return section if isinstance(section, dict) else {}
