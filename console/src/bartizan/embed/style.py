"""The way a JSON text is laid out, read off the text, so that what we add looks like what was there."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from bartizan.embed.json_text import Value

_NEWLINE = re.compile(r"\r?\n")
_INDENT = re.compile(r"\n([ \t]*)(?=[^\s])")
_COLON = re.compile(r'"([ \t]?:[ \t]?)[ \t]*["\[{tfn0-9-]')
_COMMA = re.compile(r'["\]}0-9el],([ \t]?)(?=["{\[0-9-])')
_INLINE_OBJECT = re.compile(r'\{([ \t]?)"')
_INLINE_ARRAY = re.compile(r'\[([ \t]?)"')
_OPEN_ARRAY = re.compile(r'\[[ \t]*\r?\n\s*"')


SAMPLE = 16_384
"""Characters that are looked at: people do not change the layout in the middle of a file."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a document is laid out."""

    newline: str
    """`\\n` or `\\r\\n`; empty for a text of one line"""
    unit: str
    """what one level of nesting is indented by"""
    colon: str
    comma: str
    """what stands between two elements on one line"""
    object_padding: str
    array_padding: str
    inline_objects: bool
    """objects of scalars stand on one line"""
    inline_arrays: bool
    """lists of scalars stand on one line"""
    ascii_only: bool

    def scalar(self, value: Value) -> str:
        """Return a scalar as JSON."""
        if self.ascii_only or not isinstance(value, str) or not _encodable(value):
            return json.dumps(value)
        return json.dumps(value, ensure_ascii=False)

    def render(self, value: Value, indent: str, *, inline: bool | None = None) -> str:
        """Return `value` as JSON; `indent` is the indentation of the line it begins on.

        `inline` puts it on one line, or its elements on lines of their own; None leaves that to the style.
        """
        if not isinstance(value, (dict, list)):
            return self.scalar(value)
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        if not value:
            return opening + closing
        inline = not self.newline or (self._is_leaf(value) if inline is None else inline)
        inner = indent if inline else indent + self.unit
        if isinstance(value, dict):
            parts = [self.member(key, item, inner, inline=inline or None) for key, item in value.items()]
        else:
            parts = [self.render(item, inner, inline=inline or None) for item in value]
        if inline:
            padding = self.object_padding if isinstance(value, dict) else self.array_padding
            return opening + padding + self.comma.join(parts) + padding + closing
        line = self.newline + inner
        return opening + line + ("," + line).join(parts) + self.newline + indent + closing

    def member(self, key: str, value: Value, indent: str, *, inline: bool | None = None) -> str:
        """Return `"key": value`."""
        return self.scalar(key) + self.colon + self.render(value, indent, inline=inline)

    def _is_leaf(self, value: Value) -> bool:
        if isinstance(value, dict):
            return self.inline_objects and not any(isinstance(item, (dict, list)) for item in value.values())
        return (
            self.inline_arrays and isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value)
        )


def of(text: str) -> Style:
    """Read the layout of a JSON text; what it does not show is filled in as people write it by hand."""
    sample = text[:SAMPLE].strip()
    newline = _NEWLINE.search(sample)
    opened, inline_array = _OPEN_ARRAY.search(sample), _INLINE_ARRAY.search(sample)
    inline_object = _INLINE_OBJECT.search(sample, 1 if newline else 0)
    colon = _COLON.search(sample)
    comma = _COMMA.search(sample)
    minified = not newline and colon is not None and colon[1] == ":"
    return Style(
        newline=newline[0] if newline else "",
        unit=_unit(sample),
        colon=colon[1] if colon else ": ",
        comma="," + (comma[1] if comma else "" if minified else " "),
        object_padding=inline_object[1] if inline_object else "",
        array_padding=inline_array[1] if inline_array else "",
        inline_objects=inline_object is not None,
        inline_arrays=inline_array is not None and (opened is None or inline_array.start() < opened.start()),
        ascii_only=text.isascii(),
    )


def _unit(text: str) -> str:
    """Return the commonest step inwards from one line to the next."""
    indents = _INDENT.findall(text)
    steps = [after[len(before) :] for before, after in pairwise(["", *indents]) if len(after) > len(before)]
    return Counter(steps).most_common(1)[0][0] if steps else "  "


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can spell
        return False
    return True
