"""The JSON of the overview."""

import msgspec

from bartizan.api.event_shapes import FacetValue

Counts = dict[str, int]


class OverviewDefenders(msgspec.Struct, rename="camel"):
    """
    How many Defenders there are, by what they are and do.

    `state` is `connected`, `awaited`, `lost`, `ended` or `revoked`; `sync` is `inSync`, `pending`, `failed` or
    `unknown`; `gaps` says of what kinds something goes unprotected.
    """

    total: int
    connected: int
    by_type: Counts
    by_state: Counts
    by_sync: Counts
    gaps: Counts
    outdated: int
    certificates_end_soon: int


class OverviewHour(msgspec.Struct):
    """The events of an hour, by effect."""

    time: str
    effects: Counts


class OverviewEvents(msgspec.Struct, rename="camel"):
    """
    What happened: hour by hour for seven days, and the commonest of the last 24 hours.

    Where not all could be counted soon, but only the newest of each kind, `searchedTo` says since when.
    """

    hours: list[OverviewHour]
    day: Counts
    week: Counts
    top_rules: list[FacetValue]
    top_apps: list[FacetValue]
    searched_to: str


class OverviewLearning(msgspec.Struct, rename="camel"):
    """How many profiles there are, and learned rules by stage: `discover`, `alert`, `prevent`."""

    profiles: int
    by_stage: Counts


class OverviewConsole(msgspec.Struct, rename="camel"):
    """The Console itself: its version, for which machines it has a Defender, and its authority's end."""

    version: str
    defender_architectures: list[str]
    names: list[str]
    ca_expiration: str
    ca_days: int


class OverviewAnswer(msgspec.Struct, rename="camel"):
    """What is protected and what is not, what happened, what needs attention; `incidents` are open ones by severity."""

    time: str
    defenders: OverviewDefenders
    events: OverviewEvents
    incidents: Counts
    learning: OverviewLearning
    console: OverviewConsole


OVERVIEW_SHAPES = (OverviewAnswer,)
