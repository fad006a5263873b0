"""Editing YAML in place: what is left alone keeps its bytes, and what is written reads back as meant."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bartizan.embed import EmbedError, edit, yaml_text
from bartizan.embed.yaml_rewrite import rewrite

_KEYS = st.sampled_from(["Name", "Image", "EntryPoint", "Key", "a", "b c", "Fn::X", "x.y", "yes", "1", "Value"])
_WORDS = st.one_of(
    st.sampled_from(
        ["web", "/bin/sh", "-c", "yes", "null", "1.5", "012", "", " x", "a: b", "a #b", "${A}:1", "é𝄞", "x\ny"]
    ),
    st.text(max_size=6).filter(lambda text: text.isprintable() and "\x85" not in text),
)
_SCALARS = st.one_of(_WORDS, st.integers(-99, 99), st.booleans(), st.none())
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)
_DOCUMENTS = st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4)


@dataclass(frozen=True)
class Writer:
    """Writes values as people do, each choice drawn: brackets or lines, quotes, comments, indentation."""

    draw: Any
    newline: str
    step: int
    dash: int

    def document(self, value: dict[str, Any]) -> str:
        lines = [*self._comment(0), *self._lines(value, 0)]
        return self.newline.join(lines) + (self.newline if self.draw(st.booleans()) else "")

    def _lines(self, value: Any, column: int) -> list[str]:
        lines: list[str] = []
        for item in value.items() if isinstance(value, dict) else value:
            mark = self._scalar(item[0]) + ":" if isinstance(value, dict) else "-"
            lines += self._element(mark, item[1] if isinstance(value, dict) else item, column)
            lines += self._comment(column)
        return lines

    def _element(self, mark: str, value: Any, column: int) -> list[str]:
        start = " " * column + mark
        if not isinstance(value, (dict, list)) or not value or self.draw(st.booleans()):
            shown = self._flow(value)
            return [(f"{start} {shown}" if shown else start) + self._behind()]
        below = column + (self.dash if isinstance(value, list) and mark != "-" else self.step)
        lines = self._lines(value, below)
        if mark == "-" and self.draw(st.booleans()):
            lines = self._lines(value, column + 2)
            return [start + " " + lines[0].lstrip(" "), *lines[1:]]
        return [start + self._behind(), *lines]

    def _flow(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{yaml_text_quoted(key)}: {self._flow(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self._flow(item) or "null" for item in value) + "]"
        if value is None:
            return str(self.draw(st.sampled_from(["null", "~"])))
        return self._scalar(value)

    def _scalar(self, value: Any) -> str:
        if not isinstance(value, str):
            return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        if value.isprintable() and "'" not in value and self.draw(st.booleans()):
            return f"'{value}'"
        return yaml_text_quoted(value)

    def _comment(self, column: int) -> list[str]:
        return [" " * column + "# - note: x"] if self.draw(st.integers(0, 4)) == 0 else []

    def _behind(self) -> str:
        return str(self.draw(st.sampled_from(["", "", "", "  # why", " "])))


def yaml_text_quoted(value: str) -> str:
    """Return a string in double quotes."""
    from bartizan.embed.yaml_style import quoted  # noqa: PLC0415

    return quoted(value)


@st.composite
def _texts(draw: Any) -> str:
    writer = Writer(
        draw, draw(st.sampled_from(["\n", "\r\n"])), draw(st.sampled_from([2, 3, 4])), draw(st.sampled_from([0, 2, 4]))
    )
    return writer.document(draw(_DOCUMENTS))


def _changed(draw: Any, value: Any) -> Any:
    """Return a value with something put in, taken out or replaced somewhere."""
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(list(value)))
        kind = draw(st.sampled_from(["into", "into", "add", "remove"]))
        if kind == "into":
            return {name: _changed(draw, item) if name == key else item for name, item in value.items()}
        if kind == "add":
            return {**value, draw(_KEYS): draw(_VALUES)}
        return {name: item for name, item in value.items() if name != key}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value)))
        kind = draw(st.sampled_from(["into", "insert", "insert", "remove"]))
        if kind == "insert":
            return [*value[:at], draw(_VALUES), *value[at:]]
        at = min(at, len(value) - 1)
        if kind == "into":
            return [*value[:at], _changed(draw, value[at]), *value[at + 1 :]]
        return [*value[:at], *value[at + 1 :]]
    return draw(_VALUES)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_is_written_reads_back(data: st.DataObject) -> None:
    """Bytes outside the edits are unchanged, and parsing the output gives the edited model."""
    text = data.draw(_texts())
    document = yaml_text.parse(text)
    desired = document.root.value
    for _ in range(data.draw(st.integers(1, 4))):
        desired = _changed(data.draw, desired)
    if not isinstance(desired, dict) or not desired:
        return
    edits = rewrite(document, document.root, desired)
    result = edit.apply(text, edits)
    assert yaml_text.parse(result).root.value == desired, result
    assert edit.apply(result, edit.reverse(text, edits)) == text


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_texts())
def test_nothing_to_change_is_no_edit(text: str) -> None:
    """A text that says what is desired already is left alone to the byte."""
    document = yaml_text.parse(text)
    assert rewrite(document, document.root, yaml_text.parse(text).root.value) == ()


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ("a:\n  - x  # why\n\n# end\n", {"a": ["w", "x", "z"]}, "a:\n  - w\n  - x  # why\n  - z\n\n# end\n"),
        ("a:\n- x\nb: 1\n", {"a": ["x", "y y"], "b": 1}, "a:\n- x\n- y y\nb: 1\n"),
        ("a: [x]  # c\n", {"a": ["w", "x"]}, 'a: ["w", x]  # c\n'),
        ("a: |\n  x\n\n\nb: 2\n", {"a": "x\n", "b": 2, "c": 3}, "a: |\n  x\n\n\nb: 2\nc: 3\n"),
        ("a:\n", {"a": {"b": ["cc"]}}, "a:\n  b:\n    - cc\n"),
        ("a: 1", {"a": 1, "b": 2}, "a: 1\nb: 2"),
        ("a: |+\n  x\n\n", {"a": "x\n\n", "b": 2}, "a: |+\n  x\n\nb: 2\n"),
        ("- a: 1\n  b: 2\n- c\n", [{"b": 2}, "c"], "- b: 2\n- c\n"),
        ("a: 1\n# c\nb: 2\n# d\nc: 3\n", {"a": 1, "c": 3}, "a: 1\n# c\n# d\nc: 3\n"),
    ],
)
def test_layout(text: str, change: Any, expected: str) -> None:
    """New elements look like their neighbours; comments stay with what they stand above or behind."""
    document = yaml_text.parse(text)
    assert edit.apply(text, rewrite(document, document.root, change)) == expected


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ("a: &x [p]\nb: *x\n", {"a": ["p", "q"], "b": ["p"]}, 'a: &x [p, "q"]\nb: ["p"]\n'),
        ("a: &x\n  k: 1\nb: *x\n", {"a": {"k": 1}, "b": {"k": 2}}, "a: &x\n  k: 1\nb:\n  k: 2\n"),
        ("a: &x\n  k: 1\nb:\n  <<: *x\n", {"a": {"k": 1}, "b": {"k": 2}}, "a: &x\n  k: 1\nb:\n  <<: *x\n  k: 2\n"),
    ],
)
def test_aliases(text: str, change: Any, expected: str) -> None:
    """An alias is written out when it and its anchor no longer mean the same; a merge is overridden."""
    document = yaml_text.parse(text)
    result = edit.apply(text, rewrite(document, document.root, change))
    assert result == expected
    assert yaml_text.parse(result).root.value == change


def test_a_merged_member_cannot_be_taken_out() -> None:
    """What comes from a merge is refused with the place, for no edit of the mapping can remove it."""
    document = yaml_text.parse("a: &x\n  k: 1\nb:\n  <<: *x\n  m: 2\n")
    with pytest.raises(EmbedError, match=r"line 4, column 3: `k` comes from a merge"):
        rewrite(document, document.root, {"a": {"k": 1}, "b": {"m": 2}})
