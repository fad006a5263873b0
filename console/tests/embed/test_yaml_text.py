"""Reading YAML: the same values as PyYAML reads, exact places, one clear error for anything else."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.embed.samples import templates

from bartizan.embed import EmbedError
from bartizan.embed.json_text import Array, Node, Object
from bartizan.embed.yaml_text import DEPTH_LIMIT, parse

_TEXTS = [path.read_bytes().decode() for path in templates() if path.suffix != ".json"]


class _Loader(yaml.CBaseLoader):
    """Reads every scalar as text and every short tag as its long form."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = node.value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = list(value.partition(".")[::2])
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)  # type: ignore[no-untyped-call]


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    return ours == theirs or not isinstance(ours, str)


def _nodes(node: Node) -> list[Node]:
    children = [member.node for member in node.members.values()] if isinstance(node, Object) else []
    children += node.items if isinstance(node, Array) else []
    return [node, *(each for child in children for each in _nodes(child))]


@pytest.mark.parametrize("text", _TEXTS, ids=range(len(_TEXTS)))
def test_templates_read_as_pyyaml_reads_them(text: str) -> None:
    """Values agree with PyYAML's, and the span of each plain scalar is the very text of it."""
    document = parse(text)
    assert _same(document.root.value, yaml.load(text, _Loader))  # noqa: S506 - made of the base loader: text only
    for node in _nodes(document.root):
        written = text[node.start : node.end]
        if isinstance(node.value, str) and "\n" not in written and written[:1] not in "'\"|>":
            assert written == node.value


@given(st.text(alphabet="ab:-# \n'\"[]{},&*!|>%\t\r\ufeff\x00é𝄞?", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, it is read with spans inside of it, or refused with an `EmbedError`."""
    try:
        document = parse(text)
    except EmbedError:
        return
    assert all(0 <= node.start <= node.end <= len(text) for node in _nodes(document.root))


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("", "line 1, column 1", "the text is empty"),
        ("a: 1\na: 2\n", "line 2, column 1", r"the key `a` is given twice \(first in line 1, column 1\)"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1", "more than one YAML document"),
        ("a:\n\tb: 1\n", "line 2, column 1", "indented by a tab"),
        ("a: [1, 2\n", "line 2, column 1", "malformed YAML while parsing a flow sequence"),
        ("a: 'x\n", "line 2, column 1", "malformed YAML"),
        ("a: *x\n", "line 1, column 4", r"the alias `\*x` has no anchor"),
        ("a: \x07\n", "line 1, column 4", r"YAML allows no U\+0007"),
        ("a: \ud800\n", "line 1, column 4", "half a surrogate pair"),
        ("[a, b]: 1\n", "line 1, column 1", "a key must be a scalar"),
        ("a: &x 1\nb:\n  <<: *x\n", "line 3, column 3", "merges mappings only"),
        ("[" * 200, f"line 1, column {DEPTH_LIMIT + 2}", "nests deeper"),
        ("a: " + "[" * 100_000, "line 1, column", "nests deeper"),
    ],
)
def test_refusals(text: str, place: str, what: str) -> None:
    """Bad YAML is one sentence with its place."""
    with pytest.raises(EmbedError, match=f"^{place}.*{what}"):
        parse(text)


def test_a_bomb_of_aliases_is_refused() -> None:
    """Ten lines that unfold to a billion values are refused before they are unfolded."""
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(EmbedError, match="unfolds to more than"):
        parse("\n".join(lines))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_any_line_end_are_let_pass(end: str) -> None:
    """A mark in front is kept out of the first key; places count what people see."""
    text = f"\ufeffa: 1{end}b: [x, y]{end}"
    root = parse(text).root
    assert isinstance(root, Object)
    assert text[root.members["b"].node.start : root.members["b"].node.end] == "[x, y]"
    assert root.value == {"a": 1, "b": ["x", "y"]}
