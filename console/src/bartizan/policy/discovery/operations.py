"""The operations of an application: what several Defenders tell of them, made one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from bartizan.policy.discovery.paths import Wide
from bartizan.policy.discovery.shape import NOTHING, Shape, names_in, union

MOST_OPERATIONS = 1_000
"""How many operations are kept of an application; beyond it those go that were not asked for for longest."""
MOST_WIDE = 100
MOST_NAMES = 450
"""How many names of query parameters and of members of its bodies an operation keeps."""
_LARGEST = 2**62

OperationKey = tuple[str, str]
"""Path and method."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """
    A method of a path, in which `{id}` stands for what differs. Times are unix milliseconds.

    `query` has the parameters of the query as properties, `body` the shape of JSON bodies, both in normal form.
    """

    path: str
    method: str
    hits: int
    first_seen: int
    last_seen: int
    statuses: dict[str, int]
    sensitive: bool = False
    unauthenticated: bool = False
    unencrypted: bool = False
    query: Shape = NOTHING
    body: Shape = NOTHING

    @property
    def key(self) -> OperationKey:
        """Path and method."""
        return self.path, self.method

    @property
    def names(self) -> int:
        """How many names its shapes have."""
        return names_in(self.query) + names_in(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """
    What is known of an application; `wide` are paths that are followed by values, which makes what follows one.

    `dropped` counts requests to operations for which there was no room.
    """

    operations: Mapping[OperationKey, Operation] = field(default_factory=dict)
    wide: frozenset[str] = frozenset()
    dropped: int = 0


def combined(*known: Discovered) -> Discovered:
    """
    Return what is known by all of these together; their order is nothing, and how they are grouped.

    That is so up to the bounds: an operation keeps the shape that it has when the next one would have too many names,
    and once there are `MOST_WIDE` wide paths no more are taken.
    """
    wide: frozenset[str] = frozenset()
    for one in known:
        wide |= frozenset(sorted(one.wide - wide)[: MOST_WIDE - len(wide)])
    paths = Wide(wide)
    operations: dict[OperationKey, Operation] = {}
    for operation in (operation for one in known for operation in one.operations.values()):
        path = paths.general(operation.path)
        renamed = operation if path == operation.path else msgspec.structs.replace(operation, path=path)
        present = operations.get(renamed.key)
        operations[renamed.key] = renamed if present is None else _both(present, renamed)
    return Discovered(operations=operations, wide=wide, dropped=_sum(one.dropped for one in known))


def oldest(operations: Iterable[Operation]) -> list[Operation]:
    """Return operations with those first that were not asked for for longest; names decide between equal ones."""
    return sorted(operations, key=lambda operation: (operation.last_seen, operation.key))


def _both(one: Operation, other: Operation) -> Operation:
    query, body = union(one.query, other.query), union(one.body, other.body)
    if names_in(query) + names_in(body) > MOST_NAMES:
        query, body = one.query, one.body
    return Operation(
        path=one.path,
        method=one.method,
        hits=_sum((one.hits, other.hits)),
        first_seen=min(one.first_seen, other.first_seen),
        last_seen=max(one.last_seen, other.last_seen),
        statuses={
            status: _sum((one.statuses.get(status, 0), other.statuses.get(status, 0)))
            for status in sorted(one.statuses.keys() | other.statuses.keys())
        },
        sensitive=one.sensitive or other.sensitive,
        unauthenticated=one.unauthenticated or other.unauthenticated,
        unencrypted=one.unencrypted or other.unencrypted,
        query=query,
        body=body,
    )


def _sum(numbers: Iterable[int]) -> int:
    return min(sum(numbers), _LARGEST)
