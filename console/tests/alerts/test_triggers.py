"""Triggers: by kind, rule, effect, severity, App ID and collection."""

from typing import Any

import pytest
from tests.alerts.samples import alert

from bartizan.alerts import Alert, AlertKind, AlertProfile, Trigger, check_profile, triggered
from bartizan.alerts.targets import FileTarget


def within(found: Alert, names: tuple[str, ...]) -> bool:
    """Know one collection, of the app `shop`."""
    return "production" in names and found.app_id == "shop"


@pytest.mark.parametrize(
    ("trigger", "changed", "expected"),
    [
        ({}, {}, True),
        ({"enabled": False}, {}, False),
        ({}, {"kind": AlertKind.INCIDENT}, False),
        ({"all_rules": False, "rules": ("shop rule",)}, {}, True),
        ({"all_rules": False, "rules": ("other",)}, {}, False),
        ({"effects": ("alert",)}, {}, False),
        ({"effects": ("alert", "prevent")}, {}, True),
        ({"severity": "high"}, {}, True),
        ({"severity": "high"}, {"severity": "medium"}, False),
        ({"apps": ("sho*",)}, {}, True),
        ({"apps": ("bank*",)}, {}, False),
        ({"collections": ("production",)}, {}, True),
        ({"collections": ("production",)}, {"app_id": "other"}, False),
        ({"collections": ("gone",)}, {}, False),
    ],
)
def test_what_is_told(trigger: dict[str, Any], changed: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a table
    """Everything that a trigger says has to fit."""
    assert triggered({"appEmbeddedRuntime": Trigger(**trigger)}, alert(**changed), within=within) is expected


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": " x"}, "`name`"),
        ({"name": "a\nb"}, "`name`"),
        ({"description": "a\rb"}, "`description`"),
        ({"period": -1}, "aggregationPeriodMs"),
        ({"period": 86_400_001}, "aggregationPeriodMs"),
        ({"policy": {"everything": Trigger()}}, "`everything` is no kind of alert"),
        ({"policy": {"incident": Trigger(all_rules=False)}}, "name the rules"),
    ],
)
def test_profiles_that_cannot_be_right(changed: dict[str, Any], words: str) -> None:
    """Each problem is named by its field."""
    given: dict[str, Any] = {"name": "x", "target": FileTarget(name="events"), "policy": {"incident": Trigger()}}
    assert check_profile(AlertProfile(**given)) is None
    assert words in (check_profile(AlertProfile(**(given | changed))) or "")
