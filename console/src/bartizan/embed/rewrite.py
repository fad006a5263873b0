"""From a changed value to edits: the smallest replacements that make a text spell that value.

Transforms work on plain values, copy-on-write: what they leave alone stays the same object. Here the changed value is
laid beside the tree it came from; only where the two part company is the text touched, and what is new is laid out the
way its neighbours are.
"""

import json
from typing import TYPE_CHECKING

from bartizan.embed import style
from bartizan.embed.edit import Edit
from bartizan.embed.json_text import Array, Document, Node, Object, Scalar, Value, pointer

if TYPE_CHECKING:
    from bartizan.embed.style import Style

Path = tuple[str | int, ...]

IDENTITIES = ("name", "containerName", "sourceContainer", "key", "Name", "ContainerName", "SourceContainer", "Key")
"""The members by which an object in a list of a task definition is known, as ECS and as CloudFormation spell them."""

CONDITION = "Fn::If"
"""CloudFormation's choice: `[condition, value if true, value if false]`."""


def rewrite(document: Document, node: Node, desired: Value) -> tuple[Edit, ...]:
    """Return the edits of `document.text` that make the part `node` spell `desired`.

    Members and items that stay keep their bytes; members that are new go last. The edits have no `why` yet.
    """
    return tuple(FlowRewriter(document.text, style.of(document.text)).edits(node, desired, ()))


def identity(value: Value) -> tuple[str, str] | None:
    """Return by what an item of a list is known (member and value), or None when it has no such thing."""
    if isinstance(value, dict):
        for key in IDENTITIES:
            known = value.get(key)
            if isinstance(known, str):
                return key, known
            if isinstance(known, dict):  # an intrinsic function, as good a name as any
                return key, json.dumps(known)
        choice = value.get(CONDITION)
        if isinstance(choice, list) and choice and isinstance(choice[0], str):
            return CONDITION, choice[0]
    if isinstance(value, str):
        return "", value
    return None


def same(left: Value, right: Value) -> bool:
    """Return whether two values are the same JSON; unlike `==`, `1`, `1.0` and `true` differ."""
    if left is right:
        return True
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def align(old: list[Value], new: list[Value], within: str | int | tuple[str, str] = "") -> list[int | None]:
    """Return for each item of `new` the index of the item of `old` that it is, or None when it is new.

    `within` is the member whose list this is: the arguments of a choice are what they are by their position.

    The indexes rise. Equal ends are matched first (what is put in front of an argument list, or behind a list of
    containers, is then an insertion), then equal items, then items of the same identity, then the rest pairwise when
    both sides have as many.
    """
    if within == CONDITION and len(old) == len(new):
        return list(range(len(old)))
    front = 0
    while front < min(len(old), len(new)) and (old[front] is new[front] or same(old[front], new[front])):
        front += 1
    back = 0
    while back < min(len(old), len(new)) - front and (
        old[-1 - back] is new[-1 - back] or same(old[-1 - back], new[-1 - back])
    ):
        back += 1
    matches: list[int | None] = list(range(front))
    at, end = front, len(old) - back
    paired = len(old) == len(new)
    for index, item in enumerate(new[front : len(new) - back], front):
        found = _find(old, item, at, end)
        if found is None and paired and at <= index and identity(item) is None and identity(old[index]) is None:
            found = index
        matches.append(found)
        at = at if found is None else found + 1
    return matches + [len(old) - back + i for i in range(back)]


def _find(old: list[Value], item: Value, start: int, end: int) -> int | None:
    known = identity(item)
    for index in range(start, end):
        if old[index] is item or (known is not None and identity(old[index]) == known):
            return index
    return None


def _sorted(edits: list[Edit]) -> list[Edit]:
    return sorted(edits, key=lambda edit: (edit.start, edit.end))


# An element that stays, by its index, or the text and the path of a new one.
_Slot = int | tuple[str, Path]


