"""The JSON of events."""

from typing import Literal

import msgspec

from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit


class SecurityEvent(msgspec.Struct, rename="camel", omit_defaults=True):
    """A runtime audit or a WAAS event: the one that `kind` says is there."""

    id: str
    kind: Literal["runtime", "waas"]
    runtime: RuntimeAudit | None = None
    waas: FirewallAudit | None = None


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


EVENT_SHAPES = (SecurityEvent, EventPageAnswer, EventFacets, EventTimeslices)
