"""What a CloudFormation template knows of its values before it is deployed: parameters, mappings, conditions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bartizan.embed.intrinsics import NO_VALUE, choice, function, spelled
from bartizan.embed.json_text import Value
from bartizan.embed.rewrite import CONDITION

DEPTH_LIMIT = 20
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_PAIR = 2


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
        if value == NO_VALUE:
            return Resolved(None)
        if depth > DEPTH_LIMIT:
            return Resolved(None, ("an expression that goes round in circles",))
        argument = value[name]
        found = Resolved(None, (f"`{spelled(value)[2:-1]}`",))
        match name:
            case "Ref":
                found = self._reference(spelled(argument))
            case "Fn::Sub":
                found = self._substituted(argument, depth)
            case "Fn::If":
                found = self._choice(argument, depth)
            case "Fn::Join" | "Fn::Select" | "Fn::Split" | "Fn::FindInMap":
                found = self._computed(name, argument, depth)
        return found

    def holds(self, condition: Value, depth: int = 0) -> bool | None:
        """Return whether a condition (its name, or its expression) holds; None when that is unknown."""
        if isinstance(condition, str):
            condition = self.conditions.get(condition)
        name = function(condition)
        if name is None or not isinstance(condition, dict) or depth > DEPTH_LIMIT:
            return None
        arguments = condition[name]
        if name == "Condition":
            return self.holds(arguments, depth + 1)
        parts = arguments if isinstance(arguments, list) else []
        if name == "Fn::Equals":
            return self._equal(parts, depth)
        known = [self.holds(part, depth + 1) for part in parts]
        if name == "Fn::Not":
            return None if known[:1] in ([], [None]) else not known[0]
        decisive = name == "Fn::Or"
        return decisive if decisive in known else None if None in known else not decisive

    def _equal(self, sides: list[Value], depth: int) -> bool | None:
        left, right = (self.resolve(side, depth + 1) for side in (sides if len(sides) == _PAIR else (None, None)))
        return None if left.unknown or right.unknown else spelled(left.value) == spelled(right.value)

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
        template, own = (
            (argument[0], argument[1]) if isinstance(argument, list) and len(argument) == _PAIR else (argument, {})
        )
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


def read_template(root: Value, given: Mapping[str, str]) -> Template:
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
    return Template({**values, **given}, types, _section(sections, "Mappings"), _section(sections, "Conditions"))


def _section(root: Mapping[str, Value], name: str) -> dict[str, Value]:
    section = root.get(name)
    return section if isinstance(section, dict) else {}
