"""Looking into an incident: its timeline and its process tree, from its audits and the record fetched for it."""

import asyncio
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from bartizan.audit import RuntimeAudit
from bartizan.audit.process_tree import ProcessTree, process_tree
from bartizan.audit.timeline import Entry, Span, TimedAudit, page, written
from bartizan.audit.wire import Recorded
from bartizan.policy.model import Within
from bartizan.services.forensics import SnapshotRow
from bartizan.services.incidents import IncidentRow, Incidents, NoteRow

AFTERWARDS = 2 * 60_000
"""The process tree shows what happened until so long after the latest audit (milliseconds)."""
_recorded = msgspec.json.Decoder(Recorded)
_audit = msgspec.json.Decoder(RuntimeAudit)


class RecordStore(Protocol):
    """The fetched records."""

    def around(self, *, incident: int, instance: str, container: str | None, since: int) -> list[SnapshotRow]:
        """Return those of an incident, and those of its workload that were asked for since then, the newest first."""
        ...

    def piece(self, number: int, *, piece: int) -> bytes | None:
        """Return a piece of a snapshot, None behind the last."""
        ...


class NoteStore(Protocol):
    """The notes of incidents."""

    def notes(self, number: int) -> list[NoteRow]:
        """Return the notes of an incident, the oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelinePage:
    """One page of a timeline, whether there is more behind it, and the record that it is of (None: audits alone)."""

    entries: list[Entry]
    more: bool
    snapshot: SnapshotRow | None


class Investigation:
    """Reads what is known of an incident together."""

    def __init__(self, incidents: Incidents, notes: NoteStore, records: RecordStore) -> None:
        self._incidents = incidents
        self._notes = notes
        self._records = records

    async def snapshots(self, number: int) -> list[SnapshotRow]:
        """Return the records that show an incident, the newest first. Raises MissingError."""
        return await asyncio.to_thread(self._around, await self._incidents.row(number))

    async def timeline(self, number: int, span: Span, *, limit: int, within: Within = None) -> TimelinePage:
        """Return what happened around an incident, in order. Raises MissingError."""
        row = await self._incidents.row(number, within=within)
        return await asyncio.to_thread(self._timeline, row, span, limit)

    async def processes(
        self, number: int, *, most: int, within: Within = None
    ) -> tuple[ProcessTree, SnapshotRow | None]:
        """Return which program started which around an incident. Raises MissingError."""
        row = await self._incidents.row(number, within=within)
        return await asyncio.to_thread(self._processes, row, most)

    def _timeline(self, row: IncidentRow, span: Span, limit: int) -> TimelinePage:
        snapshot = _best(self._around(row))
        entries = page(_audits(row), self._written(row), self._events(snapshot), span, limit=limit + 1)
        return TimelinePage(entries=entries[:limit], more=len(entries) > limit, snapshot=snapshot)

    def _processes(self, row: IncidentRow, most: int) -> tuple[ProcessTree, SnapshotRow | None]:
        snapshot = _best(self._around(row))
        until = row.last_time + AFTERWARDS
        return process_tree(self._events(snapshot), _audits(row), until=until, most=most), snapshot

    def _written(self, row: IncidentRow) -> Iterator[Entry]:
        for note in self._notes.notes(row.id):
            yield written(note.time, note.text, author=note.author, number=note.id)
        if row.seen_at is not None:
            yield written(row.seen_at, "acknowledged", author=row.seen_by, number=0, kind="care")

    def _around(self, row: IncidentRow) -> list[SnapshotRow]:
        container = row.container_name or None
        return self._records.around(incident=row.id, instance=row.instance, container=container, since=row.time)

    def _events(self, snapshot: SnapshotRow | None) -> Iterator[Recorded]:
        if snapshot is None:
            return
        for number in itertools.count():
            content = self._records.piece(snapshot.id, piece=number)
            if content is None:
                return
            for line in zlib.decompress(content).splitlines():
                yield _recorded.decode(line)


def _best(snapshots: list[SnapshotRow]) -> SnapshotRow | None:
    """Return the record to show: the one fetched for the incident before others, and one with events before none."""
    filled = [row for row in snapshots if row.events]
    return next((row for row in filled if row.incident is not None), filled[-1] if filled else None)


def _audits(row: IncidentRow) -> list[TimedAudit]:
    found = []
    for number, document in row.audits:
        audit = _audit.decode(document)
        time = int(datetime.fromisoformat(audit.time).timestamp() * 1000) if audit.time else row.time
        found.append(TimedAudit(number, time, audit))
    return found
