"""Documents of the scrubbing of runtime audits."""

import msgspec


class AuditScrubbingRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`placeholder` stands for what `pattern` (RE2) matches; what its group `keep` matches stays in front of it."""

    name: str
    pattern: str
    placeholder: str
    disabled: bool = False


class AuditScrubbing(msgspec.Struct, kw_only=True, rename="camel"):
    """The rules, in their order; with `builtIn`, `builtInRules` come first."""

    built_in: bool
    rules: list[AuditScrubbingRule]
    built_in_rules: list[AuditScrubbingRule]


class AuditScrubbingChange(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Other rules; `builtIn` says whether the built-in ones come first."""

    built_in: bool = False
    rules: list[AuditScrubbingRule] = msgspec.field(default_factory=list)


class AuditScrubbingTrial(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A text, and `scrubbing` to try on it; without that, the rules in force are."""

    text: str
    scrubbing: AuditScrubbingChange | None = None


class AuditScrubbingResult(msgspec.Struct, kw_only=True):
    """What would be stored, and the names of the rules that replaced something."""

    text: str
    rules: list[str]


SCRUBBING_SHAPES: tuple[type, ...] = (
    AuditScrubbing,
    AuditScrubbingChange,
    AuditScrubbingResult,
    AuditScrubbingRule,
    AuditScrubbingTrial,
)
