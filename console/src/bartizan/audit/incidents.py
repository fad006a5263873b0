"""
Incidents: audits that stand for an attack, of one kind and one workload, taken together for a day.

What counts as an incident is in `contract/detections.json`; a custom rule makes incidents when its action says so.
"""

from dataclasses import dataclass

import msgspec

from bartizan.audit.runtime_audit import RuntimeAudit
from bartizan.audit.wire import Audit, Reason

SPAN = 24 * 3600 * 1000
"""An incident takes in audits of its kind for 24 hours, then a new one begins (milliseconds)."""
_LONGEST = 512
MOST_EMBEDDED = 50
"""So many audits are kept with an incident; of later ones only the number is."""


_SEVERITIES = ("", "low", "medium", "high", "critical")


def worse(one: str, other: str) -> str:
    """Return the severity of the two that is worse; an unknown one is the least."""
    return max(one, other, key=lambda name: _SEVERITIES.index(name) if name in _SEVERITIES else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentKind:
    """What makes two audits of one workload the same incident; `type` is `fargate` or `appEmbedded`."""

    category: str
    type: str
    custom_rule: str = ""


def incident_kind(audit: Audit, shown: RuntimeAudit, *, type_: str) -> IncidentKind | None:
    """Return what kind of incident an audit belongs to, None for one that makes none; `shown` is it as users see it."""
    if not shown.incident_category:
        return None
    custom = (audit.matched or "")[:_LONGEST] if audit.reason is Reason.CUSTOM_RULE else ""
    return IncidentKind(category=shown.incident_category, type=type_, custom_rule=custom)


class IncidentNote(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote about an incident."""

    id: str = msgspec.field(name="_id")
    time: str
    author: str
    text: str


class Incident(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """
    One incident of the API, by the vendor's field names.

    `audits` are the first ones (at most 50) as the audits API gives them, `auditCount` is how many there were in all;
    `time` is that of the first, `lastTime` that of the latest, `severity` the worst. Of `preventedCount` audits the
    attempt was stopped. Those that somebody acknowledged have `seenBy` and `seenAt`; `archived` ones were put away.
    """

    id: str = msgspec.field(name="_id")
    serial_num: int
    time: str
    last_time: str
    type: str
    category: str
    acknowledged: bool = msgspec.field(default=False)
    app_id: str = msgspec.field(name="appID")
    profile_id: str = msgspec.field(name="profileID")
    hostname: str
    container_name: str = ""
    image_name: str = ""
    custom_rule_name: str = ""
    resource_id: str = msgspec.field(name="resourceID", default="")
    severity: str = ""
    audit_count: int
    prevented_count: int = 0
    seen_by: str = ""
    seen_at: str = ""
    archived: str = ""
    note_count: int = 0
    audits: list[msgspec.Raw]
