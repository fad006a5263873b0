"""
What happened around an incident, in one order: its audits, the events of its workload's record, and what people wrote.

Pure. The record may be long, so it is taken as a stream and only one page is held.
"""

import heapq
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bartizan.audit.runtime_audit import RuntimeAudit
from bartizan.audit.wire import (
    ConnectionEvent,
    DefenderEvent,
    Event,
    FileEvent,
    ListenEvent,
    LookupEvent,
    ProcessEvent,
    Recorded,
)

SAME_WITHIN = 50
"""An audit and the event of the record that it tells of have times that differ by no more (milliseconds)."""
_LONGEST = 1024

Place = tuple[int, int, int]
"""Where an entry stands: time (unix milliseconds), source, and number in its source."""


class TimedAudit(NamedTuple):
    """An audit of an incident: its id, its time in unix milliseconds, and itself."""

    id: int
    time: int
    audit: RuntimeAudit


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a timeline; `kind` is that of the event, `audit`, `note` or `care`."""

    place: Place
    kind: str
    text: str
    effect: str = ""
    reason: str = ""
    severity: str = ""
    pid: int = 0
    path: str = ""
    command: str = ""
    audit: int | None = None
    author: str = ""
    count: int = 1

    @property
    def time(self) -> int:
        """When it happened, unix milliseconds."""
        return self.place[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which entries are wanted; None and empty are no condition. With `judged` only what a policy objected to."""

    start: int | None = None
    end: int | None = None
    kinds: frozenset[str] = frozenset()
    judged: bool = False
    after: Place | None = None

    def holds(self, entry: Entry) -> bool:
        """Return whether an entry is wanted."""
        return (
            (self.start is None or entry.time >= self.start)
            and (self.end is None or entry.time <= self.end)
            and (not self.kinds or entry.kind in self.kinds)
            and (not self.judged or bool(entry.effect) or entry.kind in {"note", "care"})
            and (self.after is None or entry.place > self.after)
        )


class _Told:
    """Which events of a record are told by an audit already."""

    def __init__(self, audits: Sequence[TimedAudit]) -> None:
        self._times: dict[tuple[int, str], list[int]] = {}
        for item in audits:
            self._times.setdefault((item.audit.pid, item.audit.reason), []).append(item.time)

    def has(self, recorded: Recorded) -> bool:
        if recorded.judged is None:
            return False
        times = self._times.get((_pid(recorded.event), recorded.judged.reason.value), ())
        return any(abs(recorded.time - time) <= SAME_WITHIN for time in times)


def page(
    audits: Sequence[TimedAudit], notes: Iterable[Entry], record: Iterable[Recorded], span: Span, *, limit: int
) -> list[Entry]:
    """Return the first `limit` entries of a span, in order. An event that an audit tells of is that audit alone."""
    return heapq.nsmallest(limit, _wanted(audits, notes, record, span), key=lambda entry: entry.place)


def _wanted(
    audits: Sequence[TimedAudit], notes: Iterable[Entry], record: Iterable[Recorded], span: Span
) -> Iterator[Entry]:
    told = _Told(audits)
    yield from filter(span.holds, (_of_audit(item) for item in audits))
    yield from filter(span.holds, notes)
    for number, recorded in enumerate(record):
        if not told.has(recorded):
            entry = _of_event(recorded, number)
            if span.holds(entry):
                yield entry


def written(time: int, text: str, *, author: str, number: int, kind: str = "note") -> Entry:
    """Return what somebody wrote or did as an entry."""
    return Entry(place=(time, 2, number), kind=kind, text=text, author=author)


def _of_audit(item: TimedAudit) -> Entry:
    audit = item.audit
    return Entry(
        place=(item.time, 1, item.id),
        kind="audit",
        text=audit.msg,
        effect=audit.effect,
        reason=audit.reason,
        severity=audit.severity,
        pid=audit.pid,
        path=audit.process_path,
        command=audit.command,
        audit=item.id,
        count=audit.count,
    )


def _of_event(recorded: Recorded, number: int) -> Entry:
    event, judged = recorded.event, recorded.judged
    process = event if isinstance(event, ProcessEvent) else None
    return Entry(
        place=(recorded.time, 0, number),
        kind=kind_of(event),
        text=cut(sentence_of(event)),
        effect=judged.effect.value if judged else "",
        reason=judged.reason.value if judged else "",
        pid=_pid(event),
        path=cut("" if isinstance(event, DefenderEvent) else event.path),
        command=cut(shlex.join(process.arguments)) if process else "",
    )


def kind_of(event: Event) -> str:
    """Return the name of an event's kind."""
    return str(type(event).__struct_config__.tag)


def sentence_of(event: Event) -> str:
    """Return what happened, for people."""
    match event:
        case ProcessEvent():
            return f"started {event.path}"
        case LookupEvent():
            return f"looked up {event.name} ({event.record_type})"
        case ConnectionEvent():
            where = f"{event.domain} ({event.address})" if event.domain else event.address
            return f"{event.protocol.value} to {where} port {event.port}"
        case ListenEvent():
            return f"listened on {event.protocol.value} port {event.port or 'any'} at {event.address}"
        case FileEvent():
            return f"{event.operation.value} {event.file}"
        case DefenderEvent():
            return f"the Defender says {event.notice.value}: {event.detail}"


def cut(text: str) -> str:
    """Return a text that is not longer than people read."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _pid(event: Event) -> int:
    return 0 if isinstance(event, DefenderEvent) else event.pid
