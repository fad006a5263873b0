"""What values look like: their kinds and the names within them, never themselves."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

LONGEST_NAME = 512
MOST_MEMBERS = 400
"""How many names an object keeps; of more it is the first by their letters, so that the order of arrival is nothing."""
DEEPEST = 10
"""How many levels are kept: Defenders look at 8 of a body."""

Kind = Literal["array", "boolean", "integer", "null", "number", "object", "string"]
Kinds = Annotated[tuple[Kind, ...], msgspec.Meta(max_length=7)]
MemberName = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]


class Shape(msgspec.Struct, frozen=True, omit_defaults=True):
    """The shape of values, written as a JSON Schema: one kind or several, none when nothing was seen."""

    type: Kind | Kinds = ()
    properties: dict[MemberName, "Shape"] = {}
    items: "Shape | None" = None


NOTHING = Shape()


def kinds_of(shape: Shape) -> frozenset[Kind]:
    """Return the kinds of a shape."""
    return frozenset((shape.type,) if isinstance(shape.type, str) else shape.type)


def normal(shape: Shape, *, depth: int = 0) -> Shape:
    """
    Return a shape that anybody may have sent in its normal form, no deeper and no wider than is kept.

    In it several kinds are sorted, and whole numbers that come beside others are numbers.
    """
    if depth >= DEEPEST:
        return Shape(type=_type(kinds_of(shape)))
    names = sorted(shape.properties)[:MOST_MEMBERS]
    return Shape(
        type=_type(kinds_of(shape)),
        properties={name: normal(shape.properties[name], depth=depth + 1) for name in names},
        items=None if shape.items is None else normal(shape.items, depth=depth + 1),
    )


def union(one: Shape, other: Shape) -> Shape:
    """Return the shape of the values of both, which are in normal form; which comes first is nothing."""
    if NOTHING in (one, other):
        return other if one == NOTHING else one
    names = sorted(one.properties.keys() | other.properties.keys())[:MOST_MEMBERS]
    items = [shape.items for shape in (one, other) if shape.items is not None]
    return Shape(
        type=_type(kinds_of(one) | kinds_of(other)),
        properties={
            name: union(one.properties.get(name, NOTHING), other.properties.get(name, NOTHING)) for name in names
        },
        items=union(items[0], items[-1]) if items else None,
    )


def names_in(shape: Shape) -> int:
    """Return how many names a shape has, at all its levels."""
    below = sum(map(names_in, shape.properties.values())) + (0 if shape.items is None else names_in(shape.items))
    return len(shape.properties) + below


def _type(kinds: Iterable[Kind]) -> Kind | tuple[Kind, ...]:
    found = set(kinds)
    if "number" in found:
        found.discard("integer")
    ordered = tuple(sorted(found))
    return ordered[0] if len(ordered) == 1 else ordered
