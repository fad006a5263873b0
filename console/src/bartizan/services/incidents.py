"""Incidents: which audits make one, pages of them, acknowledging, and how many are kept."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from bartizan.audit.incidents import Incident
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.audits import with_id
from bartizan.services.errors import MissingError

MOST_INCIDENTS = 25_000
MOST_BYTES = 50 << 20
COLLECT_AFTER = 60_000
"""Forensics are collected this long after an incident (milliseconds), so that they hold what followed."""
_PAGE = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentQuery:
    """Which incidents, in which order. Every tuple holds alternatives, an empty one is no condition."""

    ids: tuple[int, ...] = ()
    start: int | None = None
    end: int | None = None
    acknowledged: bool | None = None
    equal: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sort: str = "time"
    descending: bool = True
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """An incident as it is kept; times are unix milliseconds, `audits` are (id, JSON document)."""

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
    acknowledged: bool
    audit_count: int
    audits: tuple[tuple[int, bytes], ...]


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

    def acknowledge(self, number: int, *, acknowledged: bool) -> bool:
        """Set whether an incident was seen to; False when there is none of this id."""
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

    def __init__(self, store: IncidentStore) -> None:
        self._store = store

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
            offset += _PAGE

    async def acknowledge(self, number: int, *, acknowledged: bool) -> None:
        """Mark an incident as seen to, or not. Raises MissingError."""
        if not await asyncio.to_thread(self._store.acknowledge, number, acknowledged=acknowledged):
            raise MissingError(f"there is no incident `{number}`")

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
        audit_count=row.audit_count,
        audits=[msgspec.Raw(with_id(number, document)) for number, document in row.audits],
    )
