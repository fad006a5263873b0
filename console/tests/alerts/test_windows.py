"""Aggregation: at once, then one in each period; nothing is lost in between."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerts.samples import alert

from bartizan.alerts import Alert, Windows
from bartizan.alerts.windows import MOST_GROUPS

MINUTE = 60_000


def test_the_first_is_told_at_once_and_then_one_in_each_period() -> None:
    """Five more come within the period: one alert at its end tells of them, with the time of the first."""
    windows = Windows(MINUTE)
    first = alert()
    assert windows.offer(first, now=0) is first
    for second in range(1, 6):
        assert windows.offer(alert(id=f"runtime/{second}", time=second, first=second), now=second * 1000) is None
    assert windows.due(now=MINUTE - 1) == []
    (told,) = windows.due(now=MINUTE)
    assert (told.count, told.first, told.id) == (5, 1, "runtime/5")
    assert windows.offer(alert(), now=MINUTE + 1) is None
    (told,) = windows.due(now=2 * MINUTE)
    assert told.count == 1
    assert windows.due(now=4 * MINUTE) == []
    assert windows.kept == {}


def test_others_are_told_by_themselves() -> None:
    """Another rule, workload or attack has a period of its own; without a period everything is told."""
    windows = Windows(MINUTE)
    for changed in ({}, {"rule": "other"}, {"app_id": "other"}, {"category": "other"}, {"effect": "alert"}):
        assert windows.offer(alert(**changed), now=0) is not None
    assert all(Windows(0).offer(alert(), now=0) for _ in range(3))


def test_groups_are_bounded() -> None:
    """Ten thousand apps are told of one by one up to a limit, then together."""
    windows = Windows(MINUTE)
    told = [windows.offer(alert(app_id=f"app-{number}"), now=0) for number in range(10_000)]
    assert sum(item is not None for item in told) == MOST_GROUPS + 1
    assert len(windows.kept) == MOST_GROUPS + 1
    (rest,) = windows.due(now=MINUTE)
    assert rest.count == 10_000 - MOST_GROUPS - 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200_000), st.integers(1, 9)), max_size=40))
@settings(max_examples=60)
def test_every_event_is_counted_once(events: list[tuple[int, int, int]]) -> None:
    """The counts of all that is told are the counts of all that came."""
    windows, told = Windows(MINUTE), list[Alert]()
    for app, time, count in sorted(events, key=lambda item: item[1]):
        told += windows.due(now=time)
        found = windows.offer(alert(app_id=str(app), count=count), now=time)
        told += [found] if found else []
    told += windows.due(now=10**9)
    assert sum(item.count for item in told) == sum(count for _, _, count in events)
