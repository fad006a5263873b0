"""`WWW-Authenticate` as registries send it (pure): RFC 9110 sections 11.2 to 11.6, RFC 6750 for `Bearer`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - a grammar, no secret
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*')
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|$|(?=,))")
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in: the scheme in lower case and its parameters, names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(text: str) -> tuple[Challenge, ...]:
    """Parse the joined values of the header; what does not fit the grammar ends the list and is left out."""
    text, at, found = text[:_LONGEST], 0, []
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, at):
            quoted, plain = parameter.group(2), parameter.group(3)
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            parameters.setdefault(parameter.group(1).lower(), value)
            at = _after_comma(text, parameter.end())
        found.append(Challenge(scheme.group(1).lower(), parameters))
        at = _after_comma(text, at)
    return tuple(found)


def _after_comma(text: str, at: int) -> int:
    found = re.compile(r"[\s,]*").match(text, at)
    return found.end() if found else at
