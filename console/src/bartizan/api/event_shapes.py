"""The JSON of events."""

from typing import Any, Literal

import msgspec

from bartizan.api.policy_shapes import CustomRuleShape
from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit


class SecurityEvent(msgspec.Struct, rename="camel", omit_defaults=True):
    """A runtime audit or a WAAS event: the one that `kind` says is there."""

    id: str
    kind: Literal["runtime", "waas"]
    runtime: RuntimeAudit | None = None
    waas: FirewallAudit | None = None


class EventRule(msgspec.Struct):
    """The rule that spoke of an event, and whether the policy still has it, in force."""

    name: str
    present: bool
    disabled: bool


class EventDefender(msgspec.Struct, rename="camel"):
    """The Defender that reported an event, while the Console knows it."""

    id: str = msgspec.field(name="_id")
    app_id: str = msgspec.field(name="appID")
    host: str
    connected: bool
    version: str
    last_seen: str


class EventDetail(SecurityEvent, rename="camel", omit_defaults=True):
    """One event with what is around it; `incidentID` is the incident that it belongs to."""

    rule: EventRule | None = None
    defender: EventDefender | None = None
    incident_id: str = msgspec.field(name="incidentID", default="")


class AllowedEntry(msgspec.Struct):
    """An entry that came into a list of the rule, or went."""

    field: str
    entry: str
    added: bool


class AllowAnswer(msgspec.Struct, rename="camel", omit_defaults=True):
    """
    What allowing an event changes: the rule before and after, entry by entry; `customRule` is one that is added.

    `revision` is the policy's: that which the preview was made of, or which the change made.
    """

    rule_name: str
    applied: bool
    revision: int
    before: dict[str, Any]
    after: dict[str, Any]
    changes: list[AllowedEntry]
    custom_rule: CustomRuleShape | None = None
    warnings: list[str] = msgspec.field(default_factory=list)


class EventPageAnswer(msgspec.Struct, rename="camel", omit_defaults=True):
    """
    A page, the newest first; `older` and `newer` are cursors that lead on.

    Without `older` there are no more. A page may hold fewer events than asked for, even none, while there are more:
    then `searchedTo` is how far was looked, and the cursor goes on from there.
    """

    events: list[SecurityEvent]
    older: str = ""
    newer: str = ""
    searched_to: str = ""


class FacetValue(msgspec.Struct):
    """A value and how many events have it."""

    value: str
    count: int


class EventFacets(msgspec.Struct, rename="camel", omit_defaults=True):
    """
    The commonest values of each facet among the events that pass all other filters.

    `searchedTo` is there when not all events were looked at, but only those since then.
    """

    facets: dict[str, list[FacetValue]]
    searched_to: str = ""


class EventTimeslice(msgspec.Struct):
    """How many events there were from `start` until before `end`, by effect."""

    start: str
    end: str
    counts: dict[str, int]


class EventTimeslices(msgspec.Struct, rename="camel", omit_defaults=True):
    """The parts of the time, in order; `searchedTo` as with facets: before it nothing was counted."""

    slices: list[EventTimeslice]
    searched_to: str = ""


EVENT_SHAPES = (AllowAnswer, SecurityEvent, EventDetail, EventPageAnswer, EventFacets, EventTimeslices)
