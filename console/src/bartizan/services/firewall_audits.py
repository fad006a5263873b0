"""WAAS events: pages, like ones as one, a table of all, and how many there were over time."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy.model import Within
from bartizan.services.audits import with_id
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import AuditGroup
from bartizan.services.retention import Cutoff

_TABLE_PAGE = 500
_MOST_AT_ONCE = 5_000
MOST_BUCKETS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallQuery:
    """
    Which events, in which order. Every tuple holds alternatives, an empty one is no condition.

    `equal` compares whole values, `parts` looks for a part in any case, `words` for one of a list's members; `spans`
    are (first, last) of packed addresses; every one of `text` is somewhere in the event, in any case. `start` and `end`
    are unix milliseconds, both inclusive. Only workloads `within` these collections are meant; None is no such limit.
    """

    ids: tuple[int, ...] = ()
    start: int | None = None
    end: int | None = None
    after_id: int | None = None
    equal: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    spans: tuple[tuple[bytes, bytes], ...] = ()
    never: bool = False
    within: Within = None
    sort: str = "time"
    descending: bool = True
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeslice:
    """How many events there were from `start` until before `end` (unix milliseconds)."""

    start: int
    end: int
    count: int


class FirewallAuditStore(Protocol):
    """The WAAS events; they come in with the other audits, in the same transactions."""

    def newest_id(self) -> int:
        """Return the highest id ever given, 0 when there is none."""
        ...

    def page(self, query: FirewallQuery) -> list[tuple[int, bytes]]:
        """Return (id, JSON document) of one page."""
        ...

    def count(self, query: FirewallQuery) -> int:
        """Return how many events match, whatever the page."""
        ...

    def groups(self, query: FirewallQuery) -> list[AuditGroup]:
        """Return one page of groups of events, each with its newest one."""
        ...

    def count_groups(self, query: FirewallQuery) -> int:
        """Return how many groups there are, whatever the page."""
        ...

    def span(self, query: FirewallQuery) -> tuple[int, int] | None:
        """Return the times of the first and the last event that match."""
        ...

    def buckets(self, query: FirewallQuery, *, start: int, width: int) -> dict[int, int]:
        """Return how many events lie in each bucket of `width` milliseconds from `start` on, by its number."""
        ...

    def prune(self, *, received_before: int, below_id: int, most: int) -> int:
        """Remove at most `most` events that are too old, and return how many went."""
        ...


class FirewallAudits:
    """The WAAS events of one Console, as JSON documents with their `_id`."""

    def __init__(self, store: FirewallAuditStore, *, cutoff: Cutoff) -> None:
        self._store = store
        self._cutoff = cutoff

    async def page(self, query: FirewallQuery) -> tuple[list[bytes], int]:
        """Return the documents of one page, and how many events match in all."""
        rows = await asyncio.to_thread(self._store.page, query)
        return [with_id(*row) for row in rows], await asyncio.to_thread(self._store.count, query)

    async def grouped(self, query: FirewallQuery) -> tuple[list[bytes], int]:
        """Return one page of documents that each stand for like events less than 5 minutes apart, and how many."""
        groups = await asyncio.to_thread(self._store.groups, query)
        return [_grouped(group) for group in groups], await asyncio.to_thread(self._store.count_groups, query)

    async def one(self, number: int) -> FirewallAudit:
        """Return an event. Raises MissingError."""
        rows = await asyncio.to_thread(self._store.page, FirewallQuery(ids=(number,)))
        if not rows:
            raise MissingError(f"there is no WAAS event `{number}`")
        return msgspec.json.decode(with_id(*rows[0]), type=FirewallAudit)

    async def all(self, query: FirewallQuery) -> AsyncIterator[list[FirewallAudit]]:
        """Yield all matching events in pages, the oldest first; those that come meanwhile are left out."""
        seen, newest = 0, await asyncio.to_thread(self._store.newest_id)
        while seen < newest:
            page = dataclasses.replace(query, after_id=seen, sort="_id", descending=False, offset=0, limit=_TABLE_PAGE)
            rows = await asyncio.to_thread(self._store.page, page)
            yield [msgspec.json.decode(with_id(*row), type=FirewallAudit) for row in rows if row[0] <= newest]
            seen = rows[-1][0] if len(rows) == _TABLE_PAGE else newest

    async def timeslices(self, query: FirewallQuery, *, buckets: int) -> list[Timeslice]:
        """Return the counts of so many equal parts of the query's time, or of the time that its events span."""
        if not 1 <= buckets <= MOST_BUCKETS:
            raise InvalidError(f"`buckets`: from 1 to {MOST_BUCKETS} are possible")
        span = await asyncio.to_thread(self._store.span, query)
        first = query.start if query.start is not None else (span or (0, 0))[0]
        last = query.end if query.end is not None else (span or (first, first))[1]
        if span is None and (query.start is None or query.end is None):
            return []
        width = max(1, -(-(max(last, first) + 1 - first) // buckets))
        counts = await asyncio.to_thread(self._store.buckets, query, start=first, width=width)
        return [
            Timeslice(start=first + number * width, end=first + (number + 1) * width, count=counts.get(number, 0))
            for number in range(buckets)
        ]

    async def prune(self) -> int:
        """Remove events beyond the retention, in small steps; return how many."""
        newest = await asyncio.to_thread(self._store.newest_id)
        before, below = await asyncio.to_thread(self._cutoff, newest)
        total = 0
        while True:
            gone = await asyncio.to_thread(
                self._store.prune, received_before=before, below_id=below, most=_MOST_AT_ONCE
            )
            total += gone
            if gone < _MOST_AT_ONCE:
                return total


def _grouped(group: AuditGroup) -> bytes:
    audit = msgspec.json.decode(group.document, type=FirewallAudit)
    shown = msgspec.structs.replace(audit, id=str(group.id), count=group.count, first_seen=rfc3339(group.first))
    return msgspec.json.encode(shown)
