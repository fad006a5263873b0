"""How long audits are kept, as people set it: by age, number and size, for each kind; and the hour of the clean-up."""

import asyncio
from collections.abc import Callable

import msgspec

from bartizan.audit import Retention, cutoff
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import Clock, SettingStore

_SETTING = "retention"
_LONGEST_DAYS = 3650
_MOST_AUDITS = 1_000_000_000
_MOST_MEBIBYTES = 10 * 1024 * 1024
_LAST_HOUR = 23

Cutoff = Callable[[int], tuple[int, int]]
"""Takes the highest id; returns (time, id) below which audits may go. It may read the database."""


class RetentionSettings(msgspec.Struct, frozen=True):
    """The bounds of both kinds of audits; without a clean-up hour (UTC) old ones go as soon as they are too old."""

    runtime: Retention
    firewall: Retention
    clean_up_hour: int | None = None


class Retentions:
    """The retention in force: `given` at start, until somebody sets another one."""

    def __init__(self, settings: SettingStore, *, given: Retention, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        stored = settings.get(_SETTING)
        self.current = (
            msgspec.json.decode(stored, type=RetentionSettings)
            if stored
            else RetentionSettings(runtime=given, firewall=given)
        )

    async def replace(self, wanted: RetentionSettings) -> None:
        """Set the retention; it holds from the next clean-up on. Raises InvalidError."""
        for kind, bounds in (("runtime", wanted.runtime), ("firewall", wanted.firewall)):
            _within(f"{kind}.days", bounds.days, 1, _LONGEST_DAYS)
            _within(f"{kind}.audits", bounds.audits, 1, _MOST_AUDITS)
            _within(f"{kind}.mebibytes", bounds.mebibytes, 0, _MOST_MEBIBYTES)
        if wanted.clean_up_hour is not None:
            _within("cleanUpHour", wanted.clean_up_hour, 0, _LAST_HOUR)
        await asyncio.to_thread(self._settings.put, _SETTING, msgspec.json.encode(wanted).decode())
        self.current = wanted

    def of_runtime(self, average_size: Callable[[], float]) -> Cutoff:
        """Return what says which runtime audits may go."""
        return lambda newest: self._cutoff(self.current.runtime, newest, average_size)

    def of_firewall(self, average_size: Callable[[], float]) -> Cutoff:
        """Return what says which WAAS events may go."""
        return lambda newest: self._cutoff(self.current.firewall, newest, average_size)

    def _cutoff(self, bounds: Retention, newest: int, average_size: Callable[[], float]) -> tuple[int, int]:
        size = average_size() if bounds.mebibytes else 0.0
        now, hour = self._clock(), self.current.clean_up_hour
        return cutoff(bounds, now=now, newest_id=newest, average_size=size, hour=hour)


def _within(name: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise InvalidError(f"`{name}` is {number}, it has to be from {least} to {most}")
