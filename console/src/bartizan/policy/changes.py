"""
What differs between two policies: as a list of changes for people and programs, and as lines of YAML.

Works on documents with an ordered list `rules`, each with a `name`, whatever else they hold: so it serves every kind of
policy.
"""

import bisect
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["added", "removed", "changed", "moved"]
LineKind = Literal["same", "added", "removed", "gap"]
_BOOK_KEEPING = frozenset(("owner", "modified", "previousName"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """
    One field of a rule, by its path such as `processes.blacklist`.

    For lists of values `added` and `removed` are those that came and went; `before` and `after` are the whole values.
    """

    field: str
    before: Any
    after: Any
    added: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference; a `gap` stands for lines that both have."""

    kind: LineKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """What became of one rule, and the lines that tell it. Places count from 1; None where there is no such rule."""

    kind: Kind
    rule: str
    before: int | None
    after: int | None
    fields: tuple[FieldChange, ...] = ()
    lines: tuple[Line, ...] = ()


def policy_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RuleChange]:
    """
    Return what changed from one policy to another, in the order of the later one, removed rules last.

    Rules are known by their names. A rule that only shifts because others came or went is not moved; of those that
    changed their order as few as possible are called so.
    """
    old, new = _by_name(before), _by_name(after)
    stays = _in_order([old[name][0] for name in new if name in old])
    changes = []
    for name, (place, rule) in new.items():
        if name not in old:
            changes.append(RuleChange(kind="added", rule=name, before=None, after=place))
            continue
        former, known = old[name]
        if fields := tuple(_fields(known, rule)):
            changes.append(RuleChange(kind="changed", rule=name, before=former, after=place, fields=fields))
        if former not in stays:
            changes.append(RuleChange(kind="moved", rule=name, before=former, after=place))
    gone = ((name, place) for name, (place, _) in old.items() if name not in new)
    return [*changes, *(RuleChange(kind="removed", rule=name, before=place, after=None) for name, place in gone)]


def changed_lines(before: str, after: str, *, context: int = 3) -> list[Line]:
    """Return the difference of two texts by lines, with some that both have around it; empty for equal texts."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    end = 0
    for group in difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(context):
        if group[0][1] > end:
            lines.append(Line("gap", ""))
        for tag, start, end, new_start, new_end in group:
            if tag == "equal":
                lines += [Line("same", text) for text in old[start:end]]
                continue
            lines += [Line("removed", text) for text in old[start:end]]
            lines += [Line("added", text) for text in new[new_start:new_end]]
    if lines and end < len(old):
        lines.append(Line("gap", ""))
    return lines


def _by_name(document: Mapping[str, Any]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """Return the rules with their places by their names."""
    return {str(rule.get("name", "")): (place, rule) for place, rule in enumerate(document.get("rules") or [], start=1)}


def _in_order(places: Sequence[int]) -> set[int]:
    """Return a longest part of them that rises: the rules that kept their order among each other."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for place in places:
        index = bisect.bisect_left(ends, place)
        before[place] = ends[index - 1] if index else None
        ends[index : index + 1] = [place]
    found: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found


def _fields(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[FieldChange]:
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old == new or (not path and key in _BOOK_KEEPING):
            continue
        name = f"{path}{key}"
        if isinstance(new, Mapping) and isinstance(old, Mapping | None):
            yield from _fields(old or {}, new, f"{name}.")
        elif isinstance(old, list | None) and isinstance(new, list | None):
            came = tuple(item for item in new or [] if item not in (old or []))
            went = tuple(item for item in old or [] if item not in (new or []))
            yield FieldChange(field=name, before=old, after=new, added=came, removed=went)
        else:
            yield FieldChange(field=name, before=old, after=new)
