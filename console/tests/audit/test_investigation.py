"""Timelines and process trees, from values alone."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.audit import RuntimeAudit
from bartizan.audit.process_tree import MOST_ACTIONS, process_tree
from bartizan.audit.timeline import Entry, Span, TimedAudit, page, written
from bartizan.audit.wire import AuditEffect, Judged, LookupEvent, ProcessEvent, Reason, Recorded

STOPPED = Judged(effect=AuditEffect.PREVENT, reason=Reason.CRYPTO_MINER)


def start(time: int, pid: int, parent: int, path: str = "/bin/sh", *, judged: Judged | None = None) -> Recorded:
    """Return the start of a program."""
    event = ProcessEvent(
        path=path, invoked=path, arguments=(path,), pid=pid, parent_pid=parent, parent_path=f"/parent{parent}",
        user=0, main=False, interpreted=False, invoked_is_exe=True,
    )  # fmt: skip
    return Recorded(time=time, event=event, judged=judged)


def lookup(time: int, pid: int, *, judged: Judged | None = None) -> Recorded:
    """Return a look-up."""
    return Recorded(
        time=time, event=LookupEvent(name="a.test", record_type="A", pid=pid, path="/bin/sh"), judged=judged
    )


def audit(number: int, time: int, pid: int, **given: Any) -> TimedAudit:
    """Return an audit of a start."""
    shown = RuntimeAudit(
        time="", type="processes", attack_type="a", effect="prevent", severity="high", msg=f"audit {number}",
        app_id="app", hostname="app", profile_id="app", pid=pid, reason="cryptoMiner",
        **{"process_path": "/bin/sh", "command": "/bin/sh", "parent_path": "/parent", **given},
    )  # fmt: skip
    return TimedAudit(number, time, shown)


def test_what_an_audit_tells_is_told_once() -> None:
    """The event of the record that an audit is of is left out, others of the process are not."""
    record = [start(99, 7, 1), start(100, 7, 1, judged=STOPPED), start(300, 7, 1, judged=STOPPED)]
    found = page([audit(1, 101, 7)], [], record, Span(), limit=10)
    assert [(entry.time, entry.kind) for entry in found] == [(99, "process"), (101, "audit"), (300, "process")]


@settings(max_examples=40)
@given(
    times=st.lists(st.integers(0, 20), max_size=12),
    audits=st.lists(st.integers(0, 20), max_size=4),
    limit=st.integers(1, 5),
)
def test_pages_of_a_timeline_are_the_timeline(times: list[int], audits: list[int], limit: int) -> None:
    """Reading on page by page gives every entry once and in order, whatever the times."""
    record = [lookup(time, 3) for time in times]
    items = [audit(number + 1, time, 9) for number, time in enumerate(audits)]
    notes = [written(5, "n", author="eve", number=1)]
    seen: list[Entry] = []
    span = Span()
    while found := page(items, notes, record, span, limit=limit):
        seen += found
        span = Span(after=found[-1].place)
    places = [entry.place for entry in seen]
    assert places == sorted(set(places))
    assert len(seen) == len(times) + len(audits) + 1


def test_a_tree_follows_replaced_and_prevented_programs() -> None:
    """After an exec the new program acts; after a prevented one the old program still does."""
    record = [
        start(1, 5, 1, "/a"),
        start(2, 5, 1, "/b"),
        lookup(3, 5),
        start(4, 5, 1, "/c", judged=STOPPED),
        lookup(5, 5),
    ]
    nodes = process_tree(record, [audit(1, 4, 5, process_path="/c")], until=None, most=10).nodes
    assert [node.path for node in nodes] == ["/parent1", "/a", "/b", "/c"]
    assert [node.parent for node in nodes] == [None, 0, 0, 0]
    assert [node.action_count for node in nodes] == [0, 0, 2, 0]
    assert nodes[3].audits == [1]


def test_without_a_record_the_ancestors_are_the_tree() -> None:
    """Audits with common ancestors share them."""
    lines = [("/bin/sh", "/app", "/init"), ("/bin/sh", "/app", "/init"), ("/other", "/init")]
    items = [audit(number, number, 50 + number, ancestry=line) for number, line in enumerate(lines, start=1)]
    nodes = process_tree([], items, until=None, most=10).nodes
    assert [(node.parent, node.path) for node in nodes] == [
        (None, "/init"), (0, "/app"), (1, "/bin/sh"), (2, "/bin/sh"), (2, "/bin/sh"), (0, "/other"), (5, "/bin/sh"),
    ]  # fmt: skip


def test_objections_stay_when_a_process_does_much() -> None:
    """Of a thousand look-ups twenty are told, and those that a policy objected to are among them."""
    record = [start(0, 5, 1), *(lookup(time, 5, judged=STOPPED if time == 999 else None) for time in range(1, 1000))]
    node = process_tree(record, [], until=None, most=10).nodes[1]
    assert (len(node.actions), node.action_count) == (MOST_ACTIONS, 999)
    assert node.actions[-1].effect == "prevent"


@settings(max_examples=60)
@given(
    starts=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 8), st.integers(0, 8)), max_size=40),
    audited=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)), max_size=5),
    most=st.integers(1, 12),
)
def test_a_tree_is_a_tree(starts: list[tuple[int, int, int]], audited: list[tuple[int, int]], most: int) -> None:
    """Every parent comes before its children, each audit is at one node, and only audits make it larger than asked."""
    record = [start(*item) for item in starts]
    items = [audit(number, time, pid) for number, (time, pid) in enumerate(audited, start=1)]
    tree = process_tree(record, items, until=None, most=most)
    assert all(node.parent is None or node.parent < index for index, node in enumerate(tree.nodes))
    assert sorted(number for node in tree.nodes for number in node.audits) == [item.id for item in items]
    assert len(tree.nodes) <= most or items
