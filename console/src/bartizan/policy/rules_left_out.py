"""
Rules of a set that Defenders do not judge by, told without a Defender.

The same as `seclang` of `defender/waf` tells of them; `contract/vectors/rules/left-out.json` holds both to it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_LONGEST_LINE = 1 << 20
_KEPT: Final = "what it looks at holds nothing here; bans and rates are the policy's"
# Operators that lead out of a request, and why they are not done.
_OPERATORS: Final = {
    "geolookup": "there is no database of countries for rules; use the policy's countries",
    "rbl": "no request waits for a name server; use the policy's network lists",
    "gsblookup": "rules open no files and run no programs",
    "inspectfile": "rules open no files and run no programs",
    "fuzzyhash": "rules open no files and run no programs",
}
# What holds nothing in a Defender: what is kept between requests, times, what the web server knows.
_ABSENT: Final = frozenset(
    [
        "AUTH_TYPE",
        "DURATION",
        "ENV",
        "FILES_TMPNAMES",
        "FILES_TMP_CONTENT",
        "FULL_REQUEST",
        "FULL_REQUEST_LENGTH",
        "GEO",
        "GLOBAL",
        "HIGHEST_SEVERITY",
        "IP",
        "MODSEC_BUILD",
        "MSC_PCRE_ERROR",
        "MSC_PCRE_LIMITS_EXCEEDED",
        "MULTIPART_BOUNDARY_QUOTED",
        "MULTIPART_BOUNDARY_WHITESPACE",
        "MULTIPART_CRLF_LF_LINES",
        "MULTIPART_DATA_AFTER",
        "MULTIPART_DATA_BEFORE",
        "MULTIPART_FILENAME",
        "MULTIPART_FILE_LIMIT_EXCEEDED",
        "MULTIPART_HEADER_FOLDING",
        "MULTIPART_INVALID_HEADER_FOLDING",
        "MULTIPART_INVALID_PART",
        "MULTIPART_INVALID_QUOTING",
        "MULTIPART_LF_LINE",
        "MULTIPART_MISSING_SEMICOLON",
        "MULTIPART_NAME",
        "PATH_INFO",
        "REMOTE_HOST",
        "REMOTE_PORT",
        "REMOTE_USER",
        "REQBODY_PROCESSOR_ERROR_MSG",
        "RESOURCE",
        "RULE",
        "SERVER_ADDR",
        "SERVER_NAME",
        "SERVER_PORT",
        "SESSION",
        "SESSIONID",
        "STATUS_LINE",
        "TIME",
        "TIME_DAY",
        "TIME_EPOCH",
        "TIME_HOUR",
        "TIME_MIN",
        "TIME_MON",
        "TIME_SEC",
        "TIME_WDAY",
        "TIME_YEAR",
        "URLENCODED_ERROR",
        "USER",
        "USERID",
        "WEBAPPID",
    ]
)
# What a pattern may have that no engine of linear time has; sources: pcre2pattern(3), re2's syntax.
_BEYOND: Final = (
    ("?=", "look-aheads"),
    ("?!", "look-aheads"),
    ("?<=", "look-behinds"),
    ("?<!", "look-behinds"),
    ("?>", "atomic groups"),
    ("?P=", "back-references"),
    ("?P>", "recursions"),
    ("?R", "recursions"),
    ("?(", "conditions"),
)
_PART = re.compile(
    r"""
    \\(?P<reference>[1-9]) | \\. | \[\^?\]?(?:\[:[a-z^]+:\]|\\.|[^\]\\])*\]
    | (?P<group>\() | (?P<quantifier>[*+?]|\{\d+(?:,\d*)?\}) | .
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"']\S*))""")
_ID = re.compile(r"(?:^|,)\s*id\s*:\s*'?([0-9]{1,9})", re.IGNORECASE)
_CHAIN = re.compile(r"(?:^|,)\s*chain\s*(?:,|$)", re.IGNORECASE)
_TARGET = re.compile(r"\|(?![^/]*/(?:\||$))")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A rule that is not judged, with its file and line, and why, in words."""

    rule: int
    file: str
    line: int
    reason: str


def rules_left_out(files: Mapping[str, str]) -> list[LeftOut]:
    """Return the rules of files (by their names) that Defenders leave out, in the files' order."""
    found: list[LeftOut] = []
    for name, text in files.items():
        found.extend(_of_file(name, text))
    return found


def not_linear(pattern: str) -> str | None:
    """Return what a pattern of `@rx` has that needs more than linear time; None when it has nothing of the kind."""
    after_quantifier = False
    for part in _PART.finditer(pattern):
        if part["reference"]:
            return "back-references"
        if part["group"]:
            rest = pattern[part.end() : part.end() + 3]
            if what := next((what for sign, what in _BEYOND if rest.startswith(sign)), None):
                return what
        begins_kind = part[0] == "?" and part.start() > 0 and pattern[part.start() - 1] == "("
        if part[0] == "+" and after_quantifier:
            return "possessive quantifiers"
        lazy = part[0] == "?" and after_quantifier
        after_quantifier = bool(part["quantifier"]) and not begins_kind and not lazy
    return None


def _of_file(name: str, text: str) -> Iterator[LeftOut]:
    rule, start, reason = 0, 0, None
    chained = False
    for line, words in _directives(text):
        if words[0].lower() != "secrule" or len(words) < _LEAST_WORDS:
            continue
        actions = words[3] if len(words) > _LEAST_WORDS else ""
        if not chained:
            identity = _ID.search(actions)
            rule, start, reason = int(identity[1]) if identity else 0, line, None
        reason = reason or _reason(words[1], words[2])
        chained = bool(_CHAIN.search(actions))
        if reason and not chained:
            yield LeftOut(rule, name, start, reason)


_LEAST_WORDS: Final = 3


def _reason(targets: str, operator: str) -> str | None:
    operator = operator.lstrip().removeprefix("!")
    named, _, argument = operator.removeprefix("@").partition(" ") if operator.startswith("@") else ("rx", "", operator)
    if named.lower() == "rx":
        what = not_linear(argument)
        if what is not None:
            return f"{what} need more than linear time"
    elif named.lower() in _OPERATORS:
        return _OPERATORS[named.lower()]
    looked_at = [target for target in _TARGET.split(targets) if not target.startswith("!")]
    return _KEPT if all(target.partition(":")[0].upper() in _ABSENT for target in looked_at) else None


def _directives(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each directive's line and words; lines that end with a backslash go on in the next."""
    start, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            continue
        start = start or number
        joined += stripped.removesuffix("\\")
        if stripped.endswith("\\") and len(joined) < _LONGEST_LINE:
            continue
        words = [next(filter(None, found.groups()), "") for found in _WORD.finditer(joined)]
        if words:
            yield start, [word.replace('\\"', '"') for word in words]
        start, joined = 0, ""
