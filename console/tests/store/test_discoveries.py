"""Discovered interfaces in the database: as the merge has them, bounded, and forgotten."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.test_discovery_merge import REPORTS, names, operation

from bartizan.policy.discovery import MOST_OPERATIONS, Discovered, Operation, combined
from bartizan.services.discoveries import DiscoveryKey, DiscoveryQuery
from bartizan.store import Database, SqlDiscoveries

KEY = DiscoveryKey(app_id="shop:1", application="storefront")


def learnt(*operations: Operation, **given: Any) -> Discovered:
    """Return what was learnt of these."""
    return Discovered(operations={item.key: item for item in operations}, **given)


def merge(
    store: SqlDiscoveries, news: Discovered, *, key: DiscoveryKey = KEY, now: int = 1, most: int = 15_000
) -> None:
    """Add news."""
    store.merge(key, news, rule="r", now=now, most_names=most)


@settings(max_examples=12)
@given(reports=st.lists(REPORTS, min_size=1, max_size=4))
def test_the_store_merges_as_the_pure_merge_does(fresh: Callable[[], Database], reports: list[Discovered]) -> None:
    """Reports that are written one by one come to what they are together."""
    database = fresh()
    try:
        store = SqlDiscoveries(database)
        for report in reports:
            merge(store, report)
        together = combined(*reports)
        assert {item.key: item for item in store.of_application(KEY)} == together.operations
        (row,) = store.applications(DiscoveryQuery())
        assert (row.operations, row.dropped) == (len(together.operations), together.dropped)
        assert row.hits == sum(item.hits for item in together.operations.values())
    finally:
        database.close()


def test_the_oldest_go_and_are_counted(database: Database) -> None:
    """Beyond so many operations those go that were not asked for for longest; their requests are counted as dropped."""
    store = SqlDiscoveries(database)
    merge(store, learnt(*(operation(f"/{number}", last_seen=100 + number) for number in range(MOST_OPERATIONS))))
    merge(store, learnt(operation("/new", last_seen=5_000), operation("/0", last_seen=6_000)))
    kept = {item.path: item.hits for item in store.of_application(KEY)}
    assert (len(kept), kept["/0"], kept["/new"], "/1" in kept) == (MOST_OPERATIONS, 2, 1, False)
    assert store.applications(DiscoveryQuery())[0].dropped == 1


def test_names_are_bounded_in_all(database: Database) -> None:
    """An operation whose shape finds no room is kept without it, or with what it had; room that is freed is used."""
    store = SqlDiscoveries(database)
    merge(store, learnt(operation("/a", body=names(6)), operation("/b", body=names(6))), most=10)
    assert sorted(item.names for item in store.of_application(KEY)) == [0, 6]
    merge(store, learnt(operation("/a", body=names(9)), operation("/b", body=names(4))), most=10)
    assert sum(item.names for item in store.of_application(KEY)) <= 10
    assert [item.hits for item in store.of_application(KEY)] == [2, 2]


def test_applications_are_bounded_and_forgotten(database: Database) -> None:
    """Those that were not heard of for longest go with all their operations; so does one that is forgotten."""
    store = SqlDiscoveries(database)
    keys = [DiscoveryKey(app_id=f"a{number}", application="x") for number in range(4)]
    for number, key in enumerate(keys):
        merge(store, learnt(operation("/")), key=key, now=10 - number)
    assert store.prune(most=2) == 2
    assert store.prune(most=2) == 0
    assert [row.key for row in store.applications(DiscoveryQuery())] == keys[:2]
    assert (store.forget(keys[0]), store.forget(keys[0])) == (True, False)
    assert [row[1] for row in store.places(DiscoveryQuery())] == keys[1:2]
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM waas_operations").scalar() == 1
