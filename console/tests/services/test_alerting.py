"""Telling: who was lost, what is too much to look at, and what is given up."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bartizan import pki
from bartizan.alerts import AlertKind, AlertProfile, Message, Origin, Trigger
from bartizan.alerts.targets import FileTarget
from bartizan.services import alerting
from bartizan.services.alert_events import LOST_AFTER, EventFilter, EventRow, lost_between
from bartizan.services.alert_profiles import AlertProfiles
from bartizan.services.alerting import Alerting
from bartizan.services.interfaces import DefenderRecord
from bartizan.services.outgoing import OutgoingError
from bartizan.store import SqlAlertProfiles
from bartizan.store.database import Database

RECORD = DefenderRecord(
    instance="i" * 32,
    bundle="b",
    keys=("k",),
    certificate_end=0,
    kind="fargate",
    app_id="shop",
    version="0.1.0",
    architecture="amd64",
    hostname="task",
    task=None,
    last_seen=1_000_000,
)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (RECORD, True),
        (dataclasses.replace(RECORD, connected=True), False),
        (dataclasses.replace(RECORD, goodbye="ended"), False),
        (dataclasses.replace(RECORD, last_seen=2_000_000), False),
    ],
)
def test_who_went_without_a_word_is_lost(record: DefenderRecord, told: bool) -> None:  # noqa: FBT001 - a table
    """Once, when the time is over: neither earlier nor again, and not for a task that ended."""
    moment = 1_000_000 + LOST_AFTER
    assert lost_between([record], 0, moment - 1) == []
    found = lost_between([record], moment - 1, moment)
    assert [item.kind for item in found] == [AlertKind.DEFENDER] * told
    assert lost_between([record], moment, moment + 100_000) == []


class Events:
    """A thousand runtime audits, of which the first so many are not there yet."""

    def __init__(self) -> None:
        self.head = 0

    def newest(self) -> dict[str, int]:
        """Return the head."""
        return {"appEmbeddedRuntime": self.head, "appEmbeddedAppFirewall": 0, "incident": 0}

    def after(self, kind: AlertKind, number: int, wanted: EventFilter, *, most: int) -> Sequence[EventRow]:
        """Return events above an id."""
        assert (kind, wanted) == (AlertKind.RUNTIME, EventFilter())
        last = min(self.head, number + most)
        return [EventRow(id=item, time=item, document=b'{"appID":"shop"}') for item in range(number + 1, last + 1)]


class Refusing:
    """Carries nothing: the first alerts are refused for good, the others for now."""

    def __init__(self) -> None:
        self.tried = 0

    def check(self, message: Message) -> None:
        """Take any receiver."""

    def carry(self, message: Message) -> None:
        """Refuse."""
        assert message
        self.tried += 1
        raise OutgoingError("no", final=self.tried <= 3)


async def until(what: Callable[[], bool]) -> None:
    """Wait until something is true."""
    while not what():  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.01)


def test_too_much_is_skipped_and_what_is_refused_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are counted; what may succeed later stays first in the queue, and is tried again after a pause."""
    monkeypatch.setattr(alerting, "MOST_BEHIND", 100)
    events, courier, database, clock = Events(), Refusing(), Database(tmp_path / "x.db"), [1_000_000]

    async def work() -> None:
        profiles = AlertProfiles(
            SqlAlertProfiles(database), pki.SecretBox(tmp_path / "key"), courier, box_error=pki.SealError,
            origin=lambda: Origin(name="c", version="0", address="", now=clock[0]), heads=events.newest,
            collections=frozenset, clock=lambda: clock[0],
        )  # fmt: skip
        policy = {"appEmbeddedRuntime": Trigger()}
        await profiles.put(AlertProfile(name="x", target=FileTarget(name="x"), policy=policy, period=0), author="a")
        told = Alerting(
            profiles, events, courier, defenders=list, within=lambda *_, **__: False, clock=lambda: clock[0]
        )
        state, events.head = profiles.one("x").state, 1000
        task = asyncio.create_task(told.run(tick_seconds=0.01))
        async with asyncio.timeout(20):
            await until(lambda: courier.tried == 4 and state.retry > 0)
            assert (state.skipped, state.dropped, len(state.pending), state.sent) == (900, 3, 97, 0)
            assert state.retry == clock[0] + 1000
            clock[0] += 24 * 3600 * 1000
            await until(lambda: state.dropped >= 4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    database.close()
