"""The JSON about policies: their revisions, what differs between them, and how often their rules matched."""

from typing import Annotated, Any, Literal

import msgspec

from bartizan.api.policy_shapes import CustomRuleShape, RuntimePolicyShape, RuntimeRule


class RevisionAnswer(msgspec.Struct):
    """One state of a policy: its number, who made it, when, and what they said of it."""

    revision: int
    author: str
    time: str
    comment: str


class RevisionContent(msgspec.Struct):
    """One state of a policy, whole."""

    revision: int
    author: str
    time: str
    comment: str
    policy: RuntimePolicyShape


class DifferenceLine(msgspec.Struct):
    """One line of a difference; a `gap` stands for lines that both have."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str


class FieldDifference(msgspec.Struct):
    """A field of a rule by its path such as `processes.blacklist`; of lists also what came and what went."""

    field: str
    before: Any = None
    after: Any = None
    added: list[Any] = msgspec.field(default_factory=list)
    removed: list[Any] = msgspec.field(default_factory=list)


class RuleDifference(msgspec.Struct):
    """What became of one rule: places count from 1 and are null where there is no such rule; `lines` are YAML."""

    kind: Literal["added", "removed", "changed", "moved"]
    rule: str
    before: int | None
    after: int | None
    fields: list[FieldDifference]
    lines: list[DifferenceLine]


class Changed(msgspec.Struct):
    """What was changed since the revision that a change was made from, and by whom the last time."""

    revision: int
    author: str
    time: str
    comment: str
    changes: list[RuleDifference]


class PolicyDifference(msgspec.Struct, rename="camel"):
    """What differs between two policies; null stands for one that is not kept as a revision."""

    from_revision: int | None
    to_revision: int | None
    changes: list[RuleDifference]


class PolicyCheck(msgspec.Struct):
    """Every problem that a policy would be refused for, and what it would change."""

    problems: list[str]
    changes: list[RuleDifference]


class RuleUse(msgspec.Struct, rename="camel"):
    """
    How often a rule matched since it has its name, when it last did, and to how many connected workloads it applies.

    `hits` are what audits report: a rule that only allows has none.
    """

    rule: str
    hits: int
    last_hit: str | None
    workloads: int


class RuleName(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A rule, and the name of its copy."""

    rule: str
    new_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class RuleOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The names of all rules, in the order in which they are to be tried."""

    rules: Annotated[list[str], msgspec.Meta(max_length=1000)]


class RuleSwitch(msgspec.Struct, forbid_unknown_fields=True):
    """Whether a rule is left out when rules are tried."""

    disabled: bool


class CustomRuleUsage(msgspec.Struct):
    """A rule of the runtime policy that a custom rule is attached to."""

    rule: str
    effect: str
    action: str
    disabled: bool


class CustomRuleCheck(msgspec.Struct):
    """A problem of a custom rule; `column` counts from 1 and is there for problems of the script."""

    message: str
    column: int | None = None


class CustomRuleState(msgspec.Struct):
    """What a custom rule was; `rule` is null when it was removed."""

    revision: int
    author: str
    time: str
    rule: CustomRuleShape | None


class TrialRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to try: a whole policy, or one rule as if it stood before all others; and how far to look back."""

    policy: RuntimePolicyShape | None = None
    rule: RuntimeRule | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7


class TrialDecision(msgspec.Struct):
    """What a policy does about something that happened; `effect` is `allow` for what it says nothing about."""

    effect: Literal["allow", "alert", "prevent"]
    rule: str = ""
    reason: str = ""
    matched: str | None = None


class TrialCase(msgspec.Struct, rename="camel"):
    """Something that happened `count` times, and what the present and the new policy do about it."""

    source: Literal["audit", "observation"]
    kind: str
    what: str
    by: str
    app_id: str = msgspec.field(name="appID")
    container: str
    image: str
    count: int
    last: str
    before: TrialDecision
    after: TrialDecision


class TrialTotals(msgspec.Struct):
    """How often something would be let through, reported and stopped; `cases` counts what is alike once."""

    cases: int
    allow: int
    alert: int
    prevent: int


class TrialAnswer(msgspec.Struct, rename="camel"):
    """
    What a policy would have done about what happened, judged by the Defender's own code.

    `cases` are those that it would report or stop, or that it decides otherwise than the present policy, what changes
    first; `more` of them are left out. `complete` is false when there was more to judge than is judged at once.
    """

    start: str
    end: str
    audits: int
    observations: int
    complete: bool
    before: TrialTotals
    after: TrialTotals
    cases: list[TrialCase]
    more: int


REVISION_SHAPES = (
    Changed,
    CustomRuleCheck,
    CustomRuleState,
    CustomRuleUsage,
    DifferenceLine,
    FieldDifference,
    PolicyCheck,
    PolicyDifference,
    RevisionAnswer,
    RevisionContent,
    RuleDifference,
    RuleName,
    RuleOrder,
    RuleSwitch,
    RuleUse,
    TrialAnswer,
    TrialRequest,
)
