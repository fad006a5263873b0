"""
Telling: each profile reads the events that come after its cursor, and sends what its triggers and windows let pass.

The queue is the database: nothing is handed over by those who write audits, so they never wait for a receiver. A
profile keeps its cursor with what it has not sent yet, and an alert is sent again when the Console ended between the
two: at least once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from bartizan.alerts import Alert, AlertKind, Trigger, Windows, message_for, triggered
from bartizan.alerts.template import TemplateError
from bartizan.services.alert_events import EventFilter, EventSource, alert_of, lost_between
from bartizan.services.alert_profiles import MOST_PROFILES, AlertProfiles, Courier, Running
from bartizan.services.interfaces import Clock, DefenderRecord
from bartizan.services.outgoing import OutgoingError

_log = logging.getLogger(__name__)
_PAGE = 250
_MOST_PAGES = 20
MOST_BEHIND = 100_000
_GIVE_UP = 24 * 3600 * 1000
_LONGEST_PAUSE = 300_000
_SAVE_EVERY = 5_000
_LOOK_FOR_LOST_EVERY = 5_000
_KINDS = (AlertKind.RUNTIME, AlertKind.FIREWALL, AlertKind.INCIDENT)


class Within(Protocol):
    """Knows which workloads are in a collection."""

    def __call__(self, alert: Alert, names: tuple[str, ...]) -> bool:
        """Return whether an alert's workload is in one of the named collections."""
        ...


