"""The list of both kinds of events: every way through it gives each event once, and no question looks at too much."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.services.errors import InvalidError, UnavailableError
from bartizan.services.events import (
    MOST_FOLLOWERS,
    Cursor,
    EventKey,
    EventKind,
    EventList,
    EventQuery,
    parse_cursor,
    parse_event_id,
)
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.ingest import AuditFeed
from bartizan.services.interfaces import AuditQuery, NewAudit, NewFirewallAudit
from bartizan.store import Database, SqlAudits, SqlEvents

BOTH = EventQuery(runtime=AuditQuery(), waas=FirewallQuery())


def runtime_audit(seq: int, time: int, **changed: str) -> NewAudit:
    """Return an audit."""
    audit = RuntimeAudit(
        time="", type="processes", attack_type="a", effect="alert", severity="high", msg=f"audit {seq}", app_id="app",
        hostname="app", profile_id="app", rule_name="shop",
    )  # fmt: skip
    audit = msgspec.structs.replace(audit, **changed)
    return NewAudit(bundle="b", source="s", seq=seq, time=time, received=time, audit=audit)


def waas_audit(seq: int, time: int, **changed: str) -> NewFirewallAudit:
    """Return a WAAS event."""
    audit = FirewallAudit(
        time="", app_id="web", hostname="web", effect="prevent", type="sqli", protection="firewall", msg="SQL",
        event_id="e", count=1, firewall_type="app-embedded", country="DE", url="http://shop.test/a?id=1",
    )  # fmt: skip
    audit = msgspec.structs.replace(audit, **changed)
    return NewFirewallAudit(bundle="b", source="s", seq=seq, time=time, received=time, audit=audit)


def events_of(database: Database) -> EventList:
    """Return the service on a store."""
    return EventList(SqlEvents(database), AuditFeed(0), clock=lambda: 10_000)


_times = st.lists(st.tuples(st.sampled_from(EventKind), st.integers(0, 6)), max_size=24)


@settings(max_examples=20)
@given(_times, st.integers(1, 5), st.integers(1, 7))
def test_every_walk_gives_each_event_once(
    fresh: Callable[[], Database], kept: list[tuple[EventKind, int]], limit: int, most: int
) -> None:
    """From the newest to the oldest and back, a walk by cursors gives the sorted list, whatever the bounds are."""
    database = fresh()
    new = [
        runtime_audit(seq, time) if kind is EventKind.RUNTIME else waas_audit(seq, time)
        for seq, (kind, time) in enumerate(kept, start=1)
    ]
    SqlAudits(database).add(new)
    events = events_of(database)
    down, cursor = [], None
    while True:
        page = events._page(BOTH, cursor, limit, most)
        down += [(event.kind, event.number) for event in page.events]
        assert len(page.events) <= limit
        if page.older is None:
            break
        cursor = page.older
    assert len(set(down)) == len(down) == len(kept)
    kinds = {kind: iter([time for each, time in kept if each is kind]) for kind in EventKind}
    times = {(kind, number): next(kinds[kind]) for kind, number in sorted(down, key=lambda pair: pair[1])}
    assert [times[event] for event in down] == sorted(times.values(), reverse=True)
    up: list[tuple[EventKind, int]] = []
    cursor = Cursor(EventKey(0, 0, 0), older=False)
    for _ in range(2 * len(kept) + 2):
        page = events._page(BOTH, cursor, limit, most)
        up = [(event.kind, event.number) for event in page.events] + up
        assert page.newer is not None
        cursor = page.newer
    assert up == down
    database.close()


@given(st.integers(0, 2**63 - 1), st.integers(0, 1), st.integers(0, 2**63 - 1), st.booleans())
def test_cursors_are_read_back(time: int, rank: int, number: int, older: bool) -> None:  # noqa: FBT001
    """What a cursor says is what was put into it."""
    cursor = Cursor(EventKey(time, rank, number), older=older)
    assert parse_cursor(cursor.text()) == cursor


@given(st.text(max_size=40))
def test_no_text_is_a_bad_cursor_or_id(text: str) -> None:
    """Any text is a cursor (an id), or is refused with InvalidError and nothing else."""
    for parse in (parse_cursor, parse_event_id):
        with contextlib.suppress(InvalidError):
            parse(text)


@pytest.mark.parametrize(
    "text", ["", "o", "o.1.2.3", "o.1.0", "x.1.0.3", "o.-1.0.3", f"o.{2**63}.0.3", "o.1.0.3.4", "o.\u0661.0.3"]
)
def test_bad_cursors_are_refused(text: str) -> None:
    """A cursor has a way and three numbers in their bounds."""
    with pytest.raises(InvalidError, match="`cursor`"):
        parse_cursor(text)


def test_a_page_looks_no_further_than_its_bound(database: Database) -> None:
    """A rare event beyond the bound is not found at once; the answer says how far was looked, and leads on to it."""
    SqlAudits(database).add([runtime_audit(1, 1, effect="prevent"), *(runtime_audit(n, n) for n in range(2, 21))])
    rare = EventQuery(runtime=AuditQuery(), waas=FirewallQuery(), facets={"effect": ("prevent",)})
    events = events_of(database)
    page = events._page(rare, None, 5, 10)
    assert (page.events, page.searched) == ([], 11)
    assert page.older is not None
    page = events._page(rare, page.older, 5, 10)
    assert [event.number for event in page.events] == [1]


def test_facets_leave_their_own_condition_out(database: Database) -> None:
    """A facet counts what passes the other filters, so that another value of it can be chosen too."""
    SqlAudits(database).add(
        [
            runtime_audit(1, 1),
            runtime_audit(2, 2, effect="prevent"),
            runtime_audit(3, 3, effect="prevent", app_id="b"),
            waas_audit(4, 4),
        ]
    )
    query = EventQuery(runtime=AuditQuery(), waas=FirewallQuery(), facets={"effect": ("prevent",), "appID": ("app",)})
    found = asyncio.run(events_of(database).facets(query, most_values=10)).values
    assert found["effect"] == [("alert", 1), ("prevent", 1)]
    assert sorted(found["appID"]) == [("app", 1), ("b", 1), ("web", 1)]
    assert found["kind"] == [("runtime", 1)]
    assert found["country"] == []


def test_slices_count_by_effect(database: Database) -> None:
    """Each event is in the slice of its time, and none is lost at the ends."""
    SqlAudits(database).add([runtime_audit(n, n * 10) for n in range(10)] + [waas_audit(20, 95)])
    found = asyncio.run(events_of(database).slices(BOTH, start=0, end=99, buckets=2))
    assert (found.start, found.width) == (0, 50)
    assert found.counts == [{"alert": 5}, {"alert": 5, "prevent": 1}]


def test_following_gives_both_kinds_and_ends_with_its_client(database: Database) -> None:
    """What is committed is sent once, after the place that was given; a client that goes makes room for another."""
    store, feed = SqlAudits(database), AuditFeed(0)
    events = EventList(SqlEvents(database), feed, clock=lambda: 0)

    async def follow() -> None:
        store.add([runtime_audit(1, 1), waas_audit(1, 1)])
        first = events.follow(BOTH, after=(0, 1), idle_seconds=5)
        assert await anext(first) == ((0, 1), None)
        assert (await anext(first))[0] == (1, 1)
        store.add([waas_audit(2, 2)])
        feed.publish(1)
        seen, event = await anext(first)
        assert (seen, event and event.kind) == ((1, 2), EventKind.WAAS)
        others = [events.follow(BOTH, after=None, idle_seconds=5) for _ in range(MOST_FOLLOWERS - 1)]
        for other in others:
            await anext(other)
        with pytest.raises(UnavailableError, match="100 clients"):
            await anext(events.follow(BOTH, after=None, idle_seconds=5))
        await others[0].aclose()
        await anext(events.follow(BOTH, after=None, idle_seconds=5))

    asyncio.run(follow())


def test_a_filter_of_one_kind_leaves_the_other_out() -> None:
    """A condition on what only one kind has leaves that kind."""
    for facet, kinds in (("severity", ["runtime"]), ("country", ["waas"]), ("appID", ["runtime", "waas"])):
        query = dataclasses.replace(BOTH, facets={facet: ("x",)})
        assert [kind.value for kind, _ in query.filters()] == kinds
