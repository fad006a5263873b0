"""What templates can name, and an event to try them with."""

from typing import Any

from bartizan.alerts.alert import Alert, AlertKind, moment


def macros_of(alert: Alert, *, page: str) -> dict[str, Any]:
    """Return the macros by their names (the vendor's where it has them); `page` is the link to the event."""
    return {
        "type": alert.kind.value,
        "time": alert.moment,
        "first": moment(alert.first or alert.time),
        "count": alert.count,
        "aggregated": alert.count > 1,
        "title": alert.title,
        "message": alert.message,
        "severity": alert.severity,
        "effect": alert.effect,
        "category": alert.category,
        "rule": alert.rule,
        "appID": alert.app_id,
        "container": alert.container,
        "image": alert.image,
        "resource": alert.resource,
        "techniques": list(alert.techniques),
        "command": str(alert.document.get("command", "")),
        "user": str(alert.document.get("user", "")),
        "id": alert.id,
        "url": page,
        "event": alert.document,
    }


def sample(*, now: int = 1_750_000_000_000) -> Alert:
    """Return the event that tests and previews tell of."""
    document = {
        "_id": "0",
        "appID": "shop",
        "containerName": "web",
        "effect": "prevent",
        "msg": "test alert: `/bin/sh -c id` was started by `/usr/bin/node`",
        "command": "/bin/sh -c id",
        "ruleName": "example rule",
        "type": "processes",
    }
    return Alert(
        kind=AlertKind.RUNTIME,
        id="test/0",
        time=now,
        title="Test alert of Bartizan",
        message=document["msg"],
        severity="low",
        app_id="shop",
        container="web",
        image="example/shop:1",
        rule="example rule",
        effect="prevent",
        category="unexpectedProcess",
        techniques=("T1059",),
        path="/manage/alerts",
        document=document,
    )
