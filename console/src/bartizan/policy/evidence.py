"""What was seen, and the lines of a rule that it speaks for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

ENOUGH = 5
"""So many different things have to be covered before a pattern stands for them."""
_EXAMPLES = 5

Kind = Literal["process", "name", "address", "listen", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing that a workload did, how often, and when (unix milliseconds); kinds as in `contract/`."""

    kind: Kind
    value: str
    count: int
    first: int
    last: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry of the rule and what speaks for it: `covers` things, seen `count` times between `first` and `last`."""

    field: str
    entry: str
    covers: int
    count: int
    first: int
    last: int
    examples: tuple[str, ...] = ()
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that was seen and is not allowed by the rule, and why not."""

    kind: Kind
    value: str
    count: int
    reason: str


class Gathering:
    """Lines and what is left out, as they come."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.left_out: list[LeftOut] = []

    def line(self, field: str, entry: str, covered: Sequence[Seen], *, warning: str = "") -> str:
        """Note an entry with its evidence, and return it."""
        examples = tuple(dict.fromkeys(f"{item.value} {item.detail}".strip() for item in covered))
        self.lines.append(
            Line(
                field=field,
                entry=entry,
                covers=len({item.value for item in covered}),
                count=sum(item.count for item in covered),
                first=min(item.first for item in covered),
                last=max(item.last for item in covered),
                examples=examples[:_EXAMPLES],
                warning=warning,
            )
        )
        return entry

    def leave_out(self, item: Seen, reason: str) -> None:
        """Note what is not allowed."""
        self.left_out.append(LeftOut(kind=item.kind, value=item.value, count=item.count, reason=reason))

    def usable(self, items: Iterable[Seen], check: Callable[[str], str]) -> dict[str, list[Seen]]:
        """Return the things that can be entries by their normal form; `check` raises ValueError with why not."""
        found: dict[str, list[Seen]] = {}
        for item in items:
            try:
                found.setdefault(check(item.value), []).append(item)
            except ValueError as error:
                self.leave_out(item, str(error))
        return found


def grouped(items: Iterable[Seen], key: Callable[[Seen], str]) -> dict[str, list[Seen]]:
    """Return the things by a key, in the order in which they came."""
    found: dict[str, list[Seen]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
