"""Profiles (models of what workloads do), suggestions and learned rules, as JSON."""

from typing import Annotated, Literal

import msgspec

from bartizan.api.policy_shapes import RuntimeRule
from bartizan.audit.wire import Observed

StageName = Literal["discover", "alert", "prevent"]


class Profile(msgspec.Struct, rename="camel"):
    """
    What the workloads of one image and container, or of one application, were seen to do; `counts` are by kind.

    `changeTime` is when something new was seen last; `overflow` sightings found no place.
    """

    id: str = msgspec.field(name="_id")
    app_id: str = msgspec.field(name="appID")
    image: str
    container: str
    start_time: str
    last_time: str
    change_time: str
    overflow: int
    counts: dict[str, int]


class ProfileDetail(Profile, rename="camel"):
    """A profile with everything in it; times of observations are unix milliseconds."""

    observations: list[Observed]


class EvidenceLine(msgspec.Struct, rename="camel"):
    """One entry of a suggested rule and what speaks for it: it covers so many things, seen `count` times."""

    field: str
    entry: str
    covers: int
    count: int
    first: str
    last: str
    examples: list[str]
    warning: str


class NotSuggested(msgspec.Struct, rename="camel"):
    """Something that was seen and is not allowed by the rule, and why not."""

    kind: str
    value: str
    count: int
    reason: str


class SuggestedRule(msgspec.Struct, rename="camel"):
    """A rule that the runtime policy takes as it is, with its evidence."""

    profile: Profile
    rule: RuntimeRule
    evidence: list[EvidenceLine]
    left_out: list[NotSuggested]


class AdoptionRequest(msgspec.Struct, rename="camel"):
    """In which stage a learned rule begins, and after how many quiet days it goes on by itself (none: by hand)."""

    stage: StageName = "alert"
    quiet_days: Annotated[int, msgspec.Meta(ge=1, le=365)] | None = None


class Promotion(msgspec.Struct):
    """Which learned rule goes on to its next stage."""

    rule: str


class LearnedRuleAnswer(msgspec.Struct, rename="camel"):
    """A rule that was learned from a profile, and how far it has come."""

    rule: str
    profile_id: str = msgspec.field(name="profileID")
    stage: StageName
    since: str
    quiet_days: int | None


PROFILE_SHAPES = (
    AdoptionRequest,
    EvidenceLine,
    LearnedRuleAnswer,
    NotSuggested,
    Profile,
    ProfileDetail,
    Promotion,
    SuggestedRule,
)
