"""Alerts for tests."""

from typing import Any

from hypothesis import strategies as st

from bartizan.alerts import Alert, AlertKind, Origin

NOW = 1_790_000_000_000
ORIGIN = Origin(name="console-1", version="0.1.0", address="https://console.test:8083", now=NOW)
_TEXT = st.text(max_size=60)


def alert(**changed: Any) -> Alert:
    """Return an alert of a prevented shell."""
    given: dict[str, Any] = {
        "kind": AlertKind.RUNTIME,
        "id": "runtime/7",
        "time": NOW - 1000,
        "title": "Prevented: unexpectedProcess",
        "message": "`/bin/sh` was started",
        "severity": "high",
        "app_id": "shop",
        "container": "web",
        "image": "shop:1",
        "rule": "shop rule",
        "effect": "prevent",
        "category": "unexpectedProcess",
        "techniques": ("T1059.004",),
        "path": "/monitor/events?kind=runtime&id=7",
        "document": {"_id": "7", "msg": "`/bin/sh` was started", "command": "sh -c id"},
    }
    return Alert(**(given | changed))


def hostile_alerts() -> st.SearchStrategy[Alert]:
    """Give alerts with anything in their texts."""
    return st.builds(
        alert,
        message=_TEXT,
        title=_TEXT,
        app_id=_TEXT,
        container=_TEXT,
        image=_TEXT,
        rule=_TEXT,
        category=_TEXT,
        resource=_TEXT,
        severity=st.sampled_from(["low", "medium", "high"]),
        count=st.integers(1, 10**9),
        document=st.dictionaries(_TEXT, st.one_of(_TEXT, st.integers(), st.lists(_TEXT, max_size=2)), max_size=3),
    )
