"""
Forensics: the records of Defenders, fetched on demand or a minute after an incident.

A record is asked for piece by piece: each answer says how far it got, and the next question begins there. So nothing is
held up by a long record, and a Defender that was away is simply asked again.
"""

import asyncio
import logging
import secrets
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import msgspec

from bartizan.audit.scrubbing import Scrubber
from bartizan.audit.wire import Recorded
from bartizan.services.defenders import Defenders
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.incidents import IncidentStore
from bartizan.services.interfaces import Clock
from bartizan.services.scrubbing import Scrubbing

MOST_SNAPSHOTS = 100
MOST_BYTES = 256 << 20
_MOST_PIECES = 256
_MOST_AT_ONCE = 4
_PATIENCE = 60_000
"""A Defender has so long for one answer (milliseconds)."""
_INCIDENT_PATIENCE = 15 * 60_000
"""So long an incident's Defender may be away before its forensics are given up (milliseconds)."""
_MOST_DUE = 16
_log = logging.getLogger(__name__)

State = Literal["fetching", "complete", "partial", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """
    One fetched record; `time` is when it was asked for (unix milliseconds), `events` how many it holds.

    `missed` events had been given up by the Defender before they could be fetched.
    """

    id: int = 0
    time: int
    app_id: str
    instance: str
    container: str | None
    image: str | None
    reason: str
    incident: int | None = None
    state: State = "fetching"
    events: int = 0
    missed: int = 0


class SnapshotStore(Protocol):
    """The fetched records; their pieces are compressed JSON lines."""

    def add(self, row: SnapshotRow) -> int:
        """Keep a new one and return its id."""
        ...

    def put_piece(self, row: SnapshotRow, *, piece: int, content: bytes) -> None:
        """Keep a piece together with the present state of its snapshot."""
        ...

    def set_state(self, row: SnapshotRow) -> None:
        """Keep the present state of a snapshot."""
        ...

    def get(self, number: int) -> SnapshotRow | None:
        """Return a snapshot."""
        ...

    def page(self, *, app_ids: Sequence[str], offset: int, limit: int) -> tuple[list[SnapshotRow], int]:
        """Return one page, the newest first, and how many there are in all."""
        ...

    def piece(self, number: int, *, piece: int) -> bytes | None:
        """Return a piece of a snapshot, None behind the last."""
        ...

    def abandon(self) -> None:
        """Mark those that are still being fetched as partial or failed: the Console was stopped meanwhile."""
        ...

    def prune(self, *, most: int, most_bytes: int) -> int:
        """Remove the oldest until at most `most` with `most_bytes` are left; return how many went."""
        ...


@dataclass(slots=True)
class _Fetch:
    """A record that is being fetched; `until` is the last event that is wanted, known from the first answer."""

    row: SnapshotRow
    deadline: int
    after: int = 0
    until: int | None = None
    pieces: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One answer of a Defender: events numbered on from `first`."""

    id: str
    container: str | None
    first: int
    newest: int
    events: Sequence[Recorded]


class Forensics:
    """Fetches and keeps records."""

    def __init__(
        self,
        store: SnapshotStore,
        incidents: IncidentStore,
        defenders: Defenders,
        scrubbing: Scrubbing,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._incidents = incidents
        self._defenders = defenders
        self._scrubbing = scrubbing
        self._clock = clock
        self._live: dict[str, _Fetch] = {}
        self._lock = asyncio.Lock()
        store.abandon()

    async def fetch(
        self, instance: str, container: str | None, *, reason: str, incident: int | None = None
    ) -> SnapshotRow:
        """
        Begin to fetch the record of a Defender's workload and return its snapshot, which is still empty.

        Raises MissingError for an unknown workload, ConflictError when its Defender is not connected or busy.
        """
        record = self._defenders.get(instance)
        workload = next((item for item in record.workloads if item.container == container), None) if record else None
        if record is None or workload is None:
            raise MissingError("there is no such Defender, or it has no such container")
        if self._defenders.session(instance) is None:
            raise ConflictError("the Defender is not connected")
        present = [fetch.row for fetch in self._live.values() if fetch.row.instance == instance]
        if len(present) >= _MOST_AT_ONCE or any(row.container == container for row in present):
            raise ConflictError("the Defender's record is being fetched already")
        row = SnapshotRow(
            time=self._clock(),
            app_id=record.app_id,
            instance=instance,
            container=container,
            image=workload.image,
            reason=reason,
            incident=incident,
        )
        fetch = _Fetch(row, deadline=0)
        name = secrets.token_hex(16)
        # Entered before the first wait, so that two requests at once do not both pass.
        self._live[name] = fetch
        try:
            fetch.row = replace(row, id=await asyncio.to_thread(self._store.add, row))
        except BaseException:
            del self._live[name]
            raise
        self._ask(name, fetch)
        return fetch.row

    async def received(self, instance: str, piece: Piece) -> None:
        """Take an answer of a Defender; one that nobody asked it for is left out."""
        fetch = self._live.get(piece.id)
        if fetch is None or fetch.row.instance != instance or fetch.row.container != piece.container:
            return
        async with self._lock:
            if self._live.get(piece.id) is not fetch or piece.first <= fetch.after:
                return
            await self._take(piece, fetch)

    async def _take(self, piece: Piece, fetch: _Fetch) -> None:
        if fetch.until is None:
            fetch.until = piece.newest
        events = piece.events[: max(0, fetch.until - piece.first + 1)]
        missed = max(0, min(piece.first - 1, fetch.until) - fetch.after)
        fetch.row = replace(fetch.row, events=fetch.row.events + len(events), missed=fetch.row.missed + missed)
        if events:
            content = await asyncio.to_thread(_packed, events, self._scrubbing.scrubber)
            await asyncio.to_thread(self._store.put_piece, fetch.row, piece=fetch.pieces, content=content)
            fetch.pieces += 1
            fetch.after = piece.first + len(events) - 1
        if not events or fetch.after >= fetch.until:
            await self._end(piece.id, fetch, "complete")
        elif fetch.pieces >= _MOST_PIECES:
            await self._end(piece.id, fetch, "partial")
        else:
            self._ask(piece.id, fetch)

    async def tick(self) -> None:
        """Give up what was not answered in time, and ask for what incidents need."""
        now = self._clock()
        for name, fetch in list(self._live.items()):
            if fetch.row.id and fetch.deadline <= now:
                async with self._lock:
                    if name in self._live:
                        await self._end(name, fetch, "partial" if fetch.pieces else "failed")
        for due in await asyncio.to_thread(self._incidents.due, now=now, most=_MOST_DUE):
            try:
                await self.fetch(
                    due.instance, due.container, reason=f"incident {due.id}: {due.category}", incident=due.id
                )
            except (ConflictError, MissingError) as error:
                if now - due.due < _INCIDENT_PATIENCE:
                    await asyncio.to_thread(self._incidents.postpone, due.id, until=now + _PATIENCE)
                    continue
                _log.warning("no forensics for incident %d: %s", due.id, error)
            await asyncio.to_thread(self._incidents.collected, due.id)

    async def prune(self) -> int:
        """Remove the oldest beyond what is kept, and return how many."""
        return await asyncio.to_thread(self._store.prune, most=MOST_SNAPSHOTS, most_bytes=MOST_BYTES)

    async def get(self, number: int) -> SnapshotRow:
        """Return one snapshot. Raises MissingError."""
        row = await asyncio.to_thread(self._store.get, number)
        if row is None:
            raise MissingError(f"there is no snapshot `{number}`")
        return row

    async def page(self, *, app_ids: Sequence[str], offset: int, limit: int) -> tuple[list[SnapshotRow], int]:
        """Return one page, the newest first, and how many match in all."""
        return await asyncio.to_thread(self._store.page, app_ids=app_ids, offset=offset, limit=limit)

    async def lines(self, number: int) -> AsyncIterator[bytes]:
        """Yield the events of a snapshot, the oldest first, as pieces of JSON lines."""
        piece = 0
        while (content := await asyncio.to_thread(self._store.piece, number, piece=piece)) is not None:
            yield await asyncio.to_thread(zlib.decompress, content)
            piece += 1

    def workload_of(self, app_id: str, container: str | None) -> tuple[str, str | None]:
        """Return instance and container of the connected workload that is meant. Raises MissingError, InvalidError."""
        found = [
            (record.instance, workload.container)
            for record in self._defenders.connected_records()
            if record.app_id == app_id
            for workload in record.workloads
            if container is None or workload.container == container
        ]
        if not found:
            raise MissingError("no connected Defender protects this workload")
        if len(found) > 1:
            raise InvalidError("several workloads are meant: name the container, or the Defender")
        return found[0]

    def _ask(self, name: str, fetch: _Fetch) -> None:
        fetch.deadline = self._clock() + _PATIENCE
        session = self._defenders.session(fetch.row.instance)
        # Without a session the deadline ends it; a Defender that comes back by then is not asked, but can be again.
        if session is not None:
            session.fetch(name, fetch.row.container, after=fetch.after, reason=fetch.row.reason)

    async def _end(self, name: str, fetch: _Fetch, state: State) -> None:
        del self._live[name]
        fetch.row = replace(fetch.row, state=state)
        await asyncio.to_thread(self._store.set_state, fetch.row)


def _packed(events: Sequence[Recorded], scrubber: Scrubber | None) -> bytes:
    kept = events if scrubber is None else map(scrubber.recorded, events)
    return zlib.compress(b"".join(msgspec.json.encode(event) + b"\n" for event in kept), 6)
