"""Incidents: which audits make one, pages of them, acknowledging, and how many are kept."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from bartizan.audit.incidents import Incident, IncidentNote
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy.model import Within
from bartizan.services.audits import with_id
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import Clock

MOST_INCIDENTS = 25_000
MOST_BYTES = 50 << 20
COLLECT_AFTER = 60_000
"""Forensics are collected this long after an incident (milliseconds), so that they hold what followed."""
MOST_AT_ONCE = 500
MOST_NOTES = 200
LONGEST_NOTE = 4000
_PAGE = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentQuery:
    """
    Which incidents, in which order. Every tuple holds alternatives, an empty one is no condition.

    `search` is part of a name of application, container or image, in any case; with `stopped` everything of it was
    prevented. `after` is the (time, id) of the last one seen by whoever reads on in the order of time. Only workloads
    `within` these collections are meant; None is no such limit.
    """

    ids: tuple[int, ...] = ()
    start: int | None = None
    end: int | None = None
    acknowledged: bool | None = None
    archived: bool | None = None
    stopped: bool | None = None
    search: str = ""
    within: Within = None
    after: tuple[int, int] | None = None
    equal: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sort: str = "time"
    descending: bool = True
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """
    An incident as it is kept; times are unix milliseconds, `audits` are (id, JSON document).

    `instance` is the Defender that has the record of its workload; of `prevented` audits the attempt was stopped.
    """

    id: int
    category: str
    type: str
    custom_rule: str
    time: int
    last_time: int
    app_id: str
    profile_id: str
    image_name: str
    container_name: str
    resource_id: str
    instance: str
    severity: str
    acknowledged: bool
    seen_by: str
    seen_at: int | None
    archived: int | None
    audit_count: int
    prevented: int
    notes: int
    audits: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRow:
    """What somebody wrote about an incident, and when (unix milliseconds)."""

    id: int
    time: int
    author: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """What is done with incidents: seen to or not, put away or not; None leaves it as it is."""

    acknowledged: bool | None = None
    archived: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueIncident:
    """An incident whose forensics were first due at `due` (unix milliseconds), and the Defender that has them."""

    id: int
    instance: str
    container: str | None
    category: str
    due: int


class IncidentStore(Protocol):
    """The incidents; they are made by the store of audits, in its transactions."""

    def page(self, query: IncidentQuery) -> list[IncidentRow]:
        """Return one page."""
        ...

    def count(self, query: IncidentQuery) -> int:
        """Return how many incidents match, whatever the page."""
        ...

    def care(self, numbers: Sequence[int], care: Care, *, author: str, now: int, within: Within) -> int:
        """Note what was done with incidents, if all of them are there; return how many are."""
        ...

    def facets(self, query: IncidentQuery) -> dict[str, dict[str, int]]:
        """Return how many of the incidents that match have each value of what they can be filtered by."""
        ...

    def notes(self, number: int) -> list[NoteRow]:
        """Return the notes of an incident, the oldest first."""
        ...

    def add_note(self, number: int, text: str, *, author: str, now: int, most: int) -> int | None:
        """Keep a note and return its id; None when there is no such incident, 0 when it has `most` already."""
        ...

    def remove_note(self, number: int, note: int) -> bool:
        """Remove a note; False when the incident has none of this id."""
        ...

    def due(self, *, now: int, most: int) -> list[DueIncident]:
        """Return incidents whose forensics are to be collected by now, the oldest first."""
        ...

    def postpone(self, number: int, *, until: int) -> None:
        """Let an incident's forensics be asked for again at this time."""
        ...

    def collected(self, number: int) -> None:
        """Note that an incident's forensics need not be asked for any more."""
        ...

    def prune(self, *, most: int, most_bytes: int) -> int:
        """Remove the oldest until at most `most` with `most_bytes` of audits are left; return how many went."""
        ...


