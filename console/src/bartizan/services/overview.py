"""What a Console has to say at a glance: who is protected, what happened, what needs attention."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bartizan.policy.stages import Stage
from bartizan.services.deployed import DeployedDefenders, DeployedQuery
from bartizan.services.events import EventList, EventQuery, Facets, Slices
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.incidents import IncidentQuery, Incidents
from bartizan.services.interfaces import AuditQuery, Clock
from bartizan.services.learning import Learning
from bartizan.services.models import ModelQuery, Models

HOUR = 3_600_000
DAY_HOURS = 24
WEEK_HOURS = 7 * DAY_HOURS
MOST_TOP = 5
_FRESH_FOR = 2_000
"""An answer is given again for so long (milliseconds): many windows that show it cost as much as one."""
_PAST_FOR = 600_000
"""Hours that have passed are counted anew so often: audits may come late, and old ones go."""
_TOP_FOR = 30_000
_RECENT_HOURS = 2
_FEW = 5_000
"""So many events of a week are counted anew each time: it costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewFacts:
    """
    The state of a Console; times are unix milliseconds.

    `defenders` has how many Defenders have each value of each facet. `week` are the events by effect, hour by hour,
    the last of which is the present one; `day` are the commonest rules and applications of the last 24 hours.
    `incidents` are the open ones by severity, `learning` the learned rules by stage.
    """

    time: int
    defenders: Mapping[str, Mapping[str, int]]
    week: Slices
    day: Facets
    incidents: Mapping[str, int]
    profiles: int
    learning: Mapping[Stage, int]


class Overview:
    """Puts the facts together, for all who look at the same time but once."""

    def __init__(
        self,
        deployed: DeployedDefenders,
        events: EventList,
        incidents: Incidents,
        models: Models,
        learning: Learning,
        *,
        clock: Clock,
        few: int = _FEW,
    ) -> None:
        self._deployed = deployed
        self._events = events
        self._incidents = incidents
        self._models = models
        self._learning = learning
        self._clock = clock
        self._made: OverviewFacts | None = None
        self._most_recounted = few
        self._few = True
        self._past: tuple[int, Slices] | None = None
        self._top: tuple[int, Facets] | None = None
        self._making = asyncio.Lock()

    async def facts(self) -> OverviewFacts:
        """Return the state of now, or of two seconds ago."""
        async with self._making:
            if self._made is None or not 0 <= self._clock() - self._made.time < _FRESH_FOR:
                self._made = await self._make(self._clock())
            return self._made

    async def _make(self, now: int) -> OverviewFacts:
        waiting = IncidentQuery(acknowledged=False, archived=False)
        stages = [learned.stage for learned in await self._learning.all()]
        return OverviewFacts(
            time=now,
            defenders=self._deployed.facets(DeployedQuery()),
            week=await self._week(now),
            day=await self._day(now),
            incidents=(await self._incidents.facets(waiting))["severity"],
            profiles=(await self._models.page(ModelQuery(limit=1)))[1],
            learning={stage: stages.count(stage) for stage in Stage},
        )

    async def _week(self, now: int) -> Slices:
        """Count the events of seven days, hour by hour as clocks have them; only the last two hours each time."""
        everything = EventQuery(runtime=AuditQuery(), waas=FirewallQuery())
        end = now - now % HOUR + HOUR
        start = end - WEEK_HOURS * HOUR
        if self._past is None or self._few or not 0 <= now - self._past[0] < _PAST_FOR:
            whole = await self._events.slices(everything, start=start, end=end - 1, buckets=WEEK_HOURS)
            self._past = now, whole
            self._few = sum(sum(hour.values()) for hour in whole.counts) < self._most_recounted
            return whole
        past, late = self._past[1], end - _RECENT_HOURS * HOUR
        recent = await self._events.slices(everything, start=late, end=end - 1, buckets=_RECENT_HOURS)
        counts = dict(zip(range(past.start, past.start + WEEK_HOURS * HOUR, HOUR), past.counts, strict=True))
        counts.update(zip(range(late, end, HOUR), recent.counts, strict=True))
        return replace(past, start=start, counts=[counts[hour] for hour in range(start, end, HOUR)])

    async def _day(self, now: int) -> Facets:
        if self._top is None or self._few or not 0 <= now - self._top[0] < _TOP_FOR:
            since = now - DAY_HOURS * HOUR
            today = EventQuery(runtime=AuditQuery(start=since), waas=FirewallQuery(start=since))
            self._top = now, await self._events.facets(today, most_values=MOST_TOP)
        return self._top[1]
