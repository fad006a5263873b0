"""From a changed value to edits, in YAML: the smallest replacements that make a text spell that value.

The same contract as `rewrite` gives for JSON. Lines of their own are for block mappings and lists; what stands in
brackets is left to the JSON rewriter, for it is laid out the same way. Elements that stay keep their bytes, comments
stay where they are, new members and items go last (or in front, where the value has them in front).

An alias (`*name`) whose value changes, or whose anchor's does, is written out: the parts that repeated each other no
longer do.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from bartizan.embed import yaml_style
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Array, Document, Node, Object, Scalar, Value, pointer
from bartizan.embed.rewrite import FlowRewriter, Path, align, same
from bartizan.embed.yaml_text import MERGE, end_with_comments, gap, line_end


def rewrite(document: Document, node: Node, desired: Value) -> tuple[Edit, ...]:
    """Return the edits of `document.text` that make the part `node` spell `desired`.

    Raises `EmbedError` where YAML cannot say it: a member that comes from a merge (`<<`) cannot be taken out.
    """
    rewriter = _Rewriter(document, node)
    edits = sorted(rewriter.edits(node, desired, (), node.start), key=lambda edit: (edit.start, edit.end))
    written_out = [
        Edit(alias.start, alias.end, rewriter.inline(alias.target.value), "", "was an alias of what changes")
        for alias in document.aliases
        if any(alias.target.start <= edit.start and edit.end <= alias.target.end for edit in edits)
        and not any(edit.start <= alias.start and alias.end <= edit.end for edit in edits)
    ]
    return tuple(sorted([*edits, *written_out], key=lambda edit: (edit.start, edit.end)))


class _Rewriter:
    """Walks a tree and a value side by side."""

    def __init__(self, document: Document, node: Node) -> None:
        self._document = document
        self._text = document.text
        self._style = yaml_style.of(document.text, node)
        self._flow = FlowRewriter(document.text, self._style.flow)

    def inline(self, value: Value) -> str:
        """Return a value on one line."""
        line = self._style.inline(value)
        return self._style.flow.render(value, "", inline=True) if line is None else line

    def edits(self, node: Node, desired: Value, path: Path, mark: int) -> list[Edit]:
        """Return the edits that make `node`, which stands behind the colon or dash at `mark`, spell `desired`."""
        if node.value is desired or same(node.value, desired):
            return []
        opening = self._text[node.start : node.start + 1]
        if opening == "!" and isinstance(node, Object) and isinstance(desired, dict):
            (key, member), *_ = node.members.items()
            if list(desired) == [key] and not isinstance(member.node, Scalar):
                return self.edits(member.node, desired[key], (*path, key), member.key_end)
        elif opening in {"{", "["}:
            if isinstance(desired, (dict, list)) and isinstance(desired, dict) == isinstance(node, Object):
                return self._flow.edits(node, desired, path)
        elif opening == "*":
            pass
        elif isinstance(node, Object) and isinstance(desired, dict) and desired:
            return self._mapping(node, desired, path)
        elif isinstance(node, Array) and isinstance(desired, list) and desired:
            return self._sequence(node, desired, path)
        return self._replace(node, desired, path, mark)

    def _replace(self, node: Node, desired: Value, path: Path, mark: int) -> list[Edit]:
        """Put another value in the place of one that stands behind the colon or dash at `mark`."""
        where, between = pointer(path), self._text[mark : node.start]
        column = self._column_of_line(mark)
        in_list = self._text[mark - 1 : mark] == "-"
        style = self._style_before(node.end)
        new = style.item(desired, self._column(mark) - 1)[1:] if in_list else style.behind(desired, column)
        if between.strip()[:1] in {"&", "!"} or (mark == node.start and node.end > mark):
            return [Edit(node.start, node.end, self.inline(desired), where)]
        if not between.strip():
            return [Edit(mark, node.end, new, where)]
        # A comment stands between: it stays on the line of the mark.
        above = self._line_start(node.start)
        if new.startswith(self._style.newline):
            return [Edit(above, node.end, new, where)]
        return [Edit(mark, mark, " " + self.inline(desired), where), Edit(above, node.end, "", where)]

    def _mapping(self, node: Object, desired: dict[str, Value], path: Path) -> list[Edit]:
        edits: list[Edit] = []
        merged = MERGE in node.members and MERGE not in node.value
        kept: list[str] = []
        for key, member in node.members.items():
            if key in desired or (merged and key == MERGE):
                kept.append(key)
                if key in desired:
                    mark = self._text.index(":", member.key_end) + 1
                    edits += self.edits(member.node, desired[key], (*path, key), mark)
        for key in node.value:
            if key not in desired and key not in node.members:
                message = f"`{key}` comes from a merge (`<<`) and cannot be taken out: write the mapping out"
                raise EmbedError(message, self._document.where(node.start))
        if not kept:
            return [self._replace_block(node, desired, path)]
        edits += self._gone(node, kept, path)
        last = node.members[kept[-1]].node
        column = self._column(node.members[next(iter(node.members))].key_start)
        at = end_with_comments(self._text, last.end, column)
        edits += [
            Edit(at, at, self._line(column) + self._style.member(key, value, column), pointer((*path, key)))
            for key, value in desired.items()
            if key not in node.members and not (key in node.value and same(node.value[key], value))
        ]
        return edits

    def _gone(self, node: Object, kept: Sequence[str], path: Path) -> list[Edit]:
        """Take out the members that are not kept; comments above them stay."""
        names, stay = list(node.members), set(kept)
        starts = [member.key_start for member in node.members.values()]
        ends = [member.node.end for member in node.members.values()]
        spans = _taken_out(
            [name in stay for name in names], starts, ends, self._line_start, partial(line_end, self._text)
        )
        return [Edit(start, end, "", pointer((*path, names[index]))) for index, start, end in spans]

    def _sequence(self, node: Array, desired: list[Value], path: Path) -> list[Edit]:
        dashes = self._dashes(node)
        column = self._column(dashes[0])
        matches = align(node.value, desired, path[-1] if path else "")
        stay = {match for match in matches if match is not None}
        if not stay:
            return [self._replace_block(node, desired, path)]
        first = min(stay)
        edits: list[Edit] = []
        at: int | None = None
        fresh: list[tuple[str, int]] = []
        for index, (item, match) in enumerate(zip(desired, matches, strict=True)):
            if match is not None:
                edits += self.edits(node.items[match], item, (*path, index), dashes[match] + 1)
                if match == first and fresh:
                    text = "".join(new + self._line(column) for new, _ in fresh)
                    where = pointer((*path, fresh[0][1]) if len(fresh) == 1 else path)
                    edits.append(Edit(dashes[first], dashes[first], text, where))
                at = end_with_comments(self._text, node.items[match].end, column)
                continue
            new = self._style.item(item, column)
            if at is None:
                fresh.append((new, index))
            else:
                edits.append(Edit(at, at, self._line(column) + new, pointer((*path, index))))
        ends = [item.end for item in node.items]
        kept = [index in stay for index in range(len(dashes))]
        spans = _taken_out(kept, dashes, ends, self._line_start, partial(line_end, self._text))
        return edits + [Edit(start, end, "", pointer((*path, index))) for index, start, end in spans]

    def _replace_block(self, node: Object | Array, desired: Value, path: Path) -> Edit:
        """Fill a block none of whose elements stays."""
        start = node.start
        column, style = self._column(start), self._style_before(node.end)
        elements = (
            desired.items() if isinstance(desired, dict) else enumerate(desired if isinstance(desired, list) else [])
        )
        lines = [
            style.member(key, item, column) if isinstance(key, str) else style.item(item, column)
            for key, item in elements
        ]
        return Edit(start, node.end, self._line(column).join(lines), pointer(path))

    def _style_before(self, end: int) -> yaml_style.BlockStyle:
        """Return the style of what is written up to `end`: blanks or a comment behind must not become text."""
        followed = end < line_end(self._text, end) or "#" in self._text[end : gap(self._text, end)]
        return replace(self._style, literals=False) if followed else self._style

    def _dashes(self, node: Array) -> list[int]:
        """Return where the dashes of a block list stand."""
        dashes = [gap(self._text, node.start)]
        dashes += [gap(self._text, item.end) for item in node.items[:-1]]
        return dashes

    def _line(self, column: int) -> str:
        return self._style.newline + " " * column

    def _column(self, offset: int) -> int:
        return offset - self._text.rfind("\n", 0, offset) - 1

    def _column_of_line(self, offset: int) -> int:
        """Return the column of the innermost mapping or list whose line `offset` is on: dashes in front are skipped."""
        start = self._text.rfind("\n", 0, offset) + 1
        line = self._text[start:offset]
        at = len(line) - len(line.lstrip(" "))
        while line.startswith("- ", at) and line[at:].strip() != "-":
            rest = line[at + 1 :]
            at += 1 + len(rest) - len(rest.lstrip(" "))
        return at

    def _line_start(self, offset: int) -> int:
        """Return the offset of the line end before the line of `offset`."""
        at = max(self._text.rfind("\n", 0, offset), 0)
        return at - 1 if at and self._text[at - 1] == "\r" else at


def _taken_out(
    kept: Sequence[bool],
    starts: Sequence[int],
    ends: Sequence[int],
    line_start: Callable[[int], int],
    line_end: Callable[[int], int],
) -> Iterator[tuple[int, int, int]]:
    """Yield index and span of each element that is not kept: its lines, or up to the next when it is in front."""
    first = list(kept).index(True)
    for index, keep in enumerate(kept):
        if index < first:
            yield index, starts[index], starts[index + 1]
        elif not keep:
            yield index, line_start(starts[index]), line_end(ends[index])
