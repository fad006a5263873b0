"""Cursors: where a reader of pages stopped, as text that only we read. Numbers with hyphens between them."""

from bartizan.services.errors import InvalidError

_LONGEST = 19
"""Digits of a number of 64 bits."""


def write_cursor(place: tuple[int, ...]) -> str:
    """Return the cursor of a place; none of its numbers is negative."""
    return "-".join(map(str, place))


def read_cursor(text: str, *, parts: int) -> tuple[int, ...] | None:
    """Return the place of a cursor, None for an empty one. Raises InvalidError for what `write_cursor` never gives."""
    if not text:
        return None
    pieces = text.split("-")
    if len(pieces) != parts or not all(map(_is_number, pieces)):
        raise InvalidError("`cursor`: not one that this Console gave, begin again without it")
    return tuple(map(int, pieces))


def _is_number(text: str) -> bool:
    canonical = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    return canonical and (len(text) < _LONGEST or (len(text) == _LONGEST and int(text) < 2**63))
