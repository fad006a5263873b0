"""
What a Defender's record comes to: whether it is there, does what it should, and what of its workload goes unprotected.

Pure: the record, what is wanted of it and the time go in.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from bartizan.services.interfaces import DefenderRecord, WorkloadRecord

AWAITED_FOR = 5 * 60_000
"""Who was connected when the Console ended has so long to come back before it is lost (milliseconds)."""
SETTLED_AFTER = 2 * 60_000
"""A container whose Defender is silent for so long after the task connected is told of (milliseconds)."""
_LOOKS_ONLY = 5


class Connection(enum.StrEnum):
    """
    Whether a Defender is there.

    `ended` ones said goodbye (their task stopped), `lost` ones did not; `awaited` ones were there when the Console
    ended and may come back; `revoked` ones were shut out.
    """

    CONNECTED = "connected"
    AWAITED = "awaited"
    LOST = "lost"
    ENDED = "ended"
    REVOKED = "revoked"


class Sync(enum.StrEnum):
    """Whether what should be in force is: `unknown` of who is away or has not told yet."""

    IN_SYNC = "inSync"
    PENDING = "pending"
    FAILED = "failed"
    UNKNOWN = "unknown"


class GapKind(enum.StrEnum):
    """Why something goes unprotected."""

    CONTAINER = "container"
    NOT_ENFORCING = "notEnforcing"
    LOOKS_ONLY = "looksOnly"
    NO_RULE = "noRule"
    PORT = "port"
    AUDITS_DROPPED = "auditsDropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something of a workload that goes unprotected: its kind, its name (container or port), and why, for people."""

    kind: GapKind
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedWorkload:
    """What should be in force for a workload; without a `rule` nothing of it is judged."""

    hash: str
    rule: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What should be in force at a Defender: for its workloads, in their order, and at its firewall."""

    workloads: tuple[WantedWorkload, ...]
    firewall: str | None = None


def connection_of(record: DefenderRecord, *, now: int, started: int) -> Connection:
    """Return whether a Defender is there; `started` is when the Console was (unix milliseconds)."""
    if record.revoked is not None:
        return Connection.REVOKED
    if record.connected:
        return Connection.CONNECTED
    if record.goodbye is not None:
        return Connection.ENDED
    return Connection.AWAITED if record.awaited and now < started + AWAITED_FOR else Connection.LOST


def sync_of(record: DefenderRecord, wanted: Wanted) -> Sync:
    """Return whether what should be in force is."""
    if not record.connected:
        return Sync.UNKNOWN
    firewall = record.firewall
    if firewall is not None and (firewall.error or (firewall.ruleset or {}).get("error")):
        return Sync.FAILED
    pairs = [(item.policy_hash, want.hash) for item, want in zip(record.workloads, wanted.workloads, strict=True)]
    if firewall is not None and wanted.firewall is not None:
        pairs.append((firewall.hash, wanted.firewall))
    told = [(present, want) for present, want in pairs if present is not None]
    if any(present != want for present, want in told):
        return Sync.PENDING
    return Sync.IN_SYNC if told and len(told) == len(pairs) else Sync.UNKNOWN


def gaps_of(record: DefenderRecord, wanted: Wanted, *, now: int) -> tuple[Gap, ...]:
    """Return what of a connected Defender's workload goes unprotected, as far as the Defender can tell."""
    if not record.connected:
        return ()
    found: list[Gap] = []
    for item, want in zip(record.workloads, wanted.workloads, strict=True):
        found.extend(_workload_gaps(item, want, silent=now - record.since >= SETTLED_AFTER))
    if record.firewall is not None:
        found.extend(
            Gap(kind=GapKind.PORT, name=str(port), reason="this port is reachable beside the firewall")
            for port, covered in record.firewall.open_ports
            if not covered
        )
    return tuple(found)


def _workload_gaps(item: WorkloadRecord, want: WantedWorkload, *, silent: bool) -> Sequence[Gap]:
    name = item.container or ""
    why = f": {item.tier_reasons[0]}" if item.tier_reasons else ""
    if item.tier is None:
        reason = "its Defender has not spoken: the container does not run, or was started without its entrypoint"
        return [Gap(kind=GapKind.CONTAINER, name=name, reason=reason)] if silent else []
    found = []
    if item.tier == 0:
        found.append(Gap(kind=GapKind.NOT_ENFORCING, name=name, reason=f"nothing is judged here{why}"))
    elif item.tier == _LOOKS_ONLY:
        found.append(Gap(kind=GapKind.LOOKS_ONLY, name=name, reason=f"the Defender can look but prevent nothing{why}"))
    if want.rule is None:
        found.append(Gap(kind=GapKind.NO_RULE, name=name, reason="no rule of the runtime policy applies to it"))
    if item.dropped:
        reason = f"{item.dropped:,} audits were given up before they could be sent"
        found.append(Gap(kind=GapKind.AUDITS_DROPPED, name=name, reason=reason))
    return found
