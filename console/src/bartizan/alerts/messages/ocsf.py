"""
Alerts as events of the Open Cybersecurity Schema Framework, version 1.3: class Detection Finding (2004).

`type_uid` is `class_uid` * 100 + `activity_id`; severities, statuses and dispositions are the schema's numbers.
"""

from typing import Any

from bartizan.alerts.alert import Alert
from bartizan.alerts.messages.message import Origin, headline

_CLASS = 2004
_CREATE = 1
_SEVERITIES = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High")}
# Disposition and action of the profile "security control": blocked or denied, and alerted or allowed.
_DISPOSITIONS = {"prevent": (2, "Blocked", 2, "Denied"), "ban": (2, "Blocked", 2, "Denied")}
_ALERTED = (19, "Alert", 1, "Allowed")


def ocsf_event(alert: Alert, origin: Origin) -> dict[str, Any]:
    """Return the event; what has no field of its own in the schema is in `unmapped`."""
    severity, severity_name = _SEVERITIES[alert.severity]
    disposition, disposition_name, action, action_name = _DISPOSITIONS.get(alert.effect, _ALERTED)
    event: dict[str, Any] = {
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": _CREATE,
        "activity_name": "Create",
        "type_uid": _CLASS * 100 + _CREATE,
        "type_name": "Detection Finding: Create",
        "time": alert.time,
        "severity_id": severity,
        "severity": severity_name,
        "status_id": 1,
        "status": "New",
        "action_id": action,
        "action": action_name,
        "disposition_id": disposition,
        "disposition": disposition_name,
        "count": alert.count,
        "message": alert.message,
        "metadata": {
            "version": "1.3.0",
            "profiles": ["security_control", "container"],
            "uid": alert.id,
            "logged_time": origin.now,
            "product": {"name": "Bartizan", "vendor_name": "Bartizan", "version": origin.version},
        },
        "finding_info": {
            "uid": alert.id,
            "title": headline(alert),
            "desc": alert.message,
            "types": [alert.category or alert.kind.value],
            "created_time": alert.time,
            "first_seen_time": alert.first or alert.time,
            "src_url": origin.page(alert),
            "attacks": [_attack(technique) for technique in alert.techniques],
        },
        "resources": [{"uid": alert.resource or alert.app_id or origin.name, "name": alert.app_id or origin.name}],
        "unmapped": {"kind": alert.kind.value, "event": alert.document},
    }
    if alert.rule:
        event["policy"] = {"name": alert.rule}
    if alert.container or alert.image:
        event["container"] = {"name": alert.container, "image": {"name": alert.image}}
    return event


def _attack(technique: str) -> dict[str, Any]:
    main, _, sub = technique.partition(".")
    found: dict[str, Any] = {"technique": {"uid": main}, "version": "15"}
    return found | ({"sub_technique": {"uid": technique}} if sub else {})