class Alerting:
    """
    Sends the alerts of all profiles, each at its own pace and in a thread of its own.

    `lost` gives the records of Defenders, `within` knows collections.
    """

    def __init__(
        self,
        profiles: AlertProfiles,
        events: EventSource,
        courier: Courier,
        *,
        defenders: Callable[[], list[DefenderRecord]],
        within: Within,
        clock: Clock,
    ) -> None:
        self._profiles = profiles
        self._events = events
        self._courier = courier
        self._defenders = defenders
        self._within = within
        self._clock = clock
        # Not the threads that the database is read with: a receiver that hangs must not hold those up.
        self._pool = ThreadPoolExecutor(max_workers=MOST_PROFILES, thread_name_prefix="alerts")
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._saved: dict[str, int] = {}

    async def run(self, *, tick_seconds: float = 0.5) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    await self._begin_turns()
                except Exception:  # noqa: BLE001 - a database that is locked for a while must not end alerts
                    _log.exception("alerts could not be looked for")
                await asyncio.sleep(tick_seconds)
        finally:
            await self._end()

    async def _begin_turns(self) -> None:
        """Begin a turn of every profile that has something to do and is not busy."""
        self._turns = {name: turn for name, turn in self._turns.items() if not turn.done()}
        idle = [item for item in self._profiles.all() if item.profile.enabled and not item.problem]
        idle = [item for item in idle if item.profile.name not in self._turns]
        if not idle:
            return
        heads = await asyncio.to_thread(self._events.newest) | {AlertKind.DEFENDER.value: self._clock()}
        for item in idle:
            if item.state.retry <= self._clock():
                turn = asyncio.create_task(self._turn(item, heads))
                self._turns[item.profile.name] = turn

    async def _turn(self, running: Running, heads: dict[str, int]) -> None:
        try:
            await self._look(running, heads)
            await self._send(running)
            await self._save(running)
        except Exception:  # noqa: BLE001 - one profile must not keep the others from their turn
            _log.exception("the alert profile `%s` failed", running.profile.name)
            running.state.retry = self._clock() + 10_000

    async def _look(self, running: Running, heads: dict[str, int]) -> None:
        """Read on, unless what was found before is still to be sent."""
        state = running.state
        if state.pending:
            return
        windows = Windows(running.profile.period, state.windows)
        state.pending = windows.due(now=self._clock())
        for kind in _KINDS:
            await self._read(running, windows, kind, heads[kind.value])
        for alert in self._lost(running, heads[AlertKind.DEFENDER.value]):
            self._offer(running, windows, alert)
        state.windows = windows.kept

    async def _read(self, running: Running, windows: Windows, kind: AlertKind, head: int) -> None:
        state, trigger = running.state, running.profile.policy.get(kind.value)
        if trigger is None or not trigger.enabled:
            state.cursors[kind.value] = head
            return
        seen = state.cursors.get(kind.value, head)
        if head - seen > MOST_BEHIND:
            state.skipped += head - MOST_BEHIND - seen
            seen = head - MOST_BEHIND
        wanted = _filter(kind, trigger)
        for _ in range(_MOST_PAGES):
            if seen >= head or len(state.pending) >= _PAGE:
                break
            rows = await asyncio.to_thread(self._events.after, kind, seen, wanted, most=_PAGE)
            for row in rows:
                self._offer(running, windows, alert_of(kind, row))
            seen = rows[-1].id if len(rows) == _PAGE else max(head, rows[-1].id if rows else 0)
        state.cursors[kind.value] = seen

    def _lost(self, running: Running, now: int) -> list[Alert]:
        trigger = running.profile.policy.get(AlertKind.DEFENDER.value)
        since = running.state.cursors.setdefault(AlertKind.DEFENDER.value, now)
        if since <= now < since + _LOOK_FOR_LOST_EVERY:
            return []
        running.state.cursors[AlertKind.DEFENDER.value] = now
        return lost_between(self._defenders(), since, now) if trigger and trigger.enabled else []

    def _offer(self, running: Running, windows: Windows, alert: Alert) -> None:
        if triggered(running.profile.policy, alert, within=self._within):
            told = windows.offer(alert, now=self._clock())
            if told is not None:
                running.state.pending.append(told)

    async def _send(self, running: Running) -> None:
        """Send what is pending, in order, until all is sent or the receiver fails."""
        state = running.state
        while state.pending and not running.gone:
            problem, final = await self._carry(running, state.pending[0])
            now = self._clock()
            if problem is None:
                state.sent, state.last_sent = state.sent + 1, now
                state.failing_since = state.attempts = state.retry = 0
                state.pending.pop(0)
            else:
                state.last_error, state.last_error_time = problem, now
                state.failing_since = state.failing_since or now
                state.attempts += 1
                if not final and now - state.failing_since < _GIVE_UP:
                    state.retry = now + min(_LONGEST_PAUSE, 1000 << min(state.attempts - 1, 10))
                    break
                state.dropped += 1
                state.attempts = 0
                state.pending.pop(0)
            if now - self._saved.get(running.profile.name, 0) > _SAVE_EVERY:
                await self._save(running, force=True)

    async def _carry(self, running: Running, alert: Alert) -> tuple[str | None, bool]:
        """Deliver one alert; return what is wrong, if anything is, and whether trying again would not help."""
        try:
            message = message_for(running.target, alert, self._profiles.origin())
            await asyncio.get_running_loop().run_in_executor(self._pool, self._courier.carry, message)
        except TemplateError as error:
            return f"the message cannot be written: {error}", True
        except OutgoingError as error:
            return str(error), error.final
        return None, False

    async def _save(self, running: Running, *, force: bool = False) -> None:
        now = self._clock()
        if force or now - self._saved.get(running.profile.name, 0) > _SAVE_EVERY:
            self._saved[running.profile.name] = now
            await self._profiles.save_state(running)

    async def _end(self) -> None:
        for turn in self._turns.values():
            turn.cancel()
        await asyncio.gather(*self._turns.values(), return_exceptions=True)
        for running in self._profiles.all():
            with contextlib.suppress(Exception):
                await self._profiles.save_state(running)
        self._pool.shutdown(wait=False, cancel_futures=True)


def _filter(kind: AlertKind, trigger: Trigger) -> EventFilter:
    """Return what the database can leave out, for most events concern no profile."""
    if kind is AlertKind.INCIDENT:
        return EventFilter()
    return EventFilter(rules=() if trigger.all_rules else trigger.rules, effects=trigger.effects)
