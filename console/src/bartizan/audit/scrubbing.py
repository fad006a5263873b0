"""
Rules for what is replaced before a runtime audit or a record is stored, found in linear time (RE2).

Every text is bounded, and so is what is done to it: nobody who can choose what a workload's command lines say can make
the Console slow, or hide a secret behind a long text.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import re2

from bartizan.audit.runtime_audit import LONGEST_SHOWN, CustomText, Reporter, RuntimeAudit, describe
from bartizan.audit.wire import (
    Ancestor,
    Audit,
    ConnectionEvent,
    DefenderEvent,
    Event,
    FileEvent,
    ListenEvent,
    LookupEvent,
    ProcessEvent,
    Recorded,
    RequestEvent,
)

LONGEST_LOOKED_AT = 16_384
"""So many characters of a text are looked at; what lies behind is not kept."""
LONGEST_SECRET = 4096
"""Of a text that is cut, so much is left out at its end, since a secret that is cut in two is found by no pattern."""
_MOST_MATCHES = 100
"""Each search goes on from the last match and may look at all of the rest, so their number is what keeps it linear."""
_KEEP = "(?P<keep>"
_MEMORY = 1 << 20
# Anchors that `m` does not change, and flags that are taken back.
_ABSOLUTE = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-")
_TEXTS: dict[type, tuple[str, ...]] = {
    ProcessEvent: ("path", "invoked", "parent_path"),
    LookupEvent: ("name", "record_type", "path"),
    ConnectionEvent: ("address", "path", "domain"),
    ListenEvent: ("address", "path"),
    FileEvent: ("file", "path"),
    DefenderEvent: ("detail",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubbingRule:
    """`placeholder` stands for what `pattern` (RE2) matches; what its group `keep` matches stays in front of it."""

    name: str
    pattern: str
    placeholder: str
    disabled: bool = False


def check_pattern(pattern: str) -> None:
    """Raise ValueError when a pattern cannot be used, with the reason."""
    compiled = _compiled(pattern)
    if "\\Q" in pattern:
        raise ValueError("`\\Q` is not possible: write `\\` before each special character")
    if others := sorted(compiled.groupindex.keys() - {b"keep"}):
        raise ValueError(f"the group `{others[0].decode()}` has a name: the only one that means something is `keep`")
    if compiled.groupindex and pattern.count(_KEEP) > 1:
        raise ValueError(f"`{_KEEP}` stands there twice")
    if compiled.search(b"") is not None:
        raise ValueError("it matches the empty text")


class Scrubber:
    """Replaces what rules match, in their order. Raises ValueError for a pattern that cannot be used."""

    def __init__(self, rules: Sequence[ScrubbingRule]) -> None:
        self._rules = [(rule, _compiled(rule.pattern)) for rule in rules if not rule.disabled]
        self._any = _any_of([rule.pattern for rule, _ in self._rules])

    def text(self, text: str) -> str:
        """Return a text as it may be kept: the same object when nothing is replaced."""
        if len(text) > LONGEST_LOOKED_AT:
            return self._replaced(text[:LONGEST_LOOKED_AT], [])[:-LONGEST_SECRET] + "…"
        return text if self._finds_nothing(text) else self._replaced(text, [])

    def trial(self, text: str) -> tuple[str, list[str]]:
        """Return a text as it would be kept, and the names of the rules that replace something, in their order."""
        names: list[str] = []
        self._replaced(text[:LONGEST_LOOKED_AT], names)
        return self.text(text), names

    def finds_nothing(self, audit: Audit, shown: RuntimeAudit) -> bool:
        """
        Return whether an audit holds no secret, at the price of one search; `shown` is it as users would see it.

        False says nothing: some audits have to be looked at text by text.
        """
        if len(shown.msg) >= LONGEST_SHOWN or len(shown.command) >= LONGEST_SHOWN:
            # They may have been cut in the middle of a secret.
            return False
        lines = [shown.msg, shown.command, audit.matched or "", *_lines(audit.event)]
        lines += [item.path for item in audit.ancestry]
        return self._finds_nothing("\n".join(lines))

    def audit(self, audit: Audit) -> Audit:
        """Return an audit without secrets; that of a request stays as it is, for the WAAS policy has its own rules."""
        if isinstance(audit.event, RequestEvent):
            return audit
        return msgspec.structs.replace(
            audit,
            event=self._event(audit.event),
            matched=audit.matched and self.text(audit.matched),
            ancestry=tuple(Ancestor(item.pid, self.text(item.path)) for item in audit.ancestry),
        )

    def recorded(self, recorded: Recorded) -> Recorded:
        """Return an event of a record without secrets."""
        event = recorded.event
        line = shlex.join(event.arguments) if isinstance(event, ProcessEvent) else ""
        if self._finds_nothing("\n".join([line, *_lines(event)])):
            return recorded
        return msgspec.structs.replace(recorded, event=self._event(event))

    def _event(self, event: Event) -> Event:
        changed: dict[str, Any] = {name: self.text(getattr(event, name) or "") for name in _TEXTS[type(event)]}
        if isinstance(event, ProcessEvent):
            changed["arguments"] = self._arguments(event.arguments)
        if isinstance(event, ConnectionEvent) and event.domain is None:
            changed["domain"] = None
        return msgspec.structs.replace(event, **changed)

    def _arguments(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """Look at each argument, and at the command line; one that cannot be taken apart any more is one argument."""
        each = tuple(map(self.text, arguments))
        line = shlex.join(each)
        found = self.text(line)
        if found is line:
            return each
        try:
            return tuple(shlex.split(found))
        except ValueError:
            return (found,)

    def _finds_nothing(self, lines: str) -> bool:
        return self._any is not None and len(lines) <= LONGEST_LOOKED_AT and self._any.search(_encoded(lines)) is None

    def _replaced(self, text: str, names: list[str]) -> str:
        for rule, pattern in self._rules:
            found = _substituted(pattern, rule.placeholder, text)
            if found is not text:
                names.append(rule.name)
                text = found
        return text


def described(
    audit: Audit, reporter: Reporter, custom: CustomText | None, scrubber: Scrubber | None
) -> tuple[Audit, RuntimeAudit]:
    """Return an audit without secrets, and it as users see it; `custom` is what the library says of it."""
    shown = describe(audit, reporter, custom)
    if scrubber is None or scrubber.finds_nothing(audit, shown):
        return audit, shown
    kept = scrubber.audit(audit)
    return kept, describe(kept, reporter, custom, scrub=scrubber.text)


def _lines(event: Event | RequestEvent) -> list[str]:
    """Return the texts of an event."""
    if isinstance(event, ProcessEvent):
        return [event.path, event.invoked, event.parent_path, *event.arguments]
    return [getattr(event, name) or "" for name in _TEXTS.get(type(event), ())]


def _substituted(pattern: Any, placeholder: str, text: str) -> str:  # noqa: ANN401 - re2 has no types
    """Return a text with all matches replaced, and with all of the rest as well when there are too many."""
    data = _encoded(text)
    pieces: list[bytes] = []
    end = 0
    keep = pattern.groupindex.get(b"keep", 0)
    for count, match in enumerate(pattern.finditer(data), start=1):
        # An empty match, such as that of `\b`, hides nothing; but it counts, for it was looked for.
        if match.end() > match.start():
            kept = match.group(keep) or b"" if keep else b""
            pieces += (data[end : match.start()], kept, placeholder.encode())
            end = match.end()
        if count == _MOST_MATCHES:
            pieces.append(placeholder.encode())
            end = len(data)
            break
    if not pieces:
        return text
    return b"".join([*pieces, data[end:]]).decode(errors="replace")


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")


def _compiled(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    try:
        return re2.compile(pattern.encode(), _options())
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"it is no regular expression (RE2): {text}") from None


def _options(*, never_capture: bool = False) -> Any:  # noqa: ANN401 - re2 has no types
    options = re2.Options()
    options.log_errors = False
    options.never_capture = never_capture
    options.max_mem = _MEMORY if not never_capture else _MEMORY * 16
    return options


def _any_of(patterns: Sequence[str]) -> Any:  # noqa: ANN401 - re2 has no types
    """
    Return one expression that matches lines where any of the patterns matches one of them; None when there is none.

    With `m`, `^` and `$` match at the ends of each line, so what matches a text alone is found among others as well.
    """
    if any(_ABSOLUTE.search(pattern) for pattern in patterns):
        return None
    # A name may stand once in an expression.
    named = [pattern.replace(_KEEP, f"(?P<keep{number}>", 1) for number, pattern in enumerate(patterns)]
    try:
        return re2.compile(
            b"(?m)" + "|".join(f"(?:{pattern})" for pattern in named).encode(), _options(never_capture=True)
        )
    except re2.error:
        return None
