"""Aggregation: the first event of a kind is told at once, then one alert in each period says how many there were."""

from dataclasses import replace

import msgspec

from bartizan.alerts.alert import Alert

MOST_GROUPS = 200
_OVERFLOW = "others"


class Window(msgspec.Struct, kw_only=True):
    """A group of events alike: its period ends at `until`, and `waiting` more have come in it, `latest` the last."""

    until: int
    waiting: int = 0
    first: int = 0
    latest: Alert | None = None


class Windows:
    """
    The periods that are open, bounded in number: beyond that, events of all further groups are told together.

    `period` is in milliseconds; with 0 every event is told by itself.
    """

    def __init__(self, period: int, kept: dict[str, Window] | None = None) -> None:
        self._period = period
        self._open = kept or {}

    @property
    def kept(self) -> dict[str, Window]:
        """What has to be kept over a restart, for `__init__`."""
        return self._open

    def offer(self, alert: Alert, *, now: int) -> Alert | None:
        """Return the event if it is told at once, None when it waits for the end of a period."""
        if self._period == 0:
            return alert
        group = alert.group
        if group not in self._open and len(self._open) >= MOST_GROUPS:
            group = _OVERFLOW
        window = self._open.get(group)
        if window is None:
            self._open[group] = Window(until=now + self._period)
            return alert
        window.first = window.first or alert.first or alert.time
        window.waiting += alert.count
        window.latest = alert
        return None

    def due(self, *, now: int) -> list[Alert]:
        """Return an alert for each period that ended with events in it; what had none is forgotten."""
        told = []
        for group, window in list(self._open.items()):
            if window.until > now and window.until - now <= self._period:
                continue
            if window.latest is None:
                del self._open[group]
                continue
            told.append(replace(window.latest, count=window.waiting, first=window.first))
            self._open[group] = Window(until=now + self._period)
        return told

    def next_end(self) -> int | None:
        """Return when the next period with events in it ends."""
        return min((window.until for window in self._open.values() if window.latest is not None), default=None)