class FlowRewriter:
    """Walks a tree and a value side by side, where elements stand in brackets: JSON, and such parts of YAML."""

    def __init__(self, text: str, layout: "Style") -> None:
        self._text = text
        self._style = layout

    def edits(self, node: Node, desired: Value, path: Path) -> list[Edit]:
        """Return the edits that make `node` spell `desired`."""
        if node.value is desired or (isinstance(node, Scalar) and same(node.value, desired)):
            return []
        if not self._text.startswith("*", node.start):  # an alias of YAML: its elements stand elsewhere
            if isinstance(node, Object) and isinstance(desired, dict) and not self._other_tag(node, desired):
                return self._object(node, desired, path)
            if isinstance(node, Array) and isinstance(desired, list):
                return self._array(node, desired, path)
        indent = self._indent(node.start)
        rendered = self._style.render(desired, indent, inline="\n" not in self._text or None)
        return [Edit(node.start, node.end, rendered, pointer(path))]

    def _other_tag(self, node: Object, desired: dict[str, Value]) -> bool:
        """Return whether `node` is written with a short tag of YAML that is not the one desired."""
        return self._text.startswith("!", node.start) and node.members.keys() != desired.keys()

    def _object(self, node: Object, desired: dict[str, Value], path: Path) -> list[Edit]:
        spans, kept, inside = [], [], []
        for key, member in node.members.items():
            spans.append((member.key_start, member.node.end))
            if key in desired:
                kept.append(len(spans) - 1)
                inside += self.edits(member.node, desired[key], (*path, key))
        inline, indent = self._layout(node, spans)
        new = [
            (self._style.member(key, value, indent, inline=inline or None), (*path, key))
            for key, value in desired.items()
            if key not in node.members
        ]
        gone = [(*path, key) for key in node.members if key not in desired]
        slots: list[_Slot] = [*kept, *new]
        return _sorted([*inside, *self._fill(node, spans, slots, gone, path)])

    def _array(self, node: Array, desired: list[Value], path: Path) -> list[Edit]:
        spans = [(item.start, item.end) for item in node.items]
        inline, indent = self._layout(node, spans)
        inside: list[Edit] = []
        slots: list[_Slot] = []
        matched = set()
        for index, (item, old) in enumerate(
            zip(desired, align(node.value, desired, path[-1] if path else ""), strict=True)
        ):
            if old is None:
                slots.append(
                    (self._style.render(item, indent, inline=inline or self._beside(node, item)), (*path, index))
                )
            else:
                slots.append(old)
                matched.add(old)
                if node.items[old].value is not item:
                    inside += self.edits(node.items[old], item, (*path, index))
        gone: list[Path] = [(*path, index) for index in range(len(spans)) if index not in matched]
        return _sorted([*inside, *self._fill(node, spans, slots, gone, path)])

    def _fill(
        self,
        node: Object | Array,
        spans: list[tuple[int, int]],
        slots: list[_Slot],
        gone: list[Path],
        path: Path,
    ) -> list[Edit]:
        """Return the edits between the elements that stay.

        Each member of an object gets an edit of its own, so that each can be explained; items of a list that come and
        go at one place share one.
        """
        missing = iter(gone)
        edits: list[Edit] = []
        before, news = -1, list[tuple[str, Path]]()
        for slot in [*slots, len(spans)]:
            if not isinstance(slot, int):
                news.append(slot)
                continue
            if slot == before + 1 and not news and slot < len(spans):
                before = slot
                continue
            old = [(spans[index], next(missing)) for index in range(before + 1, slot)]
            if before < 0 and slot == len(spans):
                edits += self._refill(node, spans, [*news, *(("", where) for _, where in old)], path)
            elif isinstance(node, Object):
                edits += self._members(node, spans, (before, slot), old, news)
            elif old or news:
                edits.append(self._items(node, spans, (before, slot), news, path))
            before, news = slot, []
        return edits

    def _refill(
        self, node: Object | Array, spans: list[tuple[int, int]], changes: list[tuple[str, Path]], path: Path
    ) -> list[Edit]:
        """Fill an element none of whose elements stays."""
        where = pointer(changes[0][1] if len(changes) == 1 else path)
        new = [rendered for rendered, _ in changes if rendered]
        if spans and new:
            return [Edit(spans[0][0], spans[-1][1], self._joint(node, spans).join(new), where)]
        return [Edit(node.start + 1, node.end - 1, self._interior(node, new), where)] if changes else []

    def _members(
        self,
        node: Object,
        spans: list[tuple[int, int]],
        gap: tuple[int, int],
        old: list[tuple[tuple[int, int], Path]],
        new: list[tuple[str, Path]],
    ) -> list[Edit]:
        before, after = gap
        joint = self._joint(node, spans)
        if before >= 0:
            ends = [spans[index][1] for index in range(before, after)]
            edits = [Edit(ends[i], ends[i + 1], "", pointer(where)) for i, (_, where) in enumerate(old)]
            return edits + [Edit(ends[-1], ends[-1], joint + text, pointer(where)) for text, where in new]
        starts = [spans[index][0] for index in range(after + 1)]
        edits = [Edit(starts[i], starts[i + 1], "", pointer(where)) for i, (_, where) in enumerate(old)]
        return edits + [Edit(starts[-1], starts[-1], text + joint, pointer(where)) for text, where in new]

    def _items(
        self, node: Array, spans: list[tuple[int, int]], gap: tuple[int, int], new: list[tuple[str, Path]], path: Path
    ) -> Edit:
        before, after = gap
        joint = self._joint(node, spans)
        where = pointer(new[0][1] if len(new) == 1 else path)
        if before >= 0:
            return Edit(spans[before][1], spans[after - 1][1], "".join(joint + text for text, _ in new), where)
        return Edit(spans[0][0], spans[after][0], "".join(text + joint for text, _ in new), where)

    def _interior(self, node: Object | Array, new: list[str]) -> str:
        """Return what stands between the brackets of an element that was, or is to be, empty."""
        if not new:
            return ""
        indent = self._indent(node.start)
        if self._style.newline and not self._on_one_line(node):
            line = self._style.newline + indent + self._style.unit
            return line + ("," + line).join(new) + self._style.newline + indent
        padding = self._style.object_padding if isinstance(node, Object) else self._style.array_padding
        return padding + self._style.comma.join(new) + padding

    def _joint(self, node: Object | Array, spans: list[tuple[int, int]]) -> str:
        """Return the text between two elements, comma included, as it is at the end of this very list."""
        if len(spans) > 1:
            joint = self._text[spans[-2][1] : spans[-1][0]]
            return joint if "#" not in joint else self._style.comma
        if spans:
            blank = self._text[node.start + 1 : spans[0][0]]
            return "," + blank if "\n" in blank and "#" not in blank else self._style.comma
        return self._style.comma

    def _layout(self, node: Object | Array, spans: list[tuple[int, int]]) -> tuple[bool, str]:
        """Return whether the elements of `node` stand on its line, and the indentation new ones get."""
        if spans:
            start, end = spans[-1]
            inline = "\n" not in self._text[node.start : spans[0][0]] and "\n" not in self._text[start:end]
            return inline and "\n" not in self._joint(node, spans), self._indent(start)
        if self._style.newline and not self._on_one_line(node):
            return False, self._indent(node.start) + self._style.unit
        return True, self._indent(node.start)

    def _beside(self, node: Array, item: Value) -> bool | None:
        """Return whether the last neighbour of the kind of `item` stands on one line, None when there is none."""
        for other in reversed(node.items):
            if not isinstance(other, Scalar) and other.value and isinstance(other.value, type(item)):
                return "\n" not in self._text[other.start : other.end]
        return None

    def _on_one_line(self, node: Node) -> bool:
        """Return whether an empty element stands inside an object that is written on one line."""
        line_start = self._text.rfind("\n", 0, node.start) + 1
        line = self._text[line_start : node.start]
        return line.count("{") + line.count("[") > line.count("}") + line.count("]")

    def _indent(self, offset: int) -> str:
        """Return the indentation of the line of an offset."""
        line_start = self._text.rfind("\n", 0, offset) + 1
        line = self._text[line_start:offset]
        return line[: len(line) - len(line.lstrip(" \t"))]
