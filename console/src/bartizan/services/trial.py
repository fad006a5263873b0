"""
What a policy would have done about what happened: stored audits and observations, judged by the Defender's own code.

Nothing is decided here. Events are put together again from what is kept of them, and the Defender's program judges each
by the policy that its workload would get, and by the one that it has.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from bartizan.audit import RuntimeAudit
from bartizan.audit.past import Past, past_audit, past_observation
from bartizan.audit.wire import Observed
from bartizan.policy import Library, Rule, RuntimePolicy, Workload, encode_policy, resolve
from bartizan.services.errors import UnavailableError
from bartizan.services.interfaces import AuditQuery, AuditStore, Clock
from bartizan.services.policies import Policies

_DAY = 24 * 3600 * 1000
MOST_AUDITS = 20_000
MOST_OBSERVATIONS = 20_000
MOST_CASES = 200
_ORDER = {"prevent": 0, "alert": 1, "allow": 2}


class Decision(msgspec.Struct, frozen=True):
    """What a policy does about an event; `allow` when it says nothing about it."""

    effect: Literal["allow", "alert", "prevent"]
    rule: str = ""
    reason: str = ""
    matched: str | None = None


class DecisionCore(Protocol):
    """The Defender's program, asked on lines of JSON (`defender policy test`)."""

    async def judge(self, lines: bytes) -> bytes:
        """Return a line for each event. Raises UnavailableError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenThing:
    """Something that was observed of a workload."""

    app_id: str
    image: str
    container: str
    observed: Observed


class ObservationStore(Protocol):
    """What workloads were seen to do."""

    def seen_since(self, since: int, *, limit: int) -> list[SeenThing]:
        """Return what was seen from this time on, the latest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something that happened, and what both policies do about it."""

    past: Past
    before: Decision
    after: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How often something is let through, reported and stopped; `cases` counts what is alike once."""

    cases: int
    allow: int
    alert: int
    prevent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The outcome of a trial; `cases` are those that matter, `more` of them are left out."""

    start: int
    end: int
    audits: int
    observations: int
    complete: bool
    before: Totals
    after: Totals
    cases: Sequence[Case]
    more: int


class Trials:
    """Tries policies against the past, one at a time: the Defender takes a core while it judges."""

    def __init__(
        self,
        audits: AuditStore,
        observations: ObservationStore,
        policies: Policies,
        core: DecisionCore,
        *,
        clock: Clock,
    ) -> None:
        self._audits = audits
        self._observations = observations
        self._policies = policies
        self._core = core
        self._clock = clock
        self._turn = asyncio.Lock()

    async def of_rule(self, rule: Rule, *, days: int) -> Trial:
        """Try the present policy with this rule in the place of the one of its name, or before all others."""
        present = self._policies.current.rules
        if any(item.name == rule.name for item in present):
            rules = tuple(rule if item.name == rule.name else item for item in present)
        else:
            rules = (rule, *present)
        return await self.of_policy(RuntimePolicy(rules=rules), days=days)

    async def of_policy(self, policy: RuntimePolicy, *, days: int) -> Trial:
        """Try a policy. Raises PolicyError when it would be refused, UnavailableError when nobody can judge."""
        proposed = self._policies.bound(policy)
        if self._turn.locked():
            raise UnavailableError("another policy is being tried: try again in a moment", retry_after=5)
        async with self._turn:
            end = self._clock()
            start = end - days * _DAY
            past, audits, observations = await asyncio.to_thread(self._gathered, start)
            present, library = self._policies.current, self._policies.library
            lines, places = await asyncio.to_thread(_questions, past, (present, proposed), library)
            answers = _answers(await self._core.judge(lines), len(places)) if past else []
        decided = dict(zip(places, answers, strict=True))
        cases = [Case(past=item, before=decided[0, index], after=decided[1, index]) for index, item in enumerate(past)]
        telling = sorted(filter(_tells, cases), key=_weight)
        return Trial(
            start=start,
            end=end,
            audits=audits,
            observations=observations,
            complete=audits < MOST_AUDITS and observations < MOST_OBSERVATIONS,
            before=_totals((case.past.count, case.before) for case in cases),
            after=_totals((case.past.count, case.after) for case in cases),
            cases=telling[:MOST_CASES],
            more=max(len(telling) - MOST_CASES, 0),
        )

    def _gathered(self, start: int) -> tuple[list[Past], int, int]:
        """Return what happened, what is alike once, and how many audits and observations it was made from."""
        rows = self._audits.page(AuditQuery(start=start, limit=MOST_AUDITS))
        seen = self._observations.seen_since(start, limit=MOST_OBSERVATIONS)
        found: dict[tuple[object, ...], Past] = {}
        told = (past_audit(msgspec.json.decode(document, type=RuntimeAudit)) for _, document in rows)
        watched = (
            past_observation(item.observed, app_id=item.app_id, image=item.image, container=item.container)
            for item in seen
        )
        for past in (*told, *watched):
            if past is not None:
                known = found.get(past.key)
                found[past.key] = past if known is None else _together(known, past)
        return list(found.values()), len(rows), len(seen)


def _together(one: Past, other: Past) -> Past:
    return dataclasses.replace(one, count=one.count + other.count, last=max(one.last, other.last))


def _questions(
    past: Sequence[Past], policies: tuple[RuntimePolicy, RuntimePolicy], library: Library
) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the lines for the Defender, and for each answer which policy and which event it is about."""
    lines: list[bytes] = []
    places: list[tuple[int, int]] = []
    for which, policy in enumerate(policies):
        of_workload: dict[Workload, list[int]] = {}
        for index, item in enumerate(past):
            workload = Workload(app_id=item.app_id, image=item.image or None, container=item.container or None)
            of_workload.setdefault(workload, []).append(index)
        for workload, indexes in of_workload.items():
            resolved = encode_policy(resolve(policy, workload, revision=0, library=library)).policy
            lines.append(msgspec.json.encode({"policy": resolved}))
            lines += [past[index].line for index in indexes]
            places += [(which, index) for index in indexes]
    return b"\n".join(lines) + b"\n", places


def _answers(lines: bytes, expected: int) -> list[Decision]:
    try:
        found = [msgspec.json.decode(line, type=Decision) for line in lines.splitlines()]
    except msgspec.DecodeError:
        found = []
    if len(found) != expected:
        raise UnavailableError("the Defender's program did not answer for every event")
    return found


def _tells(case: Case) -> bool:
    return case.after.effect != "allow" or case.before.effect != case.after.effect


def _weight(case: Case) -> tuple[Any, ...]:
    """Put what changes first, then what is stopped, then what happens often."""
    return (case.before.effect == case.after.effect, _ORDER[case.after.effect], -case.past.count, case.past.what)


def _totals(decided: Iterable[tuple[int, Decision]]) -> Totals:
    counts = {"allow": 0, "alert": 0, "prevent": 0}
    cases = 0
    for count, decision in decided:
        counts[decision.effect] += count
        cases += 1
    return Totals(cases=cases, **counts)
