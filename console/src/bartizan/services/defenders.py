"""
The Defenders: who is connected, with what policy, and who left.

The registry lives in memory and is written behind: a message that only says "still here" must not cost a commit.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import (
    ClientIdentity,
    Clock,
    DefenderRecord,
    DefenderStore,
    FirewallRecord,
    LiveSession,
    SettingStore,
    WorkloadRecord,
)

_MINUTES_SETTING = "appEmbeddedDisconnectedMinutes"
DEFAULT_MINUTES = 60
_LONGEST_MINUTES = 60 * 24 * 365


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenderQuery:
    """Which Defenders; None is no condition. `search` looks into hostname, App ID, task, container and image names."""

    kinds: tuple[str, ...] = ()
    connected: bool | None = None
    hostnames: tuple[str, ...] = ()
    search: str = ""
    offset: int = 0
    limit: int = 50


class Defenders:
    """The registry of one Console."""

    def __init__(self, store: DefenderStore, settings: SettingStore, *, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._live: dict[str, LiveSession] = {}
        self._dirty: set[str] = set()
        self._records = {record.instance: self._after_restart(record) for record in store.all()}
        minutes = settings.get(_MINUTES_SETTING)
        self.disconnected_minutes = int(minutes) if minutes else DEFAULT_MINUTES

    def admits(self, identity: ClientIdentity) -> bool:
        """Return whether the key may speak for the instance: the first key binds it until its certificate ends."""
        return self.free_for(identity.instance, identity.bundle, identity.key)

    def free_for(self, instance: str, bundle: str, key: str | None) -> bool:
        """Return whether the instance is unknown, or known with this bundle and key, or its certificate has ended."""
        record = self._records.get(instance)
        if record is None or record.certificate_end <= self._clock():
            return True
        return record.bundle == bundle and key in record.keys

    def connected(self, record: DefenderRecord, session: LiveSession) -> None:
        """Register a live session. A newer connection of the same instance takes the place of the older one."""
        old = self._live.pop(record.instance, None)
        if old is not None:
            old.close("replaced", "a newer connection of this instance took over")
        now = self._clock()
        known = self._records.get(record.instance)
        first = known.first_seen if known is not None else now
        if known is not None and known.bundle == record.bundle and set(record.keys) <= set(known.keys):
            # A renewed certificate waits for its first use; until then both keys may come.
            end = max(known.certificate_end, record.certificate_end)
            record = dataclasses.replace(record, keys=known.keys, certificate_end=end)
        self._live[record.instance] = session
        self._set(dataclasses.replace(record, connected=True, first_seen=first, last_seen=now))

    def renewed(self, identity: ClientIdentity) -> None:
        """Let an instance use the key of its new certificate, beside the present one."""
        record = self._records.get(identity.instance)
        if record is not None:
            keys = tuple(dict.fromkeys((identity.key, *record.keys)))[:2]
            self._set(dataclasses.replace(record, keys=keys, certificate_end=identity.not_after))

    def reported(
        self, instance: str, workloads: Sequence[WorkloadRecord], firewall: FirewallRecord | None = None
    ) -> None:
        """Take over a status report; workloads that the hello did not name are left out."""
        record = self._records.get(instance)
        if record is None:
            return
        news = {workload.container: workload for workload in workloads}
        merged = tuple(
            dataclasses.replace(news[known.container], image=known.image) if known.container in news else known
            for known in record.workloads
        )
        known_firewall = record.firewall if firewall is None else firewall
        changed = dataclasses.replace(record, workloads=merged, firewall=known_firewall, last_seen=self._clock())
        self._set(changed)

    def disconnected(self, instance: str, session: LiveSession, *, goodbye: str | None) -> None:
        """Note the end of a session, unless a newer one has taken its place."""
        if self._live.get(instance) is not session:
            return
        del self._live[instance]
        record = self._records.get(instance)
        if record is not None:
            self._set(dataclasses.replace(record, connected=False, last_seen=self._clock(), goodbye=goodbye))

    def get(self, instance: str) -> DefenderRecord | None:
        """Return what is known of an instance."""
        return self._records.get(instance)

    def session(self, instance: str) -> LiveSession | None:
        """Return the live session of an instance, if it has one."""
        return self._live.get(instance)

    def connected_records(self) -> list[DefenderRecord]:
        """Return what is known of the Defenders that are connected."""
        return [self._records[instance] for instance in self._live]

    def sessions(self, bundle: str | None = None) -> list[LiveSession]:
        """Return the live sessions: all, or those of one generation of bundles."""
        return [
            session
            for instance, session in self._live.items()
            if bundle is None or self._records[instance].bundle == bundle
        ]

    def page(self, query: DefenderQuery) -> tuple[list[DefenderRecord], int]:
        """Return one page, newest contact first, and how many match in all."""
        found = sorted(
            (record for record in self._records.values() if _matches(record, query)),
            key=lambda record: (not record.connected, -record.last_seen, record.instance),
        )
        return found[query.offset : query.offset + query.limit], len(found)

    async def set_disconnected_minutes(self, minutes: int) -> None:
        """Change how long a disconnected Defender stays listed."""
        if not 1 <= minutes <= _LONGEST_MINUTES:
            raise InvalidError(f"the number of minutes has to be from 1 to {_LONGEST_MINUTES}")
        await asyncio.to_thread(self._settings.put, _MINUTES_SETTING, str(minutes))
        self.disconnected_minutes = minutes

    async def sweep(self) -> int:
        """Remove Defenders that have been away too long, with their workloads; return how many went."""
        limit = self._clock() - self.disconnected_minutes * 60_000
        gone = [
            record.instance for record in self._records.values() if not record.connected and record.last_seen <= limit
        ]
        for instance in gone:
            del self._records[instance]
            self._dirty.discard(instance)
        if gone:
            await asyncio.to_thread(self._store.remove, gone)
        return len(gone)

    async def flush(self) -> None:
        """Write what changed."""
        changed, self._dirty = self._dirty, set()
        records = [self._records[instance] for instance in changed if instance in self._records]
        if records:
            await asyncio.to_thread(self._store.put, records)

    def _after_restart(self, record: DefenderRecord) -> DefenderRecord:
        """Nobody is connected to a Console that starts; who was when it ended gets the full time to come back."""
        last_seen = self._clock() if record.connected else record.last_seen
        return dataclasses.replace(record, connected=False, last_seen=last_seen)

    def _set(self, record: DefenderRecord) -> None:
        self._records[record.instance] = record
        self._dirty.add(record.instance)


def _matches(record: DefenderRecord, query: DefenderQuery) -> bool:
    if query.kinds and record.kind not in query.kinds:
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
