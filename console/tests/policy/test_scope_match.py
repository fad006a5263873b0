"""Pattern matching, held against a second implementation."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bartizan.policy.match import glob_matches, image_names

letters = st.text("ab*", max_size=8)


@given(pattern=letters, text=st.text("ab", max_size=8))
def test_globs_match_as_regular_expressions_do(pattern: str, text: str) -> None:
    """A glob matches exactly what the regular expression with `.*` for each star matches."""
    expression = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    assert glob_matches(pattern, text) == (re.fullmatch(expression, text) is not None)


def test_globs_do_not_backtrack() -> None:
    """A pattern made to be slow is not."""
    assert not glob_matches("*a" * 2000 + "b", "a" * 20_000)


def test_question_marks_and_brackets_are_plain() -> None:
    """Only the star is special in collections."""
    assert glob_matches("a?[b]", "a?[b]")
    assert not glob_matches("a?", "ab")


@given(name=st.text(max_size=30))
def test_an_image_is_always_known_by_its_own_name(name: str) -> None:
    """Whatever the name, it is among its spellings, and they do not repeat."""
    names = image_names(name)
    assert names[0] == name
    assert len(set(names)) == len(names)
