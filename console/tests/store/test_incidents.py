"""Incidents in the database: one of a kind a day, each audit counted once, and a bounded number of them."""

import dataclasses
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.test_store import new_audit

from bartizan.audit.incidents import MOST_EMBEDDED, SPAN, IncidentKind
from bartizan.services.incidents import COLLECT_AFTER, Care, IncidentQuery
from bartizan.services.interfaces import NewAudit
from bartizan.store import Database, SqlAudits, SqlIncidents

MINER = IncidentKind(category="cryptoMiner", type="fargate")


def bad(seq: int, *, received: int = 1000, kind: IncidentKind = MINER) -> NewAudit:
    """Return an audit that makes an incident."""
    return dataclasses.replace(new_audit(seq, received=received, time=received), incident=kind)


def test_audits_of_a_kind_join_for_a_day(database: Database) -> None:
    """What comes within 24 hours of an incident's first audit joins it; what comes later begins another."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    audits.add([bad(1), new_audit(2)])
    audits.add([bad(3, received=1000 + SPAN - 1)])
    audits.add([bad(4, received=1000 + SPAN)])
    newest, first = incidents.page(IncidentQuery())
    assert (first.audit_count, first.time, first.last_time) == (2, 1000, 1000 + SPAN - 1)
    assert [number for number, _ in first.audits] == [1, 3]
    assert newest.audit_count == 1


def test_an_audit_that_comes_again_is_counted_once(database: Database) -> None:
    """A Defender that did not see an acknowledgement sends again; its incident does not grow."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    for _ in range(3):
        audits.add([bad(1), bad(2)])
    assert [row.audit_count for row in incidents.page(IncidentQuery())] == [2]


def test_kinds_and_workloads_are_apart(database: Database) -> None:
    """Another category, another custom rule and another workload are incidents of their own."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    custom = [IncidentKind(category="customRule", type="fargate", custom_rule=name) for name in ("a", "b")]
    elsewhere = bad(4)
    elsewhere = dataclasses.replace(elsewhere, audit=msgspec.structs.replace(elsewhere.audit, profile_id="q"))
    audits.add([bad(1), bad(2, kind=custom[0]), bad(3, kind=custom[1]), elsewhere])
    assert incidents.count(IncidentQuery()) == 4
    assert incidents.count(IncidentQuery(equal={"category": ("customRule",)})) == 2
    assert incidents.count(IncidentQuery(equal={"customRuleName": ("a",)})) == 1
    assert incidents.count(IncidentQuery(equal={"profileID": ("q",)})) == 1


def test_a_flood_is_one_incident_of_bounded_size(database: Database) -> None:
    """Of a thousand audits all are counted and the first fifty are kept."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    audits.add([bad(number) for number in range(1, 1001)])
    (row,) = incidents.page(IncidentQuery())
    assert (row.audit_count, len(row.audits)) == (1000, MOST_EMBEDDED)


def test_audits_and_incidents_are_written_together(database: Database) -> None:
    """A batch that fails leaves no incident either."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    with pytest.raises(Exception, match=r"too large|out of range"):
        audits.add([bad(1), bad(2**70)])
    assert incidents.count(IncidentQuery()) == 0


def test_an_embedded_audit_outlives_the_audit(database: Database) -> None:
    """When audits are pruned, an incident still shows what it is made of."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    audits.add([bad(1)])
    assert audits.prune(received_before=5000, below_id=0, most=10) == 1
    assert len(incidents.page(IncidentQuery())[0].audits) == 1


