"""
The Defenders: who is connected, with what policy, and who left.

The registry lives in memory and is written behind: a message that only says "still here" must not cost a commit.
"""

import asyncio
import dataclasses
from collections.abc import Sequence

from bartizan.services.errors import ConflictError, InvalidError, MissingError
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


class Defenders:
    """The registry of one Console."""

    def __init__(self, store: DefenderStore, settings: SettingStore, *, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._live: dict[str, LiveSession] = {}
        self._dirty: set[str] = set()
        self._ending = False
        self.started = clock()
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
        return record.revoked is None and record.bundle == bundle and key in record.keys

    def is_revoked(self, instance: str) -> bool:
        """Return whether somebody shut this instance out; it stays out while its last certificate would be good."""
        record = self._records.get(instance)
        return record is not None and record.revoked is not None and record.certificate_end > self._clock()

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
        self._set(dataclasses.replace(record, connected=True, first_seen=first, last_seen=now, since=now))

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

    def audited(self, instance: str, count: int) -> None:
        """Note that audits of an instance, or of its workloads, are on disk; written with the next status."""
        record = self._records.get(instance)
        if record is not None:
            now = self._clock()
            changed = dataclasses.replace(record, audits=record.audits + count, last_audit=now, last_seen=now)
            self._records[instance] = changed

    def disconnected(self, instance: str, session: LiveSession, *, goodbye: str | None) -> None:
        """Note the end of a session, unless a newer one has taken its place."""
        if self._live.get(instance) is not session:
            return
        del self._live[instance]
        record = self._records.get(instance)
        # Who is connected when the Console ends is awaited when it starts again, and is not lost.
        if record is not None and not (self._ending and goodbye is None):
            self._set(dataclasses.replace(record, connected=False, last_seen=self._clock(), goodbye=goodbye))

    def console_ends(self) -> None:
        """Note that sessions end from now on because the Console does."""
        self._ending = True

    def disconnect(self, instance: str) -> None:
        """End the session of an instance, which comes back by itself. Raises MissingError, ConflictError."""
        self.one(instance)
        session = self._live.get(instance)
        if session is None:
            raise ConflictError("the Defender is not connected")
        session.close("unavailable", "somebody asked for a new connection")

    async def revoke(self, instance: str) -> None:
        """
        Shut an instance out: its session ends, and it neither connects nor enrols again. Raises MissingError.

        A new process with the same install bundle is another instance.
        """
        record = self.one(instance)
        if record.revoked is None:
            self._set(dataclasses.replace(record, revoked=self._clock(), awaited=False))
            await self.flush()
        session = self._live.get(instance)
        if session is not None:
            session.close("revoked", "this Defender was shut out")

    def get(self, instance: str) -> DefenderRecord | None:
        """Return what is known of an instance."""
        return self._records.get(instance)

    def one(self, instance: str) -> DefenderRecord:
        """Return what is known of an instance. Raises MissingError."""
        record = self._records.get(instance)
        if record is None:
            raise MissingError(f"there is no Defender `{instance[:64]}`")
        return record

    def all(self) -> list[DefenderRecord]:
        """Return what is known of every instance."""
        return list(self._records.values())

    def session(self, instance: str) -> LiveSession | None:
        """Return the live session of an instance, if it has one."""
        return self._live.get(instance)

    def records(self) -> list[DefenderRecord]:
        """Return what is known of all Defenders."""
        return list(self._records.values())

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
            record.instance
            for record in self._records.values()
            if not record.connected and record.last_seen <= limit and not self.is_revoked(record.instance)
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
        if not record.connected:
            return record
        return dataclasses.replace(record, connected=False, awaited=record.revoked is None, last_seen=self.started)

    def _set(self, record: DefenderRecord) -> None:
        self._records[record.instance] = record
        self._dirty.add(record.instance)
