"""YAML read into the same tree as JSON: every key and value knows where it stands in the text.

Events come from libyaml (YAML 1.1, which is what CloudFormation and Cloud Foundry read); the tree is our own, because
what loads YAML forgets comments, quotes and tags. A short tag of CloudFormation (`!Ref X`) is an object with one
member, as its long form is (`{"Ref": "X"}`), so readers see one kind of intrinsic function. Refused are several
documents, duplicate keys, keys that are no scalars, nesting beyond `DEPTH_LIMIT`, and aliases that unfold to more than
`SIZE_LIMIT` nodes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.json_text import DEPTH_LIMIT, Alias, Array, Document, Member, Node, Object, Scalar, Value, place

SIZE_LIMIT = 1_000_000
"""Nodes a text may have when its aliases are written out: a template of CloudFormation has at most 1 MB of text."""

MERGE = "<<"


class Tagged(dict[str, Value]):
    """An intrinsic function that was written with a short tag, and how it was written when that took one line."""

    __slots__ = ("written",)

    def __init__(self, value: dict[str, Value], written: str | None) -> None:
        super().__init__(value)
        self.written = written


def parse(text: str, locate: Callable[[int], Where] | None = None) -> Document:
    """Parse `text`, one YAML document; raise `EmbedError` with line and column for anything else."""
    if "\r" in text and "\n" not in text:
        message = "lines end with carriage returns alone, which most programs take for one line: convert them"
        raise EmbedError(message, place(text, text.index("\r")))
    try:
        return _Reader(text).document(locate)
    except yaml.reader.ReaderError as error:
        offset = text.find(chr(error.character)) if isinstance(error.character, int) else 0
        raise EmbedError(f"YAML allows no U+{ord(text[offset]):04X} here", place(text, max(offset, 0))) from None
    except yaml.MarkedYAMLError as error:
        raise _malformed(text, error) from None
    except UnicodeEncodeError as error:
        raise EmbedError(
            "the text holds half a surrogate pair, which is no character", place(text, error.start)
        ) from None


def _malformed(text: str, error: yaml.MarkedYAMLError) -> EmbedError:
    mark = error.problem_mark
    where = Where(mark.line + 1, mark.column + 1) if mark else None
    line = text.splitlines()[mark.line : mark.line + 1] if mark else []
    if line and "\t" in line[0][: len(line[0]) - len(line[0].lstrip())]:
        return EmbedError("the line is indented by a tab: YAML takes spaces only", where)
    begun = error.context_mark
    since = f" (begun in {Where(begun.line + 1, begun.column + 1)})" if begun and begun.index else ""
    context = f" {error.context}{since}" if error.context else ""
    return EmbedError(f"malformed YAML{context}: {error.problem or 'it cannot be read'}", where)


@dataclass(frozen=True, slots=True)
class _Anchor:
    node: Node
    weight: int


# Behind an element: blanks, line ends and comments.
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_COMMENT_LINE = re.compile(r"\n([ ]*)#[^\r\n]*")
_PROPERTIES = re.compile(r"(?:&[^\s,\[\]{}]+(?:[ \t\r\n]|(?<=\s)#[^\n]*)+)")
_TAG = re.compile(r"![^\s,\[\]{}]*")
_KEEP = re.compile(r"[|>][0-9-]*\+")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS = {
    word: value
    for words, value in (("yes true on", True), ("no false off", False))
    for plain in words.split()
    for word in (plain, plain.capitalize(), plain.upper())
}
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)(?:(\.[0-9_]*)?([eE][-+][0-9]+)?)")
_STANDARD = "tag:yaml.org,2002:"
_DIGITS_LIMIT = 4_000


def resolved(text: str) -> str | int | float | bool | None:
    """Return what a plain scalar stands for (YAML 1.1, "Tag resolution"): word, number, null, else the text itself.

    Numbers in other bases than ten, times of day and dates stay text: nothing here counts with them.
    """
    if text in _NULLS:
        return None
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.fullmatch(text) if text[0] in "+-0123456789" and len(text) < _DIGITS_LIMIT else None
    if number is None:
        return text
    digits = text.replace("_", "")
    return int(digits) if number[1] is None and number[2] is None else float(digits)


def intrinsic(tag: str) -> str:
    """Return the long form of a short tag: `Ref`, `Condition`, and `Fn::` with all others (CloudFormation's guide)."""
    name = tag.lstrip("!")
    return name if name in {"Ref", "Condition"} else f"Fn::{name}"


class _Reader:
    """Turns the events of one text into its tree."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._base = 1 if text.startswith("\ufeff") else 0
        self._parser = yaml.CLoader(text[self._base :])
        self._anchors: dict[str, _Anchor] = {}
        self._aliases: list[Alias] = []
        self._weight = 0

    def document(self, locate: Callable[[int], Where] | None) -> Document:
        text = self._text
        self._next()  # the start of the stream
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            raise EmbedError("the text is empty", place(text, len(text)))
        root = self._node(self._next(), 0)
        self._next()  # the end of the document
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            message = "the text holds more than one YAML document: give one at a time"
            raise EmbedError(message, place(text, _at(after.start_mark) + self._base))
        return Document(text, root, locate, "yaml", tuple(self._aliases))

    def _next(self) -> yaml.Event:
        event = self._parser.get_event()
        if event is None:
            raise EmbedError("malformed YAML: the text ends too early")
        return event

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._weight += 1
        if self._weight > SIZE_LIMIT:
            message = f"the text unfolds to more than {SIZE_LIMIT:,} values, its aliases written out: make it smaller"
            raise EmbedError(message, self._place(event))
        if depth > DEPTH_LIMIT:
            raise EmbedError(f"the text nests deeper than {DEPTH_LIMIT} levels", self._place(event))
        before = self._weight
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            node = self._collection(event, depth + 1)
        else:
            raise EmbedError("malformed YAML: a value is missing", self._place(event))
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(node, self._weight - before + 1)
        return node

    def _collection(self, event: yaml.CollectionStartEvent, depth: int) -> Node:
        start = self._start(event)
        tag = event.tag if event.tag and not event.tag.startswith(_STANDARD) else None
        inner = self._behind_tag(start) if tag else start
        flow = bool(event.flow_style)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        node = self._mapping(inner, depth, flow=flow) if is_mapping else self._sequence(inner, depth, flow=flow)
        return self._tagged(tag, start, node) if tag else node

    def _tagged(self, tag: str, start: int, node: Node) -> Object:
        end = start + len(tag)
        key = intrinsic(tag)
        written = self._text[start : node.end]
        value = node.value
        if key == "Fn::GetAtt" and isinstance(value, str):
            value = list(value.partition(".")[::2])
        tagged = Tagged({key: value}, None if "\n" in written else written)
        return Object(start, node.end, tagged, {key: Member(start, end, node)})

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        start, end = self._start(event), _at(event.end_mark) + self._base
        if event.style in {"|", ">"}:
            end = self._block_end(start, end)
        tag = event.tag
        if tag and not tag.startswith(_STANDARD):
            inner = min(self._behind_tag(start), end)
            return self._tagged(tag, start, Scalar(inner, end, event.value))
        plain = not event.style and event.implicit[0]
        return Scalar(start, end, resolved(event.value) if plain else event.value)

    def _block_end(self, start: int, end: int) -> int:
        """Return where the content of a block scalar ends; what follows is not part of it, unless it says `+`."""
        written = self._text[start:end]
        if _KEEP.search(written.partition("\n")[0]):
            return end - 1 if written.endswith("\n") else end
        return start + len(written.rstrip())

    def _mapping(self, start: int, depth: int, *, flow: bool) -> Object:
        members: dict[str, Member] = {}
        values: dict[str, Value] = {}
        merged: list[Value] = []
        end = start
        while True:
            event = self._next()
            if type(event) is yaml.MappingEndEvent:
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise EmbedError("a key must be a scalar", self._place(event))
            key, key_start, key_end = event.value, self._start(event), _at(event.end_mark) + self._base
            if key in members:
                before = place(self._text, members[key].key_start)
                message = f"the key `{key}` is given twice (first in {before})"
                raise EmbedError(message, place(self._text, key_start))
            node = self._value(self._next(), key_end, ":", depth)
            members[key] = Member(key_start, key_end, node)
            end = node.end
            if key == MERGE and not event.style:
                merged += node.value if isinstance(node.value, list) else [node.value]
            else:
                values[key] = node.value
        for base in merged:
            if not isinstance(base, dict):
                raise EmbedError("`<<` merges mappings only", place(self._text, members[MERGE].key_start))
            values = {**base, **values}
        if flow:
            end = _at(event.end_mark) + self._base
        return Object(start, end, values, members)

    def _sequence(self, start: int, depth: int, *, flow: bool) -> Array:
        items: list[Node] = []
        end = start
        while True:
            event = self._next()
            if type(event) is yaml.SequenceEndEvent:
                break
            node = self._value(event, end, "," if flow else "-", depth)
            items.append(node)
            end = node.end
        if flow:
            end = _at(event.end_mark) + self._base
        return Array(start, end, [item.value for item in items], items)

    def _value(self, event: yaml.Event, behind: int, mark: str, depth: int) -> Node:
        """Read a value; one that is not written stands right behind the `mark` that introduces it."""
        node = self._node(event, depth)
        if node.value is None and type(event) is yaml.ScalarEvent and not event.value and mark != ",":
            at = self._text.find(mark, gap(self._text, behind))
            if at >= 0 and not event.anchor:
                return Scalar(at + 1, at + 1, None)
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        anchor = self._anchors.get(event.anchor or "")
        start, end = _at(event.start_mark) + self._base, _at(event.end_mark) + self._base
        if anchor is None:
            raise EmbedError(f"the alias `*{event.anchor}` has no anchor before it", place(self._text, start))
        self._weight += anchor.weight
        target = anchor.node
        self._aliases.append(Alias(start, end, target))
        if isinstance(target, Object):
            return Object(start, end, target.value, target.members)
        if isinstance(target, Array):
            return Array(start, end, target.value, target.items)
        return Scalar(start, end, target.value)

    def _start(self, event: yaml.NodeEvent) -> int:
        """Return where a node begins, its anchor left out."""
        start: int = _at(event.start_mark) + self._base
        if event.anchor:
            properties = _PROPERTIES.match(self._text, start)
            if properties:
                return properties.end()
            tag = _TAG.match(self._text, start)
            if tag is None:
                return start + len(event.anchor) + 1
        return start

    def _behind_tag(self, start: int) -> int:
        """Return where the value behind a short tag begins, an anchor between them left out."""
        tag = _TAG.match(self._text, start)
        at = gap(self._text, tag.end() if tag else start)
        properties = _PROPERTIES.match(self._text, at)
        return gap(self._text, properties.end()) if properties else at

    def _place(self, event: yaml.Event) -> Where:
        return place(self._text, _at(event.start_mark) + self._base)


def _at(mark: "yaml.error.Mark | yaml._yaml.Mark | None") -> int:
    """Return the offset of a mark; libyaml marks every event."""
    return mark.index if mark is not None else 0


def line_end(text: str, offset: int) -> int:
    """Return the offset of the line end behind `offset`."""
    at = text.find("\n", offset)
    if at < 0:
        return len(text)
    return at - 1 if at > offset and text[at - 1] == "\r" else at


def end_with_comments(text: str, end: int, column: int) -> int:
    """Return the end of the lines of an element that ends at `end`, of a block whose elements begin at `column`.

    To it belong the comments beneath it that are indented like the block, but not those above what follows: there a
    comment speaks of that.
    """
    at = line_end(text, end)
    following = gap(text, at)
    least = max(column, following - text.rfind("\n", 0, following) if following < len(text) else 0)
    for comment in _COMMENT_LINE.finditer(text, at, following):
        if len(comment[1]) < least:
            break
        at = comment.end()
    return at


def gap(text: str, at: int) -> int:
    """Return the offset of the first thing from `at` on that is neither blank nor comment."""
    found = _GAP.match(text, at)
    return found.end() if found else at