def test_care_is_for_all_or_none(database: Database) -> None:
    """Who acknowledged and when is kept until it is taken back; with one that is not there nothing changes."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    other = IncidentKind(category="malware", type="fargate")
    audits.add([bad(1), bad(2, kind=other)])
    seen, away = Care(acknowledged=True), Care(archived=True)
    assert incidents.care([1, 3], seen, author="eve", now=5) == 1
    assert incidents.count(IncidentQuery(acknowledged=True)) == 0
    assert incidents.care([1, 2], seen, author="eve", now=5) == 2
    assert [(row.seen_by, row.seen_at) for row in incidents.page(IncidentQuery())] == [("eve", 5)] * 2
    incidents.care([1], Care(acknowledged=False), author="bob", now=6)
    (opened,) = incidents.page(IncidentQuery(acknowledged=False))
    assert (opened.id, opened.seen_by, opened.seen_at) == (1, "", None)
    incidents.care([2], away, author="eve", now=7)
    assert [row.id for row in incidents.page(IncidentQuery(archived=False))] == [1]
    assert incidents.facets(IncidentQuery())["state"] == {"archived": 1, "open": 1}


def test_what_was_put_away_comes_back_when_it_goes_on(database: Database) -> None:
    """An attack that goes on is not hidden by having been archived; what was stopped is counted, the worst is kept."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    audits.add([bad(1)])
    incidents.care([1], Care(archived=True), author="eve", now=5)
    stopped = bad(2)
    audits.add([dataclasses.replace(stopped, audit=msgspec.structs.replace(stopped.audit, effect="prevent"))])
    (row,) = incidents.page(IncidentQuery(archived=False, stopped=False))
    assert (row.archived, row.prevented, row.audit_count, row.severity) == (None, 1, 2, "high")
    assert incidents.page(IncidentQuery(stopped=True)) == []


def test_notes_are_bounded_and_belong_to_one_incident(database: Database) -> None:
    """A note goes with its incident, and nobody removes one through another incident."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    audits.add([bad(1), bad(2, kind=IncidentKind(category="malware", type="fargate"))])
    assert incidents.add_note(1, "a", author="eve", now=5, most=1) == 1
    assert incidents.add_note(1, "b", author="eve", now=5, most=1) == 0
    assert incidents.add_note(9, "c", author="eve", now=5, most=1) is None
    assert not incidents.remove_note(2, 1)
    assert [(note.text, note.author, note.time) for note in incidents.notes(1)] == [("a", "eve", 5)]
    assert [row.notes for row in incidents.page(IncidentQuery(sort="_id", descending=False))] == [1, 0]
    assert incidents.remove_note(1, 1)


@pytest.mark.parametrize("descending", [True, False])
def test_a_reader_that_goes_on_sees_everything_once(database: Database, *, descending: bool) -> None:
    """Pages by cursor neither overlap nor leave out, also among incidents of one moment, while new ones come in."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    kinds = [IncidentKind(category=f"c{number}", type="fargate") for number in range(7)]
    audits.add([bad(number + 1, received=1000 + number // 3, kind=kind) for number, kind in enumerate(kinds)])
    query, seen = IncidentQuery(limit=2, descending=descending), []
    while rows := incidents.page(query):
        seen += [row.id for row in rows]
        query = dataclasses.replace(query, after=(rows[-1].time, rows[-1].id))
        if len(seen) == 4 and descending:
            audits.add([bad(99, received=9000, kind=IncidentKind(category="new", type="fargate"))])
    assert seen == (sorted(seen, reverse=True) if descending else sorted(seen))
    assert sorted(seen) == list(range(1, 8))


def test_forensics_are_due_a_minute_later(database: Database) -> None:
    """An incident asks for its forensics once, one minute after it began."""
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    audits.add([bad(1), bad(2)])
    assert incidents.due(now=1000 + COLLECT_AFTER - 1, most=10) == []
    (due,) = incidents.due(now=1000 + COLLECT_AFTER, most=10)
    incidents.collected(due.id)
    assert incidents.due(now=1 << 40, most=10) == []


@settings(max_examples=8)
@given(most=st.integers(0, 8), most_bytes=st.integers(0, 3000))
def test_what_is_left_is_within_bounds(fresh: Callable[[], Database], most: int, most_bytes: int) -> None:
    """Pruning leaves at most so many incidents with at most so many bytes of audits, and they are the newest."""
    database = fresh()
    audits, incidents = SqlAudits(database), SqlIncidents(database)
    audits.add([bad(number, received=number * SPAN) for number in range(1, 7)])
    gone = incidents.prune(most=most, most_bytes=most_bytes)
    left = incidents.page(IncidentQuery(sort="_id", descending=False))
    assert [row.id for row in left] == list(range(gone + 1, 7))
    assert len(left) <= most
    assert sum(len(document) for row in left for _, document in row.audits) <= most_bytes
    database.close()