class Incidents:
    """The incidents of one Console."""

    def __init__(self, store: IncidentStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def page(self, query: IncidentQuery) -> tuple[list[Incident], int]:
        """Return one page, and how many match in all."""
        rows = await asyncio.to_thread(self._store.page, query)
        return [_shown(row) for row in rows], await asyncio.to_thread(self._store.count, query)

    async def all(self, query: IncidentQuery) -> AsyncIterator[Incident]:
        """Yield every incident that matches, in the order of the query, a page at a time."""
        offset = 0
        while True:
            rows = await asyncio.to_thread(self._store.page, replace(query, offset=offset, limit=_PAGE))
            for row in rows:
                yield _shown(row)
            if len(rows) < _PAGE:
                return
            if query.sort == "time":
                query = replace(query, after=(rows[-1].time, rows[-1].id))
            else:
                offset += _PAGE

    async def row(self, number: int, *, within: Within = None) -> IncidentRow:
        """Return an incident as it is kept. Raises MissingError."""
        rows = await asyncio.to_thread(self._store.page, IncidentQuery(ids=(number,), within=within, limit=1))
        if not rows:
            raise MissingError(f"there is no incident `{number}`")
        return rows[0]

    async def get(self, number: int, *, within: Within = None) -> tuple[Incident, list[IncidentNote]]:
        """Return an incident with its notes, the oldest first. Raises MissingError."""
        row = await self.row(number, within=within)
        return _shown(row), [_shown_note(note) for note in await asyncio.to_thread(self._store.notes, number)]

    async def facets(self, query: IncidentQuery) -> dict[str, dict[str, int]]:
        """Return how many of the incidents that match have each value of what they can be filtered by."""
        return await asyncio.to_thread(self._store.facets, query)

    async def care(self, numbers: Sequence[int], care: Care, *, author: str, within: Within = None) -> None:
        """Note what was done with incidents, all or none. Raises MissingError, InvalidError."""
        wanted = tuple(dict.fromkeys(numbers))
        if not 0 < len(wanted) <= MOST_AT_ONCE:
            raise InvalidError(f"from 1 to {MOST_AT_ONCE} incidents can be changed at once")
        if care == Care():
            raise InvalidError("say what to do with them: `acknowledged`, `archived`, or both")
        now = self._clock()
        found = await asyncio.to_thread(self._store.care, wanted, care, author=author, now=now, within=within)
        if found < len(wanted):
            names = ", ".join(f"`{number}`" for number in wanted[:10])
            raise MissingError(
                f"there is no incident {names}"
                if len(wanted) == 1
                else f"not all of {names} are there, none was changed"
            )

    async def add_note(self, number: int, text: str, *, author: str) -> IncidentNote:
        """Write about an incident. Raises MissingError, InvalidError for an empty or long text or too many notes."""
        kept = text.strip()
        if not 0 < len(kept) <= LONGEST_NOTE:
            raise InvalidError(f"`text`: from 1 to {LONGEST_NOTE} characters are possible")
        now = self._clock()
        made = await asyncio.to_thread(self._store.add_note, number, kept, author=author, now=now, most=MOST_NOTES)
        if made is None:
            raise MissingError(f"there is no incident `{number}`")
        if made == 0:
            raise InvalidError(f"there are {MOST_NOTES} notes, no more are possible")
        return _shown_note(NoteRow(id=made, time=now, author=author, text=kept))

    async def remove_note(self, number: int, note: int) -> None:
        """Remove a note. Raises MissingError."""
        if not await asyncio.to_thread(self._store.remove_note, number, note):
            raise MissingError(f"incident `{number}` has no note `{note}`")

    async def prune(self) -> int:
        """Remove the oldest beyond what is kept, and return how many."""
        return await asyncio.to_thread(self._store.prune, most=MOST_INCIDENTS, most_bytes=MOST_BYTES)


def _shown(row: IncidentRow) -> Incident:
    return Incident(
        id=str(row.id),
        serial_num=row.id,
        time=rfc3339(row.time),
        last_time=rfc3339(row.last_time),
        type=row.type,
        category=row.category,
        acknowledged=row.acknowledged,
        app_id=row.app_id,
        profile_id=row.profile_id,
        hostname=row.app_id,
        container_name=row.container_name,
        image_name=row.image_name,
        custom_rule_name=row.custom_rule,
        resource_id=row.resource_id,
        severity=row.severity,
        audit_count=row.audit_count,
        prevented_count=row.prevented,
        seen_by=row.seen_by,
        seen_at=rfc3339(row.seen_at) if row.seen_at is not None else "",
        archived=rfc3339(row.archived) if row.archived is not None else "",
        note_count=row.notes,
        audits=[msgspec.Raw(with_id(number, document)) for number, document in row.audits],
    )


def _shown_note(row: NoteRow) -> IncidentNote:
    return IncidentNote(id=str(row.id), time=rfc3339(row.time), author=row.author, text=row.text)
