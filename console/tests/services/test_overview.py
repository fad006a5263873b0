"""The hours of the overview: counted once, and told as if they were counted each time."""

import asyncio
from collections.abc import Mapping
from typing import Any

from bartizan.services.events import EventQuery, Facets, Slices
from bartizan.services.overview import HOUR, WEEK_HOURS, Overview


class Others:
    """Everything but events: there is nothing."""

    def __init__(self) -> None:
        self.now = 1_000 * HOUR + 5

    async def all(self) -> list[Any]:
        """Return nothing."""
        return []

    async def page(self, _query: object) -> tuple[list[Any], int]:
        """Return nothing."""
        return [], 0


class Defenders:
    """No Defenders."""

    def facets(self, _query: object) -> Mapping[str, Mapping[str, int]]:
        """Return nothing."""
        return {}


class Incidents:
    """No incidents."""

    async def facets(self, _query: object) -> Mapping[str, Mapping[str, int]]:
        """Return something."""
        return {"severity": {}}


class Events:
    """Events at these times, and how many hours were counted."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.counted = 0

    async def slices(self, _query: EventQuery, *, start: int, end: int, buckets: int) -> Slices:
        """Count the times."""
        self.counted += buckets
        counts: list[dict[str, int]] = [{} for _ in range(buckets)]
        width = (end + 1 - start) // buckets
        for time in self.times:
            if start <= time <= end:
                bucket = counts[(time - start) // width]
                bucket["alert"] = bucket.get("alert", 0) + 1
        return Slices(start=start, width=width, counts=counts)

    async def facets(self, _query: EventQuery, *, most_values: int) -> Facets:
        """Return something."""
        return Facets(values={"ruleName": [("r", most_values)], "appID": []})


def test_only_the_last_hours_are_counted_again() -> None:
    """What comes within them is seen at once, across the change of the hour too; what comes late within ten minutes."""
    asyncio.run(_only_the_last_hours())


async def _only_the_last_hours() -> None:
    others, events = Others(), Events()
    overview = Overview(Defenders(), events, Incidents(), others, others, clock=lambda: others.now, few=0)  # type: ignore[arg-type]
    events.times = [others.now - 100 * HOUR, others.now]
    assert _alerts((await overview.facts()).week) == {WEEK_HOURS - 1: 1, WEEK_HOURS - 101: 1}
    assert events.counted == WEEK_HOURS
    # Within two seconds nothing is asked again.
    others.now += 1_000
    events.times.append(others.now)
    assert _alerts((await overview.facts()).week)[WEEK_HOURS - 1] == 1
    # The hour before the change is still counted, for what came until then.
    others.now = 1_001 * HOUR - 1
    events.counted = 0
    overview._past = (others.now - 60_000, overview._past[1]) if overview._past else None
    events.times.append(others.now)
    others.now += 2_001
    assert _alerts((await overview.facts()).week) == {WEEK_HOURS - 2: 3, WEEK_HOURS - 102: 1}
    assert events.counted == 2
    # Late ones are seen when the past is counted anew.
    events.times.append(others.now - 50 * HOUR)
    others.now += 600_000
    assert (await overview.facts()).week.counts[WEEK_HOURS - 51] == {"alert": 1}


def _alerts(week: Slices) -> dict[int, int]:
    return {index: counts["alert"] for index, counts in enumerate(week.counts) if counts}
