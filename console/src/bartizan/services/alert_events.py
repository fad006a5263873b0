"""Events of the Console as alerts: runtime audits, WAAS events, incidents, and Defenders that were lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from bartizan.alerts import Alert, AlertKind
from bartizan.services.interfaces import DefenderRecord

_DONE = {"prevent": "Prevented", "ban": "Banned", "alert": "Alert", "allow": "Allowed"}
_FIREWALL_SEVERITY = {"prevent": "high", "ban": "high"}
LOST_AFTER = 5 * 60 * 1000
"""A Defender that went without a word is told of when it has been away for so long (milliseconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as it is kept: its id, its time (unix milliseconds), and its JSON document."""

    id: int
    time: int
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """What events have to be for a profile to look at them; every tuple holds alternatives, an empty one is none."""

    rules: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()


class EventSource(Protocol):
    """The kept events, by their kind."""

    def newest(self) -> dict[str, int]:
        """Return the highest id of each kind that there is, 0 when there is none."""
        ...

    def after(self, kind: AlertKind, number: int, wanted: EventFilter, *, most: int) -> list[EventRow]:
        """Return the next events above an id that fit, in order."""
        ...


def alert_of(kind: AlertKind, row: EventRow) -> Alert:
    """Return a kept event as an alert."""
    document: dict[str, Any] = {"_id": str(row.id), **msgspec.json.decode(row.document)}
    return _MAKERS[kind](row, document)


def lost(record: DefenderRecord, *, time: int) -> Alert:
    """Return the alert for a Defender that went without a word."""
    workload = record.workloads[0] if record.workloads else None
    container = (workload.container if workload else None) or ""
    return Alert(
        kind=AlertKind.DEFENDER,
        id=f"defender/{record.instance}/{record.last_seen}",
        time=time,
        title="Defender lost",
        message=f"the Defender of `{record.app_id}` ({record.hostname}) went without a word and did not come back",
        severity="medium",
        app_id=record.app_id,
        container=container,
        image=(workload.image if workload else None) or "",
        category="defenderLost",
        resource=record.task or "",
        path="/manage/defenders",
        document={
            "defenderID": record.instance,
            "hostname": record.hostname,
            "appID": record.app_id,
            "version": record.version,
            "lastSeen": record.last_seen,
        },
    )


def lost_between(records: Sequence[DefenderRecord], start: int, end: int) -> list[Alert]:
    """Return the alerts for Defenders whose absence became a loss after `start`, and until `end`."""
    found = [
        (record.last_seen + LOST_AFTER, record)
        for record in records
        if not record.connected and record.goodbye is None and start < record.last_seen + LOST_AFTER <= end
    ]
    return [lost(record, time=time) for time, record in sorted(found, key=lambda item: (item[0], item[1].instance))]


def _runtime(row: EventRow, document: dict[str, Any]) -> Alert:
    effect = document.get("effect", "")
    category = document.get("attackType") or document.get("reason", "")
    return Alert(
        kind=AlertKind.RUNTIME,
        title=f"{_DONE.get(effect, 'Alert')}: {category}",
        severity=_severity(document.get("severity")),
        resource=document.get("resourceID", ""),
        category=category,
        path=f"/monitor/events?kind=runtime&id={row.id}",
        **_common("runtime", row, document),
    )


def _firewall(row: EventRow, document: dict[str, Any]) -> Alert:
    effect = document.get("effect", "")
    return Alert(
        kind=AlertKind.FIREWALL,
        title=f"WAAS: {_DONE.get(effect, 'Alert').lower()}: {document.get('type', '')}",
        severity=_FIREWALL_SEVERITY.get(effect, "medium"),
        category=document.get("type", ""),
        path=f"/monitor/events?kind=waas&id={row.id}",
        **_common("waas", row, document),
    )


def _incident(row: EventRow, document: dict[str, Any]) -> Alert:
    category = document.get("category", "")
    document["msg"] = document.get("msg") or f"incident `{category}` in `{document.get('appID', '')}`"
    return Alert(
        kind=AlertKind.INCIDENT,
        title=f"Incident: {category}",
        severity="high",
        resource=document.get("resourceID", ""),
        category=category,
        path=f"/monitor/incidents?id={row.id}",
        **_common("incident", row, document) | {"rule": document.get("customRuleName", "")},
    )


def _common(source: str, row: EventRow, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{source}/{row.id}",
        "time": row.time,
        "message": document.get("msg", ""),
        "app_id": document.get("appID", ""),
        "container": document.get("containerName", ""),
        "image": document.get("imageName", ""),
        "rule": document.get("ruleName", ""),
        "effect": document.get("effect", ""),
        "techniques": tuple(document.get("attackTechniques", ())),
        "count": max(1, int(document.get("count", 1))),
        "first": row.time,
        "document": dict(document),
    }


def _severity(found: str | None) -> str:
    return found if found in {"low", "medium", "high"} else "medium"


_MAKERS = {AlertKind.RUNTIME: _runtime, AlertKind.FIREWALL: _firewall, AlertKind.INCIDENT: _incident}
