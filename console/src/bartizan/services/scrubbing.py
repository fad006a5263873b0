"""The rules for what is replaced before runtime audits and records are stored."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import msgspec

from bartizan.audit.scrubbing import Scrubber, ScrubbingRule, check_pattern
from bartizan.audit.telling_secrets import BUILT_IN
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import SettingStore

_SETTING = "auditScrubbing"
MOST_RULES = 100
LONGEST_NAME = 256
LONGEST_PATTERN = 1024
LONGEST_PLACEHOLDER = 256
LONGEST_SAMPLE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubbingSetting:
    """The built-in rules if they are switched on, and then one's own, in their order."""

    built_in: bool = False
    rules: tuple[ScrubbingRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What would be kept of a text, and the names of the rules that replaced something."""

    text: str
    rules: tuple[str, ...]


class Scrubbing:
    """The scrubbing of one Console; `scrubber` is what is in force, None when there is nothing to replace."""

    def __init__(self, settings: SettingStore) -> None:
        self._settings = settings
        stored = settings.get(_SETTING)
        self._current = msgspec.json.decode(stored, type=ScrubbingSetting) if stored else ScrubbingSetting()
        self.scrubber = _scrubber(self._current)

    @property
    def current(self) -> ScrubbingSetting:
        """The rules in force."""
        return self._current

    async def put(self, wanted: ScrubbingSetting) -> None:
        """Use other rules for everything that comes in from now on. Raises InvalidError with every problem."""
        scrubber = _checked(wanted)
        await asyncio.to_thread(self._settings.put, _SETTING, msgspec.json.encode(wanted).decode())
        self._current, self.scrubber = wanted, scrubber

    async def trial(self, text: str, wanted: ScrubbingSetting | None) -> Scrubbed:
        """Return what would be kept of a text by these rules, or by those in force. Raises InvalidError."""
        if len(text) > LONGEST_SAMPLE:
            raise InvalidError(f"`text`: at most {LONGEST_SAMPLE} characters are possible")
        scrubber = self.scrubber if wanted is None else _checked(wanted)
        if scrubber is None:
            return Scrubbed(text=text, rules=())
        found, names = await asyncio.to_thread(scrubber.trial, text)
        return Scrubbed(text=found, rules=tuple(names))


def _checked(wanted: ScrubbingSetting) -> Scrubber | None:
    if len(wanted.rules) > MOST_RULES:
        raise InvalidError(f"`rules`: there are {len(wanted.rules)}, at most {MOST_RULES} are possible")
    problems = [problem for index, rule in enumerate(wanted.rules) for problem in _problems(rule, f"rules[{index}]")]
    names = Counter(rule.name for rule in wanted.rules)
    problems += [f"the name `{name}` is used twice" for name, count in names.items() if count > 1]
    if problems:
        raise InvalidError("; ".join(problems))
    return _scrubber(wanted)


def _problems(rule: ScrubbingRule, place: str) -> list[str]:
    fields = (
        ("name", rule.name, LONGEST_NAME),
        ("pattern", rule.pattern, LONGEST_PATTERN),
        ("placeholder", rule.placeholder, LONGEST_PLACEHOLDER),
    )
    problems = [
        f"`{place}.{name}`: from 1 to {longest} characters are possible, none of them a control character"
        for name, text, longest in fields
        if not 0 < len(text) <= longest or not text.isprintable()
    ]
    if problems:
        return problems
    try:
        check_pattern(rule.pattern)
    except ValueError as error:
        return [f"`{place}.pattern`: {error}"]
    return []


def _scrubber(setting: ScrubbingSetting) -> Scrubber | None:
    rules = (*(BUILT_IN if setting.built_in else ()), *setting.rules)
    return Scrubber(rules) if any(not rule.disabled for rule in rules) else None
