"""Cursors are read as they were written, and nothing else is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.api.cursors import read_cursor, write_cursor
from bartizan.services.errors import InvalidError


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4))
def test_a_cursor_comes_back(place: list[int]) -> None:
    """Reading gives what was written."""
    assert read_cursor(write_cursor(tuple(place)), parts=len(place)) == tuple(place)


@settings(max_examples=100)
@given(st.text(max_size=30) | st.from_regex(r"[0-9-]{1,25}", fullmatch=True))
def test_any_other_text_is_refused(text: str) -> None:
    """A text is refused, or is exactly the cursor of what it reads as."""
    try:
        place = read_cursor(text, parts=2)
    except InvalidError:
        return
    assert place is None if not text else write_cursor(place or ()) == text


@pytest.mark.parametrize("text", ["1", "1-2-3", "01-2", "-1-2", "1-", "٣-1", f"1-{2**63}", "1 -2"])
def test_these_are_none(text: str) -> None:
    """Too few, too many, another spelling, too large."""
    with pytest.raises(InvalidError):
        read_cursor(text, parts=2)
