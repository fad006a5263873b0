"""
Runtime audits and WAAS events as one list: pages both ways, facets, counts over time, following, export.

A page is cut by a key and never by an offset, and no question looks at more than a bounded number of events. Where the
bound is met before the page is full, the answer says how far was looked, and its cursor goes on from there.
"""

import asyncio
import enum
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bartizan.policy.model import Within
from bartizan.services.audits import with_id
from bartizan.services.errors import InvalidError, MissingError, UnavailableError
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.ingest import AuditFeed
from bartizan.services.interfaces import AuditQuery, Clock

MOST_SCANNED = 20_000
"""A page looks at so many events of each kind at most, in steps, and takes no further one when it took long already."""
_STEP = 4_000
_LONG_ENOUGH = 0.08
MOST_COUNTED = 25_000
"""
Facets and counts over time look at so many events of each kind at most, the newest; unless they can take the counts
that are kept for each quarter of an hour, which are of all.
"""
QUARTER = 15 * 60_000
MOST_FOLLOWERS = 100
MOST_BUCKETS = 400
_FOLLOW_PAGE = 250
_EXPORT_PAGE = 500
_HIGHEST = 2**63 - 1
_DIGITS = 19


class EventKind(enum.Enum):
    """What an event is of; of the same time, audits come before WAAS events when the newest come first."""

    RUNTIME = "runtime"
    WAAS = "waas"


@dataclass(frozen=True, slots=True, order=True)
class EventKey:
    """The place of an event in the list: `rank` is that of its kind."""

    time: int
    rank: int
    id: int

    @classmethod
    def of(cls, kind: EventKind, moment: int, number: int) -> "EventKey":
        """Return the place of an event."""
        return cls(moment, 1 if kind is EventKind.RUNTIME else 0, number)

    def within(self, kind: EventKind) -> tuple[int, int]:
        """Return (time, id) which the keys of a kind are smaller or greater than just where they are this key's."""
        rank = 1 if kind is EventKind.RUNTIME else 0
        if rank == self.rank:
            return self.time, self.id
        return self.time, (0 if rank > self.rank else _HIGHEST)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: beyond this key, towards older or newer events."""

    key: EventKey
    older: bool

    def text(self) -> str:
        """Return the cursor as clients hand it back."""
        return f"{'o' if self.older else 'n'}.{self.key.time}.{self.key.rank}.{self.key.id}"


def parse_cursor(text: str) -> Cursor:
    """Return the cursor that `Cursor.text` gave. Raises InvalidError."""
    way, *numbers = text.split(".")
    whole = [number for number in numbers if number.isascii() and number.isdigit() and len(number) <= _DIGITS]
    if way not in ("o", "n") or len(whole) != 3 or len(numbers) != 3:  # noqa: PLR2004 - the numbers of a key
        raise InvalidError("`cursor`: it is none that this list gave")
    moment, rank, number = map(int, whole)
    if rank > 1 or max(moment, number) > _HIGHEST:
        raise InvalidError("`cursor`: it is none that this list gave")
    return Cursor(EventKey(moment, rank, number), older=way == "o")


def parse_event_id(text: str) -> tuple[EventKind, int]:
    """Return kind and number of an event's id, such as `runtime-12`. Raises InvalidError."""
    kind, _, number = text.partition("-")
    if kind in {item.value for item in EventKind} and number.isascii() and number.isdigit() and len(number) < _DIGITS:
        return EventKind(kind), int(number)
    raise InvalidError("an event's id is `runtime-` or `waas-` and a number")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """
    Which events: a filter for each kind, None where none of that kind is meant.

    `facets` are the conditions on facets, by their names, which are not in the filters; an empty tuple is no condition.
    """

    runtime: AuditQuery | None = None
    waas: FirewallQuery | None = None
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def within(self) -> Within:
        """The only collections whose workloads are meant; None is no such limit."""
        given = self.runtime or self.waas
        return None if given is None else given.within

    def filters(self) -> list[tuple[EventKind, AuditQuery | FirewallQuery]]:
        """Return the filters of those kinds that are meant, with the conditions on facets."""
        found: list[tuple[EventKind, AuditQuery | FirewallQuery]] = []
        chosen = {name: values for name, values in self.facets.items() if values and name != "kind"}
        if self.runtime is not None and not set(chosen) - set(RUNTIME_FACETS):
            found.append((EventKind.RUNTIME, replace(self.runtime, equal={**self.runtime.equal, **chosen})))
        if self.waas is not None and not set(chosen) - set(WAAS_FACETS):
            found.append((EventKind.WAAS, replace(self.waas, equal={**self.waas.equal, **chosen})))
        kinds = self.facets.get("kind", ())
        return [pair for pair in found if not kinds or pair[0].value in kinds]


