"""How the members of a task definition are spelled: `cpu` for ECS, `Cpu` for CloudFormation.

Everything else in the package works on ECS's spelling; what is written is spelled back. The two differ in the first
letter only (CloudFormation, `AWS::ECS::TaskDefinition`), except inside of maps whose keys the user chooses.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bartizan.embed.intrinsics import function
from bartizan.embed.json_text import Value
from bartizan.embed.rewrite import CONDITION

_FREE = frozenset({"dockerLabels", "options", "driverOpts", "labels"})
"""Members whose own members are named by the user."""
_FOREIGN = "="
"""Goes in front of a key that CloudFormation does not have, so that it meets none of ECS's."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A spelling of members: ECS's own, or with a capital (`pascal`)."""

    pascal: bool

    def key(self, key: str) -> str:
        """Return how the member that ECS calls `key` is spelled."""
        if not self.pascal:
            return key
        return key.removeprefix(_FOREIGN) if key.startswith(_FOREIGN) else key[:1].upper() + key[1:]

    def native(self, value: Value) -> Value:
        """Return `value` with ECS's spelling; intrinsic functions are left as they are."""
        return _native(value) if self.pascal else value

    def spelled(self, value: Value) -> Value:
        """Return `value`, which has ECS's spelling, with this one."""
        return self._spelled(value) if self.pascal else value

    def _spelled(self, value: Value) -> Value:
        if isinstance(value, list):
            return [self._spelled(item) for item in value]
        name = function(value)
        if not isinstance(value, dict) or name is not None:
            return _within(value, name, self._spelled)
        return {self.key(key): item if key in _FREE else self._spelled(item) for key, item in value.items()}


ECS = Dialect(pascal=False)
CLOUD_FORMATION = Dialect(pascal=True)


def _native(value: Value) -> Value:
    if isinstance(value, list):
        return [_native(item) for item in value]
    name = function(value)
    if not isinstance(value, dict) or name is not None:
        return _within(value, name, _native)
    result: dict[str, Value] = {}
    for key, item in value.items():
        ours = key[0].lower() + key[1:] if key[:1].isupper() else _FOREIGN + key
        result[ours] = item if ours in _FREE else _native(item)
    return result


def _within(value: Value, name: str | None, change: Callable[[Value], Value]) -> Value:
    """Respell the alternatives of a choice; anything else stays the very object it is."""
    arguments = value[CONDITION] if isinstance(value, dict) and name == CONDITION else None
    if not isinstance(arguments, list):
        return value
    return {CONDITION: [*arguments[:1], *map(change, arguments[1:])]}
