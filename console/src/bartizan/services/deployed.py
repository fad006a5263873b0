"""The deployed Defenders as people look at them: found, filtered, counted, each with what it should be doing."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bartizan.services.collections import workloads_of
from bartizan.services.defender_state import (
    Connection,
    Gap,
    Sync,
    Wanted,
    WantedWorkload,
    connection_of,
    gaps_of,
    sync_of,
)
from bartizan.services.defenders import Defenders
from bartizan.services.firewall import Firewall
from bartizan.services.interfaces import Clock, DefenderRecord
from bartizan.services.policies import Policies

MOST_VALUES = 100
"""So many values of one facet are counted, the most frequent ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One Defender; `leaves` is when the clean-up takes it off the list (unix milliseconds), None while it stays."""

    record: DefenderRecord
    connection: Connection
    sync: Sync
    wanted: Wanted
    gaps: tuple[Gap, ...]
    latest: bool
    ends_soon: bool
    leaves: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedQuery:
    """
    Which Defenders. Of a facet's values one has to hold; a facet without values is no condition.

    `visible` tells which ones the asker may see.

    `search` looks into names of hosts, App IDs, tasks, containers and images. Those that were shut out are listed only
    when `connection` asks for them.
    """

    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    connected: bool | None = None
    hostnames: tuple[str, ...] = ()
    search: str = ""
    visible: Callable[[DefenderRecord], bool] | None = None
    offset: int = 0
    limit: int = 50


def _yes_no(value: bool) -> str:  # noqa: FBT001 - a predicate's answer
    return "true" if value else "false"


_FACETS: Mapping[str, Callable[[Deployed], tuple[str, ...]]] = {
    "type": lambda found: (found.record.kind,),
    "state": lambda found: (found.connection.value,),
    "sync": lambda found: (found.sync.value,),
    "version": lambda found: (found.record.version,),
    "latest": lambda found: (_yes_no(found.latest),),
    "architecture": lambda found: (found.record.architecture,),
    "appID": lambda found: (found.record.app_id,),
    "gap": lambda found: tuple(dict.fromkeys(gap.kind.value for gap in found.gaps)),
    "certificateEnds": lambda found: ("soon",) if found.ends_soon else (),
    "bundle": lambda found: (found.record.bundle,),
}
FACETS = tuple(_FACETS)


class DeployedDefenders:
    """The registry of Defenders beside what the policies want of them; `life` is that of certificates (ms)."""

    def __init__(
        self, defenders: Defenders, policies: Policies, firewall: Firewall, *, version: str, life: int, clock: Clock
    ) -> None:
        self._defenders = defenders
        self._policies = policies
        self._firewall = firewall
        self._version = version
        # Defenders renew their certificates at half of their life: one with a quarter left has failed to.
        self._ends_soon = life // 4
        self._clock = clock

    def one(self, instance: str) -> Deployed:
        """Return one Defender. Raises MissingError."""
        return self._deployed(self._defenders.one(instance), self._clock())

    def page(self, query: DeployedQuery) -> tuple[list[Deployed], int]:
        """Return one page, connected ones first, then by the last contact; and how many match in all."""
        found = self.all(query)
        return found[query.offset : query.offset + query.limit], len(found)

    def all(self, query: DeployedQuery) -> list[Deployed]:
        """Return all that match, in the order of the list."""
        found = [item for item in self._candidates(query) if _fits(item, query)]
        return sorted(found, key=lambda item: (not item.record.connected, -item.record.last_seen, item.record.instance))

    def facets(self, query: DeployedQuery) -> dict[str, dict[str, int]]:
        """Return how many Defenders have each value of each facet, the facet's own condition aside."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in _FACETS}
        for item in self._candidates(replace(query, facets={})):
            missed = [name for name in query.facets if not _has(item, name, query)]
            if item.connection is Connection.REVOKED and not _asks_revoked(query):
                # Not on the list, but people should see that there are such.
                missed = ["state", *(name for name in missed if name != "state")]
            if len(missed) <= 1:
                for name in missed or _FACETS:
                    counts[name].update(_FACETS[name](item))
        return {name: dict(found.most_common(MOST_VALUES)) for name, found in counts.items()}

    def _candidates(self, query: DeployedQuery) -> Iterator[Deployed]:
        now = self._clock()
        for record in self._defenders.all():
            if _record_fits(record, query):
                yield self._deployed(record, now)

    def _deployed(self, record: DefenderRecord, now: int) -> Deployed:
        wanted = self._wanted(record)
        connection = connection_of(record, now=now, started=self._defenders.started)
        return Deployed(
            record=record,
            connection=connection,
            sync=sync_of(record, wanted),
            wanted=wanted,
            gaps=gaps_of(record, wanted, now=now),
            latest=record.version == self._version,
            ends_soon=record.connected and record.certificate_end - now < self._ends_soon,
            leaves=self._leaves(record),
        )

    def _wanted(self, record: DefenderRecord) -> Wanted:
        scopes = workloads_of(record)
        resolved = [self._policies.resolve(scope) for scope in scopes[: len(record.workloads)]]
        firewall = None
        if record.firewall is not None:
            firewall = self._firewall.resolve(scopes).hash
        return Wanted(
            workloads=tuple(WantedWorkload(hash=item.hash, rule=item.policy.rule) for item in resolved),
            firewall=firewall,
        )

    def _leaves(self, record: DefenderRecord) -> int | None:
        if record.connected:
            return None
        end = record.last_seen + self._defenders.disconnected_minutes * 60_000
        return end if record.revoked is None else max(end, record.certificate_end)


def _asks_revoked(query: DeployedQuery) -> bool:
    return Connection.REVOKED.value in query.facets.get("state", ())


def _has(item: Deployed, name: str, query: DeployedQuery) -> bool:
    values = query.facets[name]
    return not values or any(value in values for value in _FACETS[name](item))


def _fits(item: Deployed, query: DeployedQuery) -> bool:
    if item.connection is Connection.REVOKED and not _asks_revoked(query):
        return False
    return all(_has(item, name, query) for name in query.facets)


def _record_fits(record: DefenderRecord, query: DeployedQuery) -> bool:
    if query.visible is not None and not query.visible(record):
        return False
    if query.connected is not None and record.connected != query.connected:
        return False
    if query.hostnames and record.app_id not in query.hostnames and record.hostname not in query.hostnames:
        return False
    if not query.search:
        return True
    names = [record.hostname, record.app_id, record.task or "", record.instance]
    names += [name for workload in record.workloads for name in (workload.container, workload.image) if name]
    needle = query.search.casefold()
    return any(needle in name.casefold() for name in names)