RUNTIME_FACETS = ("effect", "severity", "type", "reason", "appID", "containerName", "imageName", "ruleName")
WAAS_FACETS = ("effect", "type", "protection", "appID", "containerName", "imageName", "ruleName", "country")
FACETS = ("kind", "effect", "severity", "type", "reason", "protection", "appID", "containerName", "imageName",
          "ruleName", "country")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found of one kind: (time, id, document) in order, and the (time, id) up to which was looked."""

    rows: list[tuple[int, int, bytes]]
    end: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many events there are of each combination of values, and how far back was looked (None: to the end)."""

    counts: dict[tuple[str, ...], int]
    end: int | None = None


class EventStore(Protocol):
    """Both kinds of events."""

    def scan(
        self,
        kind: EventKind,
        query: AuditQuery | FirewallQuery,
        *,
        beyond: tuple[int, int] | None,
        older: bool,
        limit: int,
        most: int,
    ) -> Scan:
        """Return the next events beyond a (time, id), at most `limit`, looking at no more than `most`."""
        ...

    def tally(self, kind: EventKind, query: AuditQuery | FirewallQuery, *, names: Sequence[str], most: int) -> Tally:
        """Count events by their values of these facets: all by the kept counts, or the newest `most`."""
        ...

    def counted(self, kind: EventKind, query: AuditQuery | FirewallQuery, *, most: int) -> bool:
        """Return whether there are more than `most` events and these can be taken from the kept counts."""
        ...

    def slices(
        self, kind: EventKind, query: AuditQuery | FirewallQuery, *, start: int, width: int, most: int
    ) -> tuple[dict[tuple[int, str], int], int | None]:
        """
        Count events by bucket and effect; and return how far back was looked (None: to the end).

        All by the kept counts where `start` and `width` are whole quarters, or the newest `most`.
        """
        ...

    def oldest(self, within: Within) -> int | None:
        """Return the time of the oldest event, None when there is none."""
        ...

    def newest_ids(self, within: Within) -> tuple[int, int]:
        """Return the highest ids that there are, of both kinds."""
        ...

    def since(self, kind: EventKind, query: AuditQuery | FirewallQuery, *, limit: int) -> list[tuple[int, bytes]]:
        """Return (id, document) of the events with ids above the query's `after_id`, in their order."""
        ...

    def one(self, kind: EventKind, number: int, within: Within) -> bytes | None:
        """Return the document of one event."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """One event of either kind, with its JSON document."""

    kind: EventKind
    number: int
    document: bytes

    def json(self) -> bytes:
        """Return the event as the API shows it."""
        kind = self.kind.value.encode()
        return b'{"id":"%b-%d","kind":"%b","%b":%b}' % (
            kind, self.number, kind, kind, with_id(self.number, self.document),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """The newest first; `older` and `newer` lead on, `searched` is how far was looked (unix milliseconds)."""

    events: list[FoundEvent]
    older: Cursor | None
    newer: Cursor | None
    searched: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """The commonest values of each facet with their counts; `searched` is how far back was looked if not to the end."""

    values: dict[str, list[tuple[str, int]]]
    searched: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Counts by effect from `start` on, in steps of `width` milliseconds; `searched` as with facets."""

    start: int
    width: int
    counts: list[dict[str, int]]
    searched: int | None = None


