"""Strict RFC 8259 parsing that remembers where every key and value stands.

`json.loads` forgets the text it read. To change a task definition without touching a byte that is none of our business
we keep both: the plain value (`node.value`) and the span of every element (`node.start`, `node.end`), as offsets into
the text. Accepted is exactly what `json.loads` accepts, less NaN and Infinity (not JSON), less duplicate keys (their
meaning is unpredictable: RFC 8259, section 4), less nesting beyond `DEPTH_LIMIT`; a byte order mark in front is let
pass and kept.
"""

import json
import re
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from bartizan.embed.errors import EmbedError, Where

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
Node: TypeAlias = "Scalar | Array | Object"

DEPTH_LIMIT = 100
"""Task definitions nest some ten levels deep; the limit keeps hostile input off the interpreter's stack."""


class Scalar(msgspec.Struct, frozen=True, gc=False):
    """A string, number, true, false or null."""

    start: int
    end: int
    value: bool | int | float | str | None


class Array(msgspec.Struct, frozen=True, gc=False):
    """A list; `items` are the nodes of `value`, one for one."""

    start: int
    end: int
    value: list[Value]
    items: list["Scalar | Array | Object"]


class Member(msgspec.Struct, frozen=True, gc=False):
    """One key and its value; the span of the key includes its quotes."""

    key_start: int
    key_end: int
    node: "Scalar | Array | Object"


class Object(msgspec.Struct, frozen=True, gc=False):
    """An object; `members` has the keys of `value`, in the order of the text."""

    start: int
    end: int
    value: dict[str, Value]
    members: dict[str, Member]


class Alias(msgspec.Struct, frozen=True, gc=False):
    """A place that repeats another part of the text (`*name` in YAML; JSON has none), and the part repeated."""

    start: int
    end: int
    target: "Scalar | Array | Object"


class Document(msgspec.Struct, frozen=True):
    """A text and its tree; `locate` finds the places of offsets for a text that was made from the one people know."""

    text: str
    root: "Scalar | Array | Object"
    locate: Callable[[int], Where] | None = None
    syntax: Literal["json", "yaml"] = "json"
    aliases: tuple[Alias, ...] = ()

    def where(self, offset: int) -> Where:
        """Return line and column of an offset."""
        return place(self.text, offset) if self.locate is None else self.locate(offset)


def parse(text: str, locate: Callable[[int], Where] | None = None) -> Document:
    """Parse `text`; raise `EmbedError` with line and column for anything that is not one strict JSON value."""
    root = _value(text, 1 if text.startswith("\ufeff") else 0, 0)
    end = _SPACE(text, root.end)
    if end is None or end.end() != len(text):
        raise _unexpected(text, root.end, "the end of the text")
    return Document(text, root, locate)


