"""Schemas of an OpenAPI document, each made whole so that it can travel alone."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bartizan.policy.firewall.patterns import expression
from bartizan.policy.openapi.reading import Spec

LARGEST_SCHEMA = 32 * 1024
LARGEST_IN_ALL = 256 * 1024
"""How large the schemas of a document may be together, in bytes: the policy travels in one frame."""
_MOST_PARTS = 2000
_DEEPEST = 40
_LONGEST_PATTERN = 1000
_LARGEST_COUNT = 2**31
_PLAIN = frozenset(("type",))
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_LONG_REPEAT = re.compile(r"\{[0-9]*,?[0-9]{4,}\}")


def _is_linear(pattern: object) -> bool:
    """Return whether the Defender's engine takes a pattern, as far as can be told."""
    if not isinstance(pattern, str):
        return False
    try:
        expression(pattern)
    except ValueError:
        return False
    return len(pattern) <= _LONGEST_PATTERN and not _LONG_REPEAT.search(pattern)


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _is_count(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= _LARGEST_COUNT


def _are_texts(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(item, str) for item in given)


def _are_types(given: object) -> bool:
    # A Defender refuses a policy with a type that is none.
    return isinstance(given, list) and given != [] and all(item in _TYPES for item in given)


_FURTHER: Mapping[str, tuple[type, ...]] = {
    "properties": (dict,),
    "allOf": (list,),
    "anyOf": (list,),
    "oneOf": (list,),
    "items": (dict, bool),
    "additionalProperties": (dict, bool),
    "not": (dict, bool),
}
"""Keywords that hold further schemas, and what they may be."""
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "type": lambda given: given in (*_TYPES, "file") if isinstance(given, str) else _are_types(given),
    "enum": lambda given: isinstance(given, list) and bool(given),
    "const": lambda _given: True,
    "format": lambda given: isinstance(given, str),
    "pattern": _is_linear,
    "required": _are_texts,
    **dict.fromkeys(("nullable", "uniqueItems"), lambda given: isinstance(given, bool)),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), lambda given: isinstance(given, bool | int | float)),
    **dict.fromkeys(("minimum", "maximum"), _is_number),
    "multipleOf": lambda given: _is_number(given) and given > 0,
    **dict.fromkeys(("minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"), _is_count),
}
"""Other keywords, and whether their values are what JSON Schema says; one that is not says nothing."""


class _TooLargeError(Exception):
    """The schema comes to more than one may."""


class Schemas:
    """Makes schemas of one document whole; `left_out` counts those that were too large."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._bytes = 0
        self.left_out = 0

    def whole(self, schema: object) -> dict[str, Any] | None:
        """
        Return a schema with what it refers to in `$defs`, without what only describes; None for one that says nothing.

        Patterns that no linear engine takes are left out.
        """
        if not isinstance(schema, dict):
            return None
        walk = _Walk(self._spec)
        try:
            found = walk.whole(schema)
        except _TooLargeError:
            self.left_out += 1
            return None
        size = len(msgspec.json.encode(found))
        if size > LARGEST_SCHEMA or self._bytes + size > LARGEST_IN_ALL:
            self.left_out += 1
            return None
        self._bytes += size
        return found if set(found) - _PLAIN else None


class _Walk:
    """One schema on its way out of its document."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._names: dict[str, str] = {}
        self._waiting: list[str] = []
        self._parts = 0

    def whole(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return it with its definitions."""
        found: dict[str, Any] = self._part(schema, 0)
        definitions: dict[str, Any] = {}
        while self._waiting:
            reference = self._waiting.pop()
            target = self._spec.at(reference)
            definitions[self._names[reference]] = self._part(target, 0) if isinstance(target, dict) else {}
        return {**found, "$defs": definitions} if definitions else found

    def _part(self, value: Any, depth: int) -> Any:  # noqa: ANN401 - a schema is an object, or true or false
        self._parts += 1
        if self._parts > _MOST_PARTS or depth > _DEEPEST:
            raise _TooLargeError
        if not isinstance(value, dict):
            return value if isinstance(value, bool) else {}
        found: dict[str, Any] = {}
        for name, given in value.items():
            if name == "$ref" or name in _FURTHER or name in _FITS:
                self._keep(found, name, given, depth + 1)
        return found

    def _keep(self, found: dict[str, Any], name: str, given: Any, depth: int) -> None:  # noqa: ANN401 - as above
        if name == "$ref":
            if isinstance(given, str) and isinstance(self._spec.at(given), dict):
                found[name] = f"#/$defs/{self._named(given)}"
        elif name in _FURTHER:
            if isinstance(given, _FURTHER[name]) and given != []:
                found[name] = self._further(name, given, depth)
        elif _FITS[name](given):
            found[name] = given

    def _further(self, name: str, given: Any, depth: int) -> Any:  # noqa: ANN401 - as above
        """Return the schemas that a keyword holds: by name, in a list, or one."""
        if isinstance(given, list):
            return [self._part(part, depth) for part in given]
        if name == "properties":
            return {key: self._part(part, depth) for key, part in given.items()}
        return self._part(given, depth)

    def _named(self, reference: str) -> str:
        if reference not in self._names:
            self._names[reference] = f"d{len(self._names)}"
            self._waiting.append(reference)
        return self._names[reference]
