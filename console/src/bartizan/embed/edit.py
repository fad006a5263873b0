"""Edits: what a transform does to a text, as replacements of spans.

All that people see of a transform comes from its edits: the new text, the diff, the explanation, the way back.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `text[start:end]` by `replacement`.

    `pointer` is the JSON pointer (RFC 6901) of the value the edit belongs to, `why` one clause for people.
    """

    start: int
    end: int
    replacement: str
    pointer: str = ""
    why: str = ""


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Return `text` with `edits` done; they must be sorted and must not overlap (`ValueError`)."""
    pieces: list[str] = []
    at = 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(text):
            raise ValueError(f"the edit {edit.start}:{edit.end} overlaps another or leaves the text")
        pieces += (text[at : edit.start], edit.replacement)
        at = edit.end
    pieces.append(text[at:])
    return "".join(pieces)


def reverse(text: str, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return the edits that lead from `apply(text, edits)` back to `text`."""
    shift = 0
    back: list[Edit] = []
    for edit in edits:
        start = edit.start + shift
        back.append(
            replace(edit, start=start, end=start + len(edit.replacement), replacement=text[edit.start : edit.end])
        )
        shift += len(edit.replacement) - (edit.end - edit.start)
    return tuple(back)


def offset_before(edits: Iterable[Edit], offset: int) -> int:
    """Return where, in a text, that stands which stands at `offset` after `edits`; what is new stands at its edit."""
    shift = 0
    for edit in edits:
        start = edit.start + shift
        if offset < start:
            break
        if offset < start + len(edit.replacement):
            return edit.start
        shift += len(edit.replacement) - (edit.end - edit.start)
    return offset - shift


def compose(text: str, first: Sequence[Edit], second: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return the edits that do to `text` what `first` does and then, to its result, `second`.

    What `second` puts back as it was is no edit any more, so undoing and redoing shows the difference only.
    """
    pieces = _cut(_pieces(len(text), first), second)
    edits: list[Edit] = []
    at, added, origin = 0, "", next(iter([*second, *first]), Edit(0, 0, ""))
    for start, end, new, made_by in pieces:
        if made_by is not None:
            added, origin = added + new, made_by
        elif start < end:
            edits += _trimmed(text, replace(origin, start=at, end=start, replacement=added))
            at, added = end, ""
    return (*edits, *_trimmed(text, replace(origin, start=at, end=len(text), replacement=added)))


# A stretch of a text after edits: either the span [start, end) of the original, or new text and the edit it came from.
_Piece = tuple[int, int, str, Edit | None]


def _pieces(length: int, edits: Iterable[Edit]) -> list[_Piece]:
    pieces: list[_Piece] = []
    at = 0
    for edit in edits:
        pieces += [(at, edit.start, "", None), (0, 0, edit.replacement, edit)]
        at = edit.end
    return [*pieces, (at, length, "", None)]


def _cut(pieces: Iterable[_Piece], edits: Sequence[Edit]) -> list[_Piece]:
    """Do `edits`, whose offsets count in the text that `pieces` spell, to `pieces`."""
    result: list[_Piece] = []
    offset = 0
    waiting = list(reversed(edits))
    for piece in pieces:
        rest = piece
        while waiting and waiting[-1].start <= offset + _length(rest):
            edit = waiting[-1]
            head, tail = _split(rest, max(edit.start - offset, 0))
            gone = min(edit.end - max(edit.start, offset), _length(tail))
            result.append(head)
            offset += _length(head) + gone
            rest = _split(tail, gone)[1]
            if edit.end > offset:
                break
            result.append((0, 0, edit.replacement, edit))
            waiting.pop()
        result.append(rest)
        offset += _length(rest)
    return result


def _length(piece: _Piece) -> int:
    return piece[1] - piece[0] if piece[3] is None else len(piece[2])


def _split(piece: _Piece, at: int) -> tuple[_Piece, _Piece]:
    start, end, new, made_by = piece
    if made_by is None:
        return (start, start + at, "", None), (start + at, end, "", None)
    return (0, 0, new[:at], made_by), (0, 0, new[at:], made_by)


def _trimmed(text: str, edit: Edit) -> list[Edit]:
    """Return `edit` without what it replaces by itself; nothing when it changes nothing."""
    old, new = text[edit.start : edit.end], edit.replacement
    if old == new:
        return []
    shorter = min(len(old), len(new))
    front = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    back = next((i for i in range(shorter - front) if old[-1 - i] != new[-1 - i]), shorter - front)
    return [replace(edit, start=edit.start + front, end=edit.end - back, replacement=new[front : len(new) - back])]


def unified_diff(text: str, edits: Sequence[Edit], *, name: str = "task definition") -> str:
    """Return the edits as a unified diff of lines, with three lines of context."""
    before, after = text.splitlines(keepends=True), apply(text, edits).splitlines(keepends=True)
    lines = difflib.unified_diff(before, after, f"{name} (as given)", f"{name} (protected)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def explain(edits: Sequence[Edit]) -> str:
    """Return one line per changed value, `pointer: why`, in the order of the text."""
    lines = [f"{edit.pointer or '/'}: {edit.why}" for edit in edits]
    return "\n".join(line for before, line in pairwise(["", *lines]) if line != before)
