"""A full disk and a locked database: nothing that was acknowledged is lost, and the Console says what is wrong."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.store.test_store import new_audit

from bartizan.audit import Retention, cutoff
from bartizan.services.errors import UnavailableError
from bartizan.services.health import Health
from bartizan.services.ingest import AuditFeed, Ingest
from bartizan.services.interfaces import AuditQuery
from bartizan.services.retention import Retentions
from bartizan.store import Database, SqlAudits, SqlSettings

_FREE = 1 << 40


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Open a file; who waits for its lock gives up soon."""
    opened = Database(tmp_path / "bartizan.db")
    opened.engine.dispose()
    event.listen(opened.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=20"))
    yield opened
    opened.close()


def health_of(ingest: Ingest, database: Database, *, free: int = _FREE, end: int = 1 << 50) -> Health:
    """Return the health of what is tested."""
    return Health(
        ingest, size=database.size, free=lambda: free, expirations=lambda: {"server": end}, clock=lambda: 1 << 40
    )


async def acknowledged(ingest: Ingest, first: int, last: int) -> list[int]:
    """Send audits one by one, and return the numbers of those that were acknowledged."""
    good = []
    for number in range(first, last):
        done = await ingest.submit([new_audit(number)])
        try:
            await done
        except UnavailableError:
            continue
        good.append(number)
    return good


def kept(database: Database) -> set[int]:
    """Return the numbers of the audits in the database."""
    with database.read() as connection:
        return {row[0] for row in connection.exec_driver_sql("SELECT seq FROM audits")}


def test_a_full_disk_loses_nothing_that_was_acknowledged(database: Database) -> None:
    """Audits are refused while the database cannot grow; the ones before and after are there, and health tells it."""
    store = SqlAudits(database)
    feed = AuditFeed(0)
    ingest = Ingest(store, feed)
    health = health_of(ingest, database)

    async def check() -> tuple[list[int], list[int], list[int], list[str]]:
        writer = asyncio.create_task(ingest.run())
        before = await acknowledged(ingest, 1, 20)
        pages: list[int] = []

        def full(connection: sqlite3.Connection, _record: object) -> None:
            pages.append(connection.execute("PRAGMA page_count").fetchone()[0])
            connection.execute(f"PRAGMA max_page_count={pages[0]}")

        event.listen(database.engine, "connect", full)
        database.engine.dispose()
        while_full = await acknowledged(ingest, 20, 400)
        told = [problem.name for problem in await health.problems() if problem.stops]
        event.remove(database.engine, "connect", full)
        database.engine.dispose()
        after = await acknowledged(ingest, 400, 410)
        ingest.close()
        await writer
        return before, while_full, after, told

    before, while_full, after, told = asyncio.run(check())
    assert len(while_full) < 380
    assert len(after) == 10
    assert told == ["audits"]
    assert kept(database) == {*before, *while_full, *after}
    assert ingest.failures == 380 - len(while_full)
    assert not ingest.failing


def test_a_locked_database_loses_nothing_that_was_acknowledged(database: Database, tmp_path: Path) -> None:
    """While somebody else holds the file's lock nothing is acknowledged; afterwards all is well again."""
    ingest = Ingest(SqlAudits(database), AuditFeed(0))
    health = health_of(ingest, database)

    async def check() -> tuple[list[int], list[int], bool]:
        writer = asyncio.create_task(ingest.run())
        holder = sqlite3.connect(tmp_path / "bartizan.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        locked = await acknowledged(ingest, 1, 4)
        told = any(problem.stops for problem in await health.problems())
        holder.execute("ROLLBACK")
        holder.close()
        after = await acknowledged(ingest, 1, 4)
        ingest.close()
        await writer
        return locked, after, told

    locked, after, told = asyncio.run(check())
    assert (locked, after, told) == ([], [1, 2, 3], True)
    assert kept(database) == {1, 2, 3}


def test_what_comes_near_is_told_before_it_stops_anything(database: Database) -> None:
    """Little room and a certificate that ends soon are problems, but the Console works on; an ended one stops it."""
    ingest = Ingest(SqlAudits(database), AuditFeed(0))
    soon = health_of(ingest, database, free=1, end=(1 << 40) + 86_400_000)
    over = health_of(ingest, database, end=1 << 39)

    async def check() -> None:
        assert [(item.name, item.stops) for item in await soon.problems()] == [("disk", False), ("certificates", False)]
        assert [(item.name, item.stops) for item in await over.problems()] == [("certificates", True)]

    asyncio.run(check())


def test_a_bound_by_size_becomes_a_number(database: Database) -> None:
    """The newest stay, as many as fit by the size of the newest; without a bound the size is not even measured."""
    store = SqlAudits(database)
    newest = store.add([new_audit(number) for number in range(1, 6001)])
    settings = SqlSettings(database)
    retentions = Retentions(settings, given=Retention(mebibytes=1), clock=lambda: 2)
    _, below = retentions.of_runtime(store.average_size)(newest)
    store.prune(received_before=0, below_id=below, most=10_000)
    left = store.count(AuditQuery())
    assert 0 < left < 6000
    assert left * store.average_size() <= 1024 * 1024
    unbounded = Retentions(settings, given=Retention(), clock=lambda: 2)
    assert unbounded.of_runtime(lambda: 1 / 0)(newest)[1] == newest - 1_000_000 + 1


def test_old_ones_wait_for_the_hour() -> None:
    """With a clean-up hour age counts in that hour alone; number counts always."""
    day = 24 * 3600 * 1000
    kept_for = Retention(days=1, audits=10)
    three = 40 * day + 3 * 3600 * 1000
    assert cutoff(kept_for, now=three, newest_id=100, hour=3) == (three - day, 91)
    assert cutoff(kept_for, now=three - 1, newest_id=100, hour=3) == (0, 91)