class EventList:
    """The events of one Console."""

    def __init__(self, store: EventStore, feed: AuditFeed, *, clock: Clock) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._followers = 0

    async def page(self, query: EventQuery, *, cursor: Cursor | None, limit: int) -> EventPage:
        """Return one page, the newest events first, whichever way the cursor leads."""
        return await asyncio.to_thread(self._whole_page, query, cursor, limit)

    def _whole_page(self, query: EventQuery, cursor: Cursor | None, limit: int) -> EventPage:
        begun, looked = time.monotonic(), _STEP
        page = self._page(query, cursor, limit)
        older = cursor is None or cursor.older
        while len(page.events) < limit and page.searched is not None:
            onwards = page.older if older else page.newer
            if looked >= MOST_SCANNED or time.monotonic() - begun > _LONG_ENOUGH:
                return page
            more = self._page(query, onwards, limit - len(page.events))
            page = _joined(page, more) if older else _joined(more, page)
            page = replace(page, searched=more.searched)
            looked += _STEP
        return page

    def _page(self, query: EventQuery, cursor: Cursor | None, limit: int, most: int = _STEP) -> EventPage:
        older = cursor is None or cursor.older
        found: list[tuple[EventKey, FoundEvent]] = []
        ends: list[EventKey] = []
        for kind, wanted in query.filters():
            beyond = None if cursor is None else cursor.key.within(kind)
            scan = self._store.scan(kind, wanted, beyond=beyond, older=older, limit=limit + 1, most=most)
            found += [
                (EventKey.of(kind, moment, number), FoundEvent(kind=kind, number=number, document=document))
                for moment, number, document in scan.rows
            ]
            if scan.end is not None:
                ends.append(EventKey.of(kind, *scan.end))
        found.sort(key=lambda pair: pair[0], reverse=older)
        # Beyond the first end there may be events of that kind which were not looked at yet.
        end = (max(ends) if older else min(ends)) if ends else None
        if end is not None:
            found = [pair for pair in found if (pair[0] >= end if older else pair[0] <= end)]
        more = len(found) > limit
        found = found[:limit]
        onwards = found[-1][0] if more else end
        return _as_page(found, cursor, onwards, older=older)

    async def facets(self, query: EventQuery, *, most_values: int) -> Facets:
        """Return the values of each facet among the events that pass the conditions on all other facets."""
        return await asyncio.to_thread(self._facets, query, most_values)

    def _facets(self, query: EventQuery, most_values: int) -> Facets:
        counters: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
        ends = []
        for kind, wanted, names in (
            (EventKind.RUNTIME, query.runtime, RUNTIME_FACETS),
            (EventKind.WAAS, query.waas, WAAS_FACETS),
        ):
            if wanted is None:
                continue
            tally = self._store.tally(kind, wanted, names=names, most=MOST_COUNTED)
            ends.append(tally.end)
            for combination, count in tally.counts.items():
                _count_in(counters, {"kind": kind.value, **dict(zip(names, combination, strict=True))}, count, query)
        return Facets(
            values={name: counter.most_common(most_values) for name, counter in counters.items()},
            searched=max((end for end in ends if end is not None), default=None),
        )

    async def slices(self, query: EventQuery, *, start: int | None, end: int | None, buckets: int) -> Slices:
        """
        Return how many events there were over time, by effect; both ends are inclusive. Raises InvalidError.

        There are fewer buckets, of whole quarters of an hour, where only so all events can be counted.
        """
        return await asyncio.to_thread(self._slices, query, start, end, buckets)

    def _slices(self, query: EventQuery, start: int | None, end: int | None, buckets: int) -> Slices:
        last = end if end is not None else self._clock()
        oldest = start if start is not None else self._store.oldest(query.within)
        first = min(last, last if oldest is None else oldest)
        width, begin = max(1, -(-(last + 1 - first) // buckets)), first
        wanted = [(kind, replace(query, start=first, end=last)) for kind, query in query.filters()]
        if any(self._store.counted(kind, bounded, most=MOST_COUNTED) for kind, bounded in wanted):
            begin, width, buckets = _in_quarters(first, last, buckets)
        counts: list[dict[str, int]] = [{} for _ in range(buckets)]
        ends = []
        for kind, bounded in wanted:
            found, searched = self._store.slices(kind, bounded, start=begin, width=width, most=MOST_COUNTED)
            ends.append(searched)
            for (bucket, effect), count in found.items():
                counts[bucket][effect] = counts[bucket].get(effect, 0) + count
        searched = max((each for each in ends if each is not None), default=None)
        return Slices(start=begin, width=width, counts=counts, searched=searched)

    async def one(self, kind: EventKind, number: int, *, within: Within = None) -> FoundEvent:
        """Return an event. Raises MissingError."""
        document = await asyncio.to_thread(self._store.one, kind, number, within)
        if document is None:
            raise MissingError(f"there is no event `{kind.value}-{number}`: it may have been too old to be kept")
        return FoundEvent(kind=kind, number=number, document=document)

    async def all(self, query: EventQuery) -> AsyncIterator[list[FoundEvent]]:
        """Yield all matching events in pages, the newest first; those that come meanwhile are left out."""
        cursor: Cursor | None = None
        while True:
            page = await self.page(query, cursor=cursor, limit=_EXPORT_PAGE)
            if page.events:
                yield page.events
            if page.older is None:
                return
            cursor = page.older

    async def follow(
        self, query: EventQuery, *, after: tuple[int, int] | None, idle_seconds: float
    ) -> AsyncIterator[tuple[tuple[int, int], FoundEvent | None]]:
        """
        Yield matching events as they are committed, each with the ids to resume after; None when nothing came.

        The first is always a None, with where following begins. Ends when the Console stops. Raises UnavailableError
        when too many follow already.
        """
        if self._followers >= MOST_FOLLOWERS:
            raise UnavailableError(f"{MOST_FOLLOWERS} clients follow events already, no more are possible")
        self._followers += 1
        try:
            newest = await asyncio.to_thread(self._store.newest_ids, None)
            looked = newest if after is None else (min(after[0], newest[0]), min(after[1], newest[1]))
            seen = looked
            if query.within is not None:
                # Where others' events end is theirs.
                own = await asyncio.to_thread(self._store.newest_ids, query.within)
                seen = (min(looked[0], own[0]), min(looked[1], own[1]))
            yield seen, None
            while not self._feed.closed:
                commits, full = self._feed.commits, False
                newest = await asyncio.to_thread(self._store.newest_ids, None)
                for kind, wanted in query.filters():
                    place = 0 if kind is EventKind.RUNTIME else 1
                    after_looked = replace(wanted, after_id=looked[place])
                    rows = await asyncio.to_thread(self._store.since, kind, after_looked, limit=_FOLLOW_PAGE)
                    full = full or len(rows) == _FOLLOW_PAGE
                    for number, document in rows:
                        seen = (number, seen[1]) if place == 0 else (seen[0], number)
                        yield seen, FoundEvent(kind=kind, number=number, document=document)
                    # What nobody here is shown is not looked at again.
                    last = rows[-1][0] if rows else looked[place]
                    last = last if len(rows) == _FOLLOW_PAGE else max(last, newest[place])
                    looked = (last, looked[1]) if place == 0 else (looked[0], last)
                if not full and not await self._feed.later_than(commits, timeout_seconds=idle_seconds):
                    yield seen, None
        finally:
            self._followers -= 1


def _joined(newer: EventPage, older: EventPage) -> EventPage:
    """Return two pages of which the one goes on where the other ends as one."""
    first, last = newer.newer, older.older
    return EventPage(events=[*newer.events, *older.events], older=last, newer=first or older.newer)


def _as_page(
    found: list[tuple[EventKey, FoundEvent]], cursor: Cursor | None, onwards: EventKey | None, *, older: bool
) -> EventPage:
    """Return the page: what was found goes on at `onwards`, None when that way was looked through to its end."""
    ordered = found if older else found[::-1]
    first = ordered[0][0] if ordered else (cursor.key if cursor else None)
    last = ordered[-1][0] if ordered else (cursor.key if cursor else None)
    if older:
        back, forth = onwards, first
    else:
        back, forth = last, onwards or first
    return EventPage(
        events=[event for _, event in ordered],
        older=None if back is None else Cursor(back, older=True),
        newer=None if forth is None else Cursor(forth, older=False),
        searched=None if onwards is None else onwards.time,
    )


def _in_quarters(first: int, last: int, buckets: int) -> tuple[int, int, int]:
    """Return start, width and number, at most `buckets`, of buckets of whole quarters of an hour."""
    start = first // QUARTER
    quarters = last // QUARTER + 1 - start
    width = -(-quarters // buckets)
    return start * QUARTER, width * QUARTER, -(-quarters // width)


def _count_in(counters: dict[str, Counter[str]], values: dict[str, str], count: int, query: EventQuery) -> None:
    """Count a combination at each facet whose other facets' conditions it passes."""
    failed = [name for name, wanted in query.facets.items() if wanted and values.get(name, "") not in wanted]
    for name, value in values.items():
        if value and (not failed or failed == [name]):
            counters[name][value] += count
