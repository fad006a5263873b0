"""Forensics by the clock: a minute after an incident, what is not answered is given up, and only so many are kept."""

import asyncio
from dataclasses import dataclass, field

import pytest
from tests.store.test_incidents import bad

from bartizan.audit.wire import LookupEvent, Recorded
from bartizan.services.defenders import Defenders
from bartizan.services.forensics import Forensics, Piece, SnapshotRow
from bartizan.services.incidents import COLLECT_AFTER
from bartizan.services.interfaces import DefenderRecord, WorkloadRecord
from bartizan.services.scrubbing import Scrubbing
from bartizan.store import Database, SqlAudits, SqlDefenders, SqlIncidents, SqlSettings, SqlSnapshots

MINUTE = 60_000


@dataclass
class Clock:
    """A clock that a test turns."""

    now: int = 1000

    def __call__(self) -> int:
        """Return the time."""
        return self.now


@dataclass
class Session:
    """Keeps what a Defender would be asked."""

    asked: list[tuple[str, str | None, int, str]] = field(default_factory=list)

    def policy_changed(self) -> None:
        """Do nothing."""

    def close(self, code: str, message: str) -> None:
        """Do nothing."""

    def fetch(self, name: str, container: str | None, *, after: int, reason: str) -> None:
        """Keep the question."""
        self.asked.append((name, container, after, reason))


@dataclass
class Parts:
    """A Console's parts for forensics."""

    database: Database
    clock: Clock
    defenders: Defenders
    forensics: Forensics
    audits: SqlAudits

    def connect(self) -> Session:
        """Connect the Defender that the audits of tests name."""
        session = Session()
        record = DefenderRecord(
            instance="", bundle="b", keys=(), certificate_end=1 << 50, kind="appEmbedded", app_id="app", version="",
            architecture="", hostname="", task=None, workloads=(WorkloadRecord(),),
        )  # fmt: skip
        self.defenders.connected(record, session)
        return session


@pytest.fixture
def parts(database: Database) -> Parts:
    """Build the parts on a new database."""
    clock = Clock()
    defenders = Defenders(SqlDefenders(database), SqlSettings(database), clock=clock)
    scrubbing = Scrubbing(SqlSettings(database))
    forensics = Forensics(SqlSnapshots(database), SqlIncidents(database), defenders, scrubbing, clock=clock)
    return Parts(database, clock, defenders, forensics, SqlAudits(database))


def states(parts: Parts) -> list[str]:
    """Return the states of all snapshots, the newest first."""
    rows, _ = asyncio.run(parts.forensics.page(app_ids=(), offset=0, limit=50))
    return [row.state for row in rows]


def test_an_incident_is_followed_by_its_record(parts: Parts) -> None:
    """A minute after an incident its Defender is asked, once, and not before."""
    session = parts.connect()
    parts.audits.add([bad(1), bad(2)])
    for parts.clock.now in (1000, 1000 + COLLECT_AFTER - 1):
        asyncio.run(parts.forensics.tick())
        assert session.asked == []
    parts.clock.now = 1000 + COLLECT_AFTER
    for _ in range(3):
        asyncio.run(parts.forensics.tick())
    ((name, container, after, reason),) = session.asked
    assert (container, after, reason) == (None, 0, "incident 1: cryptoMiner")
    event = LookupEvent(name="a.test", record_type="A", pid=1, path="")
    piece = Piece(id=name, container=None, first=1, newest=1, events=[Recorded(time=1, event=event)])
    asyncio.run(parts.forensics.received("", piece))
    rows, _ = asyncio.run(parts.forensics.page(app_ids=(), offset=0, limit=50))
    assert [(row.incident, row.state, row.events) for row in rows] == [(1, "complete", 1)]


def test_a_defender_that_is_away_is_asked_when_it_is_back(parts: Parts) -> None:
    """The question waits for its Defender for a quarter of an hour, over a new start of the Console too."""
    parts.audits.add([bad(1)])
    parts.clock.now = 1000 + COLLECT_AFTER
    asyncio.run(parts.forensics.tick())
    session = parts.connect()
    parts.clock.now += MINUTE
    asyncio.run(parts.forensics.tick())
    assert len(session.asked) == 1


def test_a_defender_that_stays_away_is_given_up(parts: Parts) -> None:
    """After a quarter of an hour an incident asks no more."""
    parts.audits.add([bad(1)])
    for _ in range(20):
        parts.clock.now += MINUTE
        asyncio.run(parts.forensics.tick())
    session = parts.connect()
    parts.clock.now += MINUTE
    asyncio.run(parts.forensics.tick())
    assert session.asked == []


def test_what_is_not_answered_is_given_up(parts: Parts) -> None:
    """A Defender that is silent for a minute leaves a failed snapshot, and can be asked again."""
    parts.connect()
    asyncio.run(parts.forensics.fetch("", None, reason="x"))
    parts.clock.now += MINUTE - 1
    asyncio.run(parts.forensics.tick())
    assert states(parts) == ["fetching"]
    parts.clock.now += 1
    asyncio.run(parts.forensics.tick())
    assert states(parts) == ["failed"]
    asyncio.run(parts.forensics.fetch("", None, reason="y"))
    assert states(parts) == ["fetching", "failed"]


def test_an_endless_record_ends(parts: Parts) -> None:
    """A hostile Defender that always has one event more is left after a bounded number of pieces."""
    session = parts.connect()
    asyncio.run(parts.forensics.fetch("", None, reason="x"))
    event = Recorded(time=1, event=LookupEvent(name="a.test", record_type="A", pid=1, path=""))

    async def answers() -> None:
        for number in range(1, 1000):
            piece = Piece(id=session.asked[0][0], container=None, first=number, newest=2**62, events=[event])
            await parts.forensics.received("", piece)

    asyncio.run(answers())
    assert states(parts) == ["partial"]
    assert len(session.asked) == 256


def test_only_so_many_are_kept(parts: Parts) -> None:
    """Of more snapshots than are kept the oldest go, and so do those that are too much in bytes."""
    store = SqlSnapshots(parts.database)
    row = SnapshotRow(time=1, app_id="a", instance="i", container=None, image=None, reason="", state="complete")
    for number in range(1, 8):
        store.add(row)
        kept = SnapshotRow(**{name: getattr(row, name) for name in row.__slots__} | {"id": number})
        store.put_piece(kept, piece=0, content=bytes(100))
    assert store.prune(most=5, most_bytes=10_000) == 2
    assert store.prune(most=5, most_bytes=350) == 2
    rows, total = store.page(app_ids=(), offset=0, limit=10)
    assert ([item.id for item in rows], total) == ([7, 6, 5], 3)
    assert store.piece(4, piece=0) is None