def place(text: str, offset: int) -> Where:
    """Return the line and column, both from 1, of an offset into `text`."""
    return Where(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def pointer(path: tuple[str | int, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of a path of keys and indexes."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


_WS = r"[ \t\n\r]*+"
_SPACE = re.compile(_WS).match
# Groups: 1 a string without escapes, 2 an opening bracket, 3 a number (4 and 5: what makes it a float), 6 a word; a
# string with escapes matches none of them and is left to the standard library's scanner.
_VALUE = re.compile(
    _WS + r'(?:"([^"\\\x00-\x1f]*)"|([{\[])|(-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)|(true|false|null)|(?="))'
).match
_STRING, _OPEN, _NUMBER, _FRACTION, _EXPONENT, _WORD = 1, 2, 3, 4, 5, 6
# A whole member whose value is a string without escapes, the separator behind it included: most members are such.
_PLAIN_MEMBER = re.compile(rf'{_WS}"([^"\\\x00-\x1f]*+)"{_WS}:{_WS}"([^"\\\x00-\x1f]*+)"{_WS}([,}}])').match
_KEY = re.compile(_WS + r'"([^"\\\x00-\x1f]*)"' + _WS + ":").match
_QUOTE = re.compile(_WS + '"').match
_COLON = re.compile(_WS + ":").match
_EMPTY_OBJECT = re.compile(_WS + r"\}").match
_EMPTY_ARRAY = re.compile(_WS + r"\]").match
_AFTER_MEMBER = re.compile(_WS + "([,}])").match
_AFTER_ITEM = re.compile(_WS + r"([,\]])").match
_DECODER = json.JSONDecoder()
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def _value(text: str, at: int, depth: int) -> Node:
    match = _VALUE(text, at)
    if match is None:
        raise _unexpected(text, at, "a value")
    kind = match.lastindex
    if kind == _STRING:
        return Scalar(match.start(_STRING) - 1, match.end(), match[_STRING])
    if kind == _OPEN:
        start = match.start(_OPEN)
        if depth == DEPTH_LIMIT:
            raise EmbedError(f"the text nests deeper than {DEPTH_LIMIT} levels", place(text, start))
        return _object(text, start, depth + 1) if text[start] == "{" else _array(text, start, depth + 1)
    if kind == _NUMBER:
        return Scalar(match.start(_NUMBER), match.end(), _number(text, match))
    if kind == _WORD:
        return Scalar(match.start(_WORD), match.end(), _WORDS[match[_WORD]])
    value, end = _escaped(text, match.end())
    return Scalar(match.end(), end, value)


def _number(text: str, match: re.Match[str]) -> int | float:
    if match[_FRACTION] is not None or match[_EXPONENT] is not None:
        return float(match[_NUMBER])
    try:
        return int(match[_NUMBER])
    except ValueError:  # the interpreter's limit on digits, as in json.loads
        raise EmbedError("the number has too many digits", place(text, match.start(_NUMBER))) from None


def _escaped(text: str, quote: int) -> tuple[str, int]:
    """Read the string that opens at `quote`; return it and the offset behind its closing quote."""
    try:
        value, end = _DECODER.raw_decode(text, quote)
    except json.JSONDecodeError as error:
        if "\n" in text[quote : error.pos + 1] or error.msg.startswith("Unterminated"):
            raise EmbedError("the string that begins here is not closed on its line", place(text, quote)) from None
        if error.msg.startswith("Invalid control character"):
            code = f"{ord(text[error.pos]):04X}"
            raise EmbedError(
                f"the string holds U+{code}, which JSON writes as `\\u{code}`", place(text, error.pos)
            ) from None
        raise EmbedError(f"malformed string: {error.msg.lower()}", place(text, error.pos)) from None
    return str(value), end


def _array(text: str, start: int, depth: int) -> Array:
    items: list[Node] = []
    values: list[Value] = []
    match = _EMPTY_ARRAY(text, start + 1)
    if match is not None:
        return Array(start, match.end(), values, items)
    at = start + 1
    while True:
        node = _value(text, at, depth)
        items.append(node)
        values.append(node.value)
        match = _AFTER_ITEM(text, node.end)
        if match is None:
            raise _unexpected(text, node.end, "`,` or `]`", opened=start)
        at = match.end()
        if match[1] == "]":
            return Array(start, at, values, items)


def _object(text: str, start: int, depth: int) -> Object:
    members: dict[str, Member] = {}
    values: dict[str, Value] = {}
    match = _EMPTY_OBJECT(text, start + 1)
    if match is not None:
        return Object(start, match.end(), values, members)
    at = start + 1
    while True:
        match = _PLAIN_MEMBER(text, at)
        if match is not None:
            (_, at), (key_start, key_end), (value_start, value_end), _ = match.regs
            key, plain, after = match.groups()
            if key in members:
                raise _duplicate(text, members[key], key_start - 1)
            members[key] = Member(key_start - 1, key_end + 1, Scalar(value_start - 1, value_end + 1, plain))
            values[key] = plain
            if after == "}":
                return Object(start, at, values, members)
            continue
        match = _KEY(text, at)
        if match is not None:
            key, key_start, at = match[1], match.start(1) - 1, match.end()
            key_end = match.end(1) + 1
        else:
            key, key_start, key_end, at = _slow_key(text, at)
        if key in members:
            raise _duplicate(text, members[key], key_start)
        node = _value(text, at, depth)
        members[key] = Member(key_start, key_end, node)
        values[key] = node.value
        match = _AFTER_MEMBER(text, node.end)
        if match is None:
            raise _unexpected(text, node.end, "`,` or `}`", opened=start)
        at = match.end()
        if match[1] == "}":
            return Object(start, at, values, members)


def _duplicate(text: str, first: Member, again: int) -> EmbedError:
    key = json.loads(text[first.key_start : first.key_end])
    before = place(text, first.key_start)
    return EmbedError(f"the key `{key}` is given twice (first in {before})", place(text, again))


def _slow_key(text: str, at: int) -> tuple[str, int, int, int]:
    """Read a key with escapes and its colon; return key, start, end and the offset behind the colon."""
    quote = _QUOTE(text, at)
    if quote is None:
        raise _unexpected(text, at, "a key in double quotes")
    key, end = _escaped(text, quote.end() - 1)
    colon = _COLON(text, end)
    if colon is None:
        raise _unexpected(text, end, "`:`")
    return key, quote.end() - 1, end, colon.end()


_HINTS = (
    ("//", "JSON has no comments"),
    ("/*", "JSON has no comments"),
    ("#", "JSON has no comments"),
    ("'", "JSON strings take double quotes"),
    ("NaN", "NaN is no JSON"),
    ("Infinity", "Infinity is no JSON"),
    ("-Infinity", "Infinity is no JSON"),
    ("{{", "fill in the template first"),
    ("$", "fill in the template first"),
    ("<", "fill in the template first"),
)


def _unexpected(text: str, at: int, wanted: str, *, opened: int | None = None) -> EmbedError:
    """Say what stands at the first non-blank offset from `at` instead of what was `wanted`."""
    space = _SPACE(text, at)
    here = space.end() if space else at
    where = place(text, here)
    if here >= len(text):
        unclosed = f" (`{text[opened]}` was opened in {place(text, opened)})" if opened is not None else ""
        return EmbedError(f"the text ends where {wanted} should stand{unclosed}", where)
    if text[here] in "]}" and text[:here].rstrip(" \t\n\r").endswith(","):
        return EmbedError(f"a comma stands before `{text[here]}`: remove it", where)
    from_here = (text[here - 1 : here + 20], text[here : here + 20])
    hint = next((f": {hint}" for mark, hint in _HINTS if any(part.startswith(mark) for part in from_here)), "")
    if text.startswith('"', here) and wanted.startswith("`,`"):
        return EmbedError("a comma is missing before this", where)
    found = text[here] if text[here].isprintable() else f"U+{ord(text[here]):04X}"
    return EmbedError(f"found `{found}` where {wanted} should stand{hint}", where)
