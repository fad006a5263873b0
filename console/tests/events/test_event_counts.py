"""Counts that are kept for each quarter of an hour are those of the events, whatever came and went."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.events.test_event_pages import events_of, runtime_audit, waas_audit

from bartizan.services import events as service
from bartizan.services.events import QUARTER, RUNTIME_FACETS, EventKind, EventQuery
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.interfaces import AuditQuery
from bartizan.store import Database, SqlAudits, SqlEvents, event_counts
from bartizan.store.firewall_audits import SqlFirewallAudits
from bartizan.store.tables import audits, waas_audits

_TIMES = st.integers(0, 5 * QUARTER)
_NEW = st.lists(
    st.tuples(st.sampled_from(EventKind), st.integers(1, 30), _TIMES, st.sampled_from(["alert", "prevent"]),
              st.sampled_from(["", "a", 'a","'])),
    max_size=30,
)  # fmt: skip


def kept(database: Database) -> dict[tuple[object, ...], int]:
    """Return the kept counts, by kind, facets and quarter."""
    facets, counts = event_counts.event_facets, event_counts.event_counts
    statement = sa.select(facets, counts.c.quarter, counts.c.count).join(counts, counts.c.facets == facets.c.digest)
    with database.read() as connection:
        rows = connection.execute(statement).mappings().all()
        known = connection.execute(sa.select(sa.func.count()).select_from(facets)).scalar_one()
    assert known == len({row["digest"] for row in rows}), "facets that nothing has"
    return {
        (row["kind"], *(row[name] for name in event_counts.NAMES[EventKind(row["kind"])]), row["quarter"]): row["count"]
        for row in rows
    }


def counted(database: Database) -> dict[tuple[object, ...], int]:
    """Return the same, counted among the events."""
    found: Counter[tuple[object, ...]] = Counter()
    with database.read() as connection:
        for kind, table in ((EventKind.RUNTIME, audits), (EventKind.WAAS, waas_audits)):
            for row in connection.execute(sa.select(table)).mappings():
                names = event_counts.NAMES[kind]
                found[(kind.value, *(row[name] for name in names), row["time"] // QUARTER)] += 1
    return dict(found)


@settings(max_examples=4)
@given(_NEW, _NEW, st.integers(0, 12))
def test_kept_counts_are_those_of_the_events(
    fresh: Callable[[], Database], first: list[tuple[EventKind, int, int, str, str]],
    second: list[tuple[EventKind, int, int, str, str]], below: int,
) -> None:  # fmt: skip
    """After events came, came again and were pruned, each kept count is the number of such events."""
    database = fresh()
    for new in (first, second):
        SqlAudits(database).add(
            [
                (runtime_audit if kind is EventKind.RUNTIME else waas_audit)(seq, time, effect=effect, app_id=app)
                for kind, seq, time, effect, app in new
            ]
        )
        assert kept(database) == counted(database)
    for store in (SqlAudits(database), SqlFirewallAudits(database)):
        while store.prune(received_before=QUARTER, below_id=below, most=7) == 7:
            pass
    assert kept(database) == counted(database)
    database.close()


@settings(max_examples=4)
@given(
    st.lists(st.tuples(_TIMES, st.sampled_from(["a", "b"])), min_size=4, max_size=20),
    st.none() | _TIMES,
    st.none() | _TIMES,
    st.sampled_from([(), ("a",), ("a", "b")]),
)
def test_kept_counts_answer_as_the_events_do(
    fresh: Callable[[], Database], new: list[tuple[int, str]], start: int | None, end: int | None,
    apps: tuple[str, ...],
) -> None:  # fmt: skip
    """Facets and counts over time are those of all events of the time, also where only a few may be looked at."""
    database = fresh()
    SqlAudits(database).add([runtime_audit(seq, time, app_id=app) for seq, (time, app) in enumerate(new, 1)])
    store = SqlEvents(database)
    inside = [
        (time, app)
        for time, app in new
        if (start is None or time >= start) and (end is None or time <= end) and (not apps or app in apps)
    ]
    query = AuditQuery(start=start, end=end, equal={"appID": apps})
    if store.counted(EventKind.RUNTIME, query, most=3):
        found = store.tally(EventKind.RUNTIME, query, names=RUNTIME_FACETS, most=3)
        by_app = {values[RUNTIME_FACETS.index("appID")]: count for values, count in found.counts.items()}
        assert (found.end, by_app) == (None, Counter(app for _, app in inside))
        sliced = store.slices(EventKind.RUNTIME, query, start=0, width=2 * QUARTER, most=3)
        assert sliced == (
            {(b, "alert"): n for b, n in Counter(time // (2 * QUARTER) for time, _ in inside).items()},
            None,
        )
    database.close()


def test_many_events_are_counted_in_whole_quarters(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound all are counted, in at most as many parts as asked for; words still bound the answer."""
    monkeypatch.setattr(service, "MOST_COUNTED", 5)
    SqlAudits(database).add([runtime_audit(n, n * QUARTER // 4) for n in range(40)])
    events = events_of(database)
    everything = EventQuery(runtime=AuditQuery(), waas=FirewallQuery())
    found = asyncio.run(events.slices(everything, start=7, end=10 * QUARTER, buckets=4))
    assert (found.start, found.width, found.searched) == (0, 3 * QUARTER, None)
    assert [each.get("alert", 0) for each in found.counts] == [11, 12, 12, 4]
    facets = asyncio.run(events.facets(everything, most_values=5))
    assert (facets.values["effect"], facets.searched) == ([("alert", 40)], None)
    words = EventQuery(runtime=AuditQuery(words=("audit",)))
    assert asyncio.run(events.facets(words, most_values=5)).searched is not None


def test_too_many_facets_bound_the_answer_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reports ever new names makes no question slow: then the newest events are counted, and the answer says so."""
    monkeypatch.setattr(event_counts, "MOST_FACETS", 3)
    SqlAudits(database).add([runtime_audit(n, n * QUARTER, app_id=f"app-{n}") for n in range(9)])
    assert SqlEvents(database).tally(EventKind.RUNTIME, AuditQuery(), names=("appID",), most=5).end == 4 * QUARTER
    monkeypatch.setattr(event_counts, "MOST_FACETS", 30)
    monkeypatch.setattr(event_counts, "MOST_COUNTS", 8)
    assert SqlEvents(database).tally(EventKind.RUNTIME, AuditQuery(), names=("appID",), most=5).end == 4 * QUARTER


def test_the_migration_counts_what_is_there(database: Database) -> None:
    """From the events alone the migration makes the very counts that ingest keeps."""
    new = [runtime_audit(n, n * QUARTER // 3, app_id=f"a{n % 3}") for n in range(12)]
    SqlAudits(database).add([*new, *(waas_audit(n, n * QUARTER) for n in range(3))])
    before = kept(database)
    with database.write() as connection:
        for table in (event_counts.event_counts, event_counts.event_facets):
            table.drop(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0012'")
        database.migrate(connection, "head")
    assert kept(database) == before
    SqlAudits(database).add([runtime_audit(99, 0, app_id="a0")])
    assert kept(database) == counted(database)
