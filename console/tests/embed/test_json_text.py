"""The parser accepts what the standard library accepts, keeps the spans, and says where the fault is."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.embed.samples import layouts, texts

from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import DEPTH_LIMIT, Array, Node, Object, parse, pointer
from bartizan.embed.rewrite import same

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
_json_like = st.text(st.sampled_from('{}[]",:0123456789.-+eE truefalsn\\u\n\t\rdD/x\x00é'), max_size=30)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def _standard(text: str) -> tuple[bool, Any]:
    try:
        return True, json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_twice)
    except ValueError:
        return False, None


def _ours(text: str) -> tuple[bool, Any]:
    try:
        return True, parse(text).root.value
    except EmbedError:
        return False, None


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, Array):
        for item in node.items:
            yield from _nodes(item)
    elif isinstance(node, Object):
        for member in node.members.values():
            yield from _nodes(member.node)


@given(_json_like)
@example("01")
@example("-")
@example("1.")
@example("[1,]")
@example('{"a":1,}')
@example('"\\ud800"')
@example('"\\x"')
@example('{"\\u0061":1,"a":2}')
@example("NaN")
@example("1e400")
@example("\u00a01")
def test_accepts_what_the_standard_library_accepts(text: str) -> None:
    """A text is accepted exactly when `json.loads`, without NaN and repeated keys, accepts it, as the same value."""
    expected, actual = _standard(text), _ours(text)
    assert expected[0] == actual[0]
    assert same(expected[1], actual[1])


@given(_values, st.data())
def test_reads_every_layout(value: Any, data: st.DataObject) -> None:
    """A value is read back from every layout of it, a byte order mark and blank lines included."""
    text = data.draw(st.sampled_from(layouts(value)))
    assert same(json.loads(text.removeprefix("\ufeff")), parse(text).root.value)


@given(texts())
def test_every_span_spells_its_value(text: str) -> None:
    """The span of each node is the JSON of its value."""
    for node in _nodes(parse(text).root):
        assert same(json.loads(text[node.start : node.end]), node.value)
        if isinstance(node, Object):
            for key, member in node.members.items():
                assert key == json.loads(text[member.key_start : member.key_end])


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the text ends where a value should stand"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3, "a comma is missing"),
        ('{\n  "a": [1, 2,\n  ]\n}', 3, 3, "a comma stands before `]`"),
        ("{'a': 1}", 1, 2, "double quotes"),
        ('{"a": 1 // one\n}', 1, 9, "no comments"),
        ('{"a": NaN}', 1, 7, "NaN is no JSON"),
        ('{"a": {{ .Tag }}}', 1, 8, "template"),
        ('{"a": $TAG}', 1, 7, "template"),
        ('{"a": "b\n"}', 1, 7, "not closed"),
        ('{"a": "b', 1, 7, "not closed"),
        ('{"a": "\\q"}', 1, 8, "escape"),
        ('{"a": [1', 1, 9, "`[` was opened in line 1, column 7"),
        ('{"a": 1,\r\n "a": 2}', 2, 2, "`a` is given twice (first in line 1, column 2)"),
        ('{"é": 1,\n "\\u00e9": "2"}', 2, 2, "`é` is given twice"),
        ("[1] 2", 1, 5, "the end of the text"),
        ("\u2028", 1, 1, "U+2028"),
    ],
)
def test_says_where_the_fault_is(text: str, line: int, column: int, message: str) -> None:
    """A malformed text is refused with line, column and what is wrong there."""
    with pytest.raises(EmbedError) as caught:
        parse(text)
    where = caught.value.where
    assert where is not None
    assert (line, column) == (where.line, where.column)
    assert message in caught.value.message


def test_depth_is_bounded() -> None:
    """A text nests as deep as the limit and no deeper, however deep it is."""
    assert isinstance(parse("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT).root, Array)
    for depth in (DEPTH_LIMIT + 1, 200_000):
        with pytest.raises(EmbedError, match="deeper"):
            parse("[" * depth + "]" * depth)


def test_huge_numbers_are_refused() -> None:
    """A number with more digits than the interpreter takes is an error of ours, not of the interpreter."""
    with pytest.raises(EmbedError, match="too many digits"):
        parse("9" * 10_000)


def test_pointer_escapes() -> None:
    """A pointer escapes `~` and `/` (RFC 6901, section 3)."""
    assert pointer(("a/b", 0, "m~n")) == "/a~1b/0/m~0n"
