"""The way a YAML text is laid out, read off the text, and values written the same way."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bartizan.embed import style
from bartizan.embed.json_text import Array, Node, Object, Scalar, Value
from bartizan.embed.style import Style
from bartizan.embed.yaml_text import Tagged, resolved

_SHORT_TAG = re.compile(r"(?:: |- |\[|, )![A-Z]")
# A scalar that YAML reads as itself without quotes, wherever it stands.
_PLAIN = re.compile(r"(?:[A-Za-z_/]|\(\()[A-Za-z0-9_/.+@%=$()-]*(?:[ :][A-Za-z0-9_/.+@%=$()-]+)*")
_PLAIN_KEY = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.-]*(?:::?[A-Za-z0-9_/.-]+)*")
# Escapes that JSON leaves as they are but YAML does not take as such (YAML 1.1, "Escape Sequences", c-printable).
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# Text of several lines that a literal block keeps as it is; the group is its last line end.
_LITERAL = re.compile(r"[^\s](?:[^\n]*\n)+?[^\n]*[^\s](\n?)")
_INDICATOR = re.compile(r"[,\[\]{}]|: |:$")
_FUNCTIONS_OF_LISTS = frozenset({"Fn::Join", "Fn::Split", "Fn::Select", "Fn::FindInMap"})
_ODD_WORDS = frozenset("yYnN")  # booleans to some readers of YAML 1.1
WIDTH = 100
"""Columns that a list on one line may take."""


@dataclass(frozen=True, slots=True)
class FlowStyle(Style):
    """How values are written on one line of YAML, or inside of brackets."""

    single_quotes: bool = False
    short_tags: bool = False

    def scalar(self, value: Value) -> str:
        """Return a scalar; strings are always quoted."""
        if not isinstance(value, str):
            return json.dumps(value)
        if value.isprintable() and "'" not in value and (self.single_quotes or '"' in value):
            return f"'{value}'"
        return quoted(value)

    def render(self, value: Value, indent: str, *, inline: bool | None = None) -> str:
        """Return `value`; a short tag is written as it was, if that took one line."""
        if isinstance(value, Tagged) and value.written is not None:
            return self._in_brackets(value, value.written)
        if self.short_tags and isinstance(value, dict) and _is_intrinsic(value):
            key, argument = next(iter(value.items()))
            return f"{_short_tag(key)} {Style.render(self, argument, indent, inline=True)}"
        return Style.render(self, value, indent, inline=inline)

    def _in_brackets(self, value: Tagged, written: str) -> str:
        """Return a short tag as it was written; what brackets would cut in two is quoted."""
        tag, _, argument = written.partition(" ")
        whole = argument.strip()
        plain = whole[:1] not in {"'", '"', "[", "{"}
        (meant,) = value.values()
        return (
            f"{tag} {self.scalar(meant)}" if plain and _INDICATOR.search(whole) and isinstance(meant, str) else written
        )


@dataclass(frozen=True, slots=True)
class BlockStyle:
    """How a YAML document is laid out: `step` columns a nested mapping, `dash` columns a list beneath its key."""

    newline: str
    step: int
    dash: int
    short_tags: bool
    flow_lists: bool
    """lists of strings stand on one line"""
    flow: FlowStyle
    literals: bool = True
    """texts of several lines are written as such"""

    def key(self, key: str) -> str:
        """Return a key."""
        return key if _PLAIN_KEY.fullmatch(key) and isinstance(resolved(key), str) else quoted(key)

    def scalar(self, value: Value) -> str:
        """Return a scalar, without quotes where YAML and people need none."""
        if isinstance(value, str) and _PLAIN.fullmatch(value) and resolved(value) == value and value not in _ODD_WORDS:
            return value
        return self.flow.scalar(value)

    def inline(self, value: Value, column: int = 0) -> str | None:
        """Return `value` as it stands on one line; None when it takes lines of its own."""
        if isinstance(value, Tagged) and value.written is not None:
            return value.written
        if isinstance(value, (dict, list)):
            return self._short(value) or self._brackets(value, column)
        return None if isinstance(value, str) and self.literals and _literal(value) else self.scalar(value)

    def _brackets(self, value: dict[str, Value] | list[Value], column: int) -> str | None:
        """Return what is empty, or a list of strings where such lists stand on one line and this one has room."""
        if not value:
            return "{}" if isinstance(value, dict) else "[]"
        if isinstance(value, list) and self.flow_lists and all(isinstance(item, str) for item in value):
            line = self.flow.render(value, "", inline=True)
            return line if len(line) + column <= WIDTH else None
        return None

    def member(self, key: str, value: Value, column: int) -> str:
        """Return `key: value`, its first line without indentation, the key at `column`."""
        return self.key(key) + ":" + self.behind(value, column)

    def item(self, value: Value, column: int) -> str:
        """Return `- value`, its first line without indentation, the dash at `column`."""
        nested = isinstance(value, (dict, list)) and self.inline(value, column) is None
        if nested and not (self.short_tags and _is_intrinsic(value)):
            return "- " + self._beneath(value, column + 2).lstrip()
        return "-" + self.behind(value, column)

    def behind(self, value: Value, column: int) -> str:
        """Return what follows the mark of a value whose parent stands at `column`: one line, or lines beneath."""
        line = self.inline(value, column)
        if line is not None:
            return " " + line
        if isinstance(value, str):
            indent = self.newline + " " * (column + self.step)
            lines = value.removesuffix("\n").split("\n")
            return (" |" if value.endswith("\n") else " |-") + "".join(
                indent + each if each else self.newline for each in lines
            )
        tag = ""
        if self.short_tags and isinstance(value, dict) and _is_intrinsic(value):
            key, value = next(iter(value.items()))
            tag = f" {_short_tag(key)}"
        below = column + (self.dash if isinstance(value, list) and not tag else self.step)
        return tag + self.newline + self._beneath(value, below)

    def _beneath(self, value: Value, column: int) -> str:
        """Return a non-empty mapping or list on lines of its own."""
        return self.newline.join(" " * column + line for line in self._elements(value, column))

    def _elements(self, value: Value, column: int) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield self.member(key, item, column)
        elif isinstance(value, list):
            for item in value:
                yield self.item(item, column)

    def _short(self, value: Value) -> str | None:
        """Return an intrinsic function with a short tag, when it fits one line that way."""
        if not (self.short_tags and isinstance(value, dict) and _is_intrinsic(value)):
            return None
        key, argument = next(iter(value.items()))
        if isinstance(argument, str):
            plain = _PLAIN.fullmatch(argument) is not None or key == "Ref"
            return f"{_short_tag(key)} {argument if plain else self.flow.scalar(argument)}"
        if key == "Fn::GetAtt" and isinstance(argument, list) and all(isinstance(part, str) for part in argument):
            return f"!GetAtt {'.'.join(map(str, argument))}"
        if key in _FUNCTIONS_OF_LISTS and isinstance(argument, list):
            return f"{_short_tag(key)} {self.flow.render(argument, '', inline=True)}"
        return None


def _literal(text: str) -> bool:
    """Return whether a literal block keeps a text; other text of several lines is quoted."""
    return "\n" in text and _LITERAL.fullmatch(text) is not None and text.replace("\n", "").isprintable()


def quoted(text: str) -> str:
    """Return `text` in double quotes, as both JSON and YAML read them."""
    written = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04X}", written)


def of(text: str, node: Node) -> BlockStyle:
    """Read the layout of a YAML text, of the part `node` before all."""
    here, whole = text[node.start : node.start + style.SAMPLE], text[: style.SAMPLE]
    newline = "\r\n" if "\r\n" in whole else "\n"
    steps, dashes = Counter[int](), Counter[int]()
    for parent, child in islice(_nested(text, node), _NESTED_SAMPLE):
        found = dashes if isinstance(child, Array) else steps
        found[_column(text, child.start) - _column(text, parent)] += 1
    step = max(steps.most_common(1)[0][0] if steps else 2, 1)
    dash = dashes.most_common(1)[0][0] if dashes else step
    single = whole.count("'") > whole.count('"')
    spaced = "[ " in here and "[ " in whole
    short_tags = _SHORT_TAG.search(here) is not None or _SHORT_TAG.search(text) is not None
    padding = " " if spaced and here.count("[ ") > here.count("[") / 2 else ""
    flow = FlowStyle(
        newline="",
        unit=" " * step,
        colon=": ",
        comma=", ",
        object_padding=padding,
        array_padding=padding,
        inline_objects=True,
        inline_arrays=True,
        ascii_only=False,
        single_quotes=single,
        short_tags=short_tags,
    )
    return BlockStyle(
        newline=newline,
        step=step,
        dash=max(dash, 0),
        short_tags=short_tags,
        flow_lists=re.search(r"[:-] \[\s*[\"'A-Za-z]", here) is not None,
        flow=flow,
    )


_NESTED_SAMPLE = 200


def _nested(text: str, node: Node) -> Iterator[tuple[int, Object | Array]]:
    """Yield the keys of block style, and the mappings and lists on lines of their own beneath them."""
    for member in node.members.values() if isinstance(node, Object) else ():
        child = member.node
        if isinstance(child, (Object, Array)) and text[child.start] not in "{[!*&":
            yield member.key_start, child
        if not isinstance(child, Scalar) and text[child.start] != "*":
            yield from _nested(text, child)
    for item in node.items if isinstance(node, Array) else ():
        if text[node.start] != "[":
            yield from _nested(text, item)


def _column(text: str, offset: int) -> int:
    return offset - text.rfind("\n", 0, offset) - 1


def _is_intrinsic(value: Value) -> bool:
    key = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else ""
    return key in {"Ref", "Condition"} or key.startswith("Fn::")


def _short_tag(key: str) -> str:
    return "!" + key.removeprefix("Fn::")
