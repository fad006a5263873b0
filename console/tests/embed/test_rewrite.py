"""A changed value becomes the smallest edits, in the style of the text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.embed.samples import definitions, layouts

from bartizan.embed.edit import apply
from bartizan.embed.json_text import parse
from bartizan.embed.rewrite import align, rewrite, same

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "b", "c", "é"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def _rewritten(text: str, desired: Any) -> str:
    document = parse(text)
    return apply(text, rewrite(document, document.root, desired))


@given(_values, _values, st.data())
def test_the_result_spells_the_value(old: Any, new: Any, data: st.DataObject) -> None:
    """Whatever a text says and however it is laid out, its rewrite says the new value."""
    text = data.draw(st.sampled_from(layouts(old)))
    assert same(new, json.loads(_rewritten(text, new).removeprefix("\ufeff")))


@given(definitions(), definitions(), st.data())
def test_definitions_are_rewritten_into_each_other(old: Any, new: Any, data: st.DataObject) -> None:
    """Lists of objects known by name are rewritten rightly, too."""
    text = data.draw(st.sampled_from(layouts(old)))
    assert same(new, json.loads(_rewritten(text, new).removeprefix("\ufeff")))


@given(_values, st.data())
def test_an_equal_value_needs_no_edit(value: Any, data: st.DataObject) -> None:
    """A value that the text already says leaves it alone."""
    text = data.draw(st.sampled_from(layouts(value)))
    assert text == _rewritten(text, json.loads(text.removeprefix("\ufeff")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n  "a": [1]\n}\n', '{\n  "a": [1],\n  "new": [\n    "x",\n    {\n      "k": 1\n    }\n  ]\n}\n'),
        ('{"a":[1]}', '{"a":[1],"new":["x",{"k":1}]}'),
        ('{ "a": [ "b" ] }', '{ "a": [ "b" ], "new": [ "x", { "k": 1 } ] }'),
        ('{\r\n\t"a":1\r\n}', '{\r\n\t"a":1,\r\n\t"new":[\r\n\t\t"x",\r\n\t\t{\r\n\t\t\t"k":1\r\n\t\t}\r\n\t]\r\n}'),
        (
            '{\n    "a" : 1\n  , "b" : 2\n}',
            '{\n    "a" : 1\n  , "b" : 2\n  , "new" : [\n      "x",\n      {\n          "k" : 1\n      }\n  ]\n}',
        ),
        (
            '{\n  "a": [{\n    "b": 1\n  }]\n}',
            '{\n  "a": [{\n    "b": 1\n  }],\n  "new": [\n    "x",\n    {\n      "k": 1\n    }\n  ]\n}',
        ),
        ("{}", '{"new": ["x", {"k": 1}]}'),
        ("{ }", '{"new": ["x", {"k": 1}]}'),
        ("{\n}", '{\n  "new": [\n    "x",\n    {\n      "k": 1\n    }\n  ]\n}'),
    ],
)
def test_what_is_new_looks_like_its_surroundings(text: str, expected: str) -> None:
    """Indentation, line ends, blanks around colons and commas, and one-line layouts are taken over."""
    assert expected == _rewritten(text, {**json.loads(text), "new": ["x", {"k": 1}]})


def test_items_look_like_their_neighbours() -> None:
    """An object put behind one-line objects stands on one line; one put behind a many-line object does not."""
    text = '{\n  "env": [\n    { "n": 1 },\n    { "n": 2 }\n  ],\n  "list": [{\n    "n": 1\n  }]\n}'
    value = json.loads(text)
    value["env"].append({"n": 3})
    value["list"].append({"n": 2})
    assert _rewritten(text, value) == (
        '{\n  "env": [\n    { "n": 1 },\n    { "n": 2 },\n    { "n": 3 }\n  ],\n'
        '  "list": [{\n    "n": 1\n  }, {\n    "n": 2\n  }]\n}'
    )


def test_non_ascii_is_kept_as_the_text_has_it() -> None:
    """New text is escaped in an ASCII document and plain in one that is not."""
    assert _rewritten('{"a": 1}', {"a": "ü"}) == '{"a": "\\u00fc"}'
    assert _rewritten('{"é": 1}', {"é": "ü"}) == '{"é": "ü"}'
    assert _rewritten('{"é": 1}', {"é": "\ud800"}) == '{"é": "\\ud800"}'


def test_numbers_and_truth_are_not_confused() -> None:
    """`1`, `1.0` and `true` are three values although Python calls them equal."""
    assert _rewritten("[1, 1.0, true]", [True, 1, 1.0]) == "[true, 1, 1.0]"


def test_prefixes_are_insertions() -> None:
    """Putting arguments in front of a list keeps the others, even where they repeat."""
    assert align(["x", "y"], ["x", "z", "x", "y"]) == [0, None, None, 1]
    assert align(["a"], ["w", "a"]) == [None, 0]
