"""Edits do, undo and combine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.embed.edit import Edit, apply, compose, explain, offset_before, reverse, unified_diff

_texts = st.text("abcd\n", max_size=20)


@st.composite
def _edits(draw: st.DrawFn, text: str) -> list[Edit]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return [Edit(start, end, draw(st.text("abcdxy", max_size=4))) for start, end in pairs]


@given(_texts, st.data())
def test_reverse_gives_the_text_back(text: str, data: st.DataObject) -> None:
    """The reverse edits, done to the result, give the text back."""
    edits = data.draw(_edits(text))
    assert text == apply(apply(text, edits), reverse(text, edits))


@given(_texts, st.data())
def test_compose_does_both(text: str, data: st.DataObject) -> None:
    """Composed edits do what the two lists of edits do one after the other."""
    first = data.draw(_edits(text))
    middle = apply(text, first)
    second = data.draw(_edits(middle))
    assert apply(middle, second) == apply(text, compose(text, first, second))


@given(_texts, st.data())
def test_there_and_back_is_no_edit(text: str, data: st.DataObject) -> None:
    """Edits composed with their reverse change nothing."""
    first = data.draw(_edits(text))
    assert text == apply(text, compose(text, first, reverse(text, first)))


@given(_texts, st.data())
def test_offsets_are_found_again(text: str, data: st.DataObject) -> None:
    """What an edit left alone is found at its place in the text before."""
    letters = "".join(chr(0x4E00 + index) for index in range(len(text)))
    edits = data.draw(_edits(letters))
    for offset, letter in enumerate(apply(letters, edits)):
        if letter in letters:
            assert letters.index(letter) == offset_before(edits, offset)


def test_compose_shows_the_difference_only() -> None:
    """Taking out and putting back almost the same leaves an edit of what differs."""
    edits = compose("a long word", [Edit(2, 7, "")], [Edit(2, 2, "lung ")])
    assert edits == (Edit(3, 4, "u"),)


@pytest.mark.parametrize(
    "edits", [[Edit(2, 3, ""), Edit(1, 2, "")], [Edit(0, 2, ""), Edit(1, 3, "")], [Edit(0, 9, "")]]
)
def test_overlapping_edits_are_refused(edits: list[Edit]) -> None:
    """Edits that overlap, run backwards or leave the text are a mistake of the caller."""
    with pytest.raises(ValueError, match="overlaps"):
        apply("text", edits)


def test_diff_and_explanation() -> None:
    """The diff shows changed lines; the explanation names each changed value once."""
    text = '{\n  "a": 1\n}'
    edits = [Edit(9, 10, "2", "/a", "because"), Edit(10, 10, "0", "/a", "because"), Edit(12, 12, "", "", "all")]
    assert unified_diff(text, edits) == (
        "--- task definition (as given)\n+++ task definition (protected)\n@@ -1,3 +1,3 @@\n"
        ' {\n-  "a": 1\n+  "a": 20\n }\n\\ No newline at end of file\n'
    )
    assert explain(edits) == "/a: because\n/: all"
