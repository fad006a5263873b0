"""Which events a profile tells of."""

import fnmatch
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec

from bartizan.alerts.alert import SEVERITIES, Alert

_Name = Annotated[str, msgspec.Meta(max_length=256)]
_Names = Annotated[tuple[_Name, ...], msgspec.Meta(max_length=200)]


class Trigger(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """
    When events of one kind are told: any of them, or those of the named `rules`.

    `effects`, `apps` (App IDs, `*` for any characters) and `collections` narrow it further when they are not empty,
    `severity` is the least that is told.
    """

    enabled: bool = True
    all_rules: bool = True
    rules: _Names = ()
    effects: _Names = ()
    severity: Literal["low", "medium", "high"] = "low"
    apps: _Names = ()
    collections: _Names = ()


def triggered(
    triggers: Mapping[str, Trigger], alert: Alert, *, within: Callable[[Alert, tuple[str, ...]], bool]
) -> bool:
    """Return whether an event is told of; `within` says whether its workload is in one of the named collections."""
    trigger = triggers.get(alert.kind.value)
    if trigger is None or not trigger.enabled:
        return False
    if not trigger.all_rules and alert.rule not in trigger.rules:
        return False
    if trigger.effects and alert.effect not in trigger.effects:
        return False
    if SEVERITIES.index(alert.severity) < SEVERITIES.index(trigger.severity):
        return False
    if trigger.apps and not any(fnmatch.fnmatchcase(alert.app_id, pattern) for pattern in trigger.apps):
        return False
    return not trigger.collections or within(alert, trigger.collections)
