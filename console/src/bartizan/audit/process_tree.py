"""
Which program started which around an incident: a tree of the starts in a record, with the audits at their places.

Pure. A process that starts another program in its place (execve without fork) is a new node beside the old one, and
what it does from then on is the new one's; one whose start was prevented does nothing. Where the record begins too late
a node without a time stands for the program that was there already.
"""

import shlex
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bartizan.audit.timeline import SAME_WITHIN, TimedAudit, cut, kind_of, sentence_of
from bartizan.audit.wire import AuditEffect, DefenderEvent, ProcessEvent, Recorded

MOST_STARTS = 5000
"""So many of the newest starts are looked at, and as many other events."""
MOST_ACTIONS = 20
"""So many things that a process did are told; of more only the number."""


@dataclass(slots=True, kw_only=True)
class Action:
    """Something that a process did: a look-up, a connection, a port, a file."""

    time: int
    kind: str
    text: str
    effect: str = ""
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Node:
    """One program of one process; `parent` is the index of another node, always a smaller one."""

    parent: int | None
    pid: int
    path: str
    command: str = ""
    user: int | None = None
    time: int | None = None
    effect: str = ""
    reason: str = ""
    audits: list[int] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    action_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTree:
    """The nodes, parents first; `left_out` starts did not fit, `unplaced` events have no known process."""

    nodes: Sequence[Node]
    left_out: int
    unplaced: int


def process_tree(
    record: Iterable[Recorded], audits: Sequence[TimedAudit], *, until: int | None, most: int
) -> ProcessTree:
    """
    Return the tree of what a record and the audits tell: at most `most` nodes, or as many as the audits need.

    Events after `until` (unix milliseconds) are not looked at. When nodes have to go, those with audits or objections
    stay, then those above and below them, then the latest.
    """
    starts: deque[Recorded] = deque(maxlen=MOST_STARTS)
    others: deque[Recorded] = deque(maxlen=MOST_STARTS)
    seen = 0
    for recorded in record:
        if until is not None and recorded.time > until:
            continue
        if isinstance(recorded.event, ProcessEvent):
            seen += 1
            starts.append(recorded)
        elif not isinstance(recorded.event, DefenderEvent):
            others.append(recorded)
    tree = _Tree()
    for recorded in sorted((*starts, *others), key=lambda item: item.time):
        tree.add(recorded)
    for item in audits:
        tree.place(item)
    nodes, gone = _within(tree.nodes, most)
    return ProcessTree(nodes=nodes, left_out=seen - len(starts) + gone, unplaced=tree.unplaced)


class _Tree:
    """The tree as it grows."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.unplaced = 0
        self._running: dict[int, int] = {}
        self._started: dict[int, list[int]] = {}
        self._named: dict[tuple[object, ...], int] = {}

    def add(self, recorded: Recorded) -> None:
        """Take one event of the record."""
        event = recorded.event
        if isinstance(event, ProcessEvent):
            self._start(recorded, event)
        elif not isinstance(event, DefenderEvent):
            at = self._running.get(event.pid)
            if at is None and event.pid and event.path:
                at = self._stand_in(None, event.pid, event.path)
                self._running[event.pid] = at
            if at is None:
                self.unplaced += 1
            else:
                _did(self.nodes[at], recorded)

    def place(self, item: TimedAudit) -> None:
        """Put an audit to the node that it tells of; one whose process is not known gets its line of ancestors."""
        audit = item.audit
        at = self._known(item) if audit.pid else None
        if at is None:
            parent = None
            for path in reversed(audit.ancestry or ((audit.parent_path,) if audit.parent_path else ())):
                parent = self._stand_in(parent, 0, path)
            at = self._append(
                Node(
                    parent=parent,
                    pid=audit.pid,
                    path=audit.process_path,
                    command=audit.command,
                    user=int(audit.user) if audit.user.isdecimal() else None,
                    time=item.time if audit.command else None,
                    effect=audit.effect if audit.command else "",
                    reason=audit.reason if audit.command else "",
                )
            )
            if audit.pid:
                self._started.setdefault(audit.pid, []).append(at)
        self.nodes[at].audits.append(item.id)

    def _start(self, recorded: Recorded, event: ProcessEvent) -> None:
        parent = self._running.get(event.parent_pid)
        if parent is None and event.parent_path:
            parent = self._stand_in(None, event.parent_pid, event.parent_path)
            self._running[event.parent_pid] = parent
        judged = recorded.judged
        at = self._append(
            Node(
                parent=parent,
                pid=event.pid,
                path=cut(event.path),
                command=cut(shlex.join(event.arguments)),
                user=event.user,
                time=recorded.time,
                effect=judged.effect.value if judged else "",
                reason=judged.reason.value if judged else "",
            )
        )
        self._started.setdefault(event.pid, []).append(at)
        if judged is None or judged.effect is not AuditEffect.PREVENT:
            self._running[event.pid] = at

    def _known(self, item: TimedAudit) -> int | None:
        """Return the latest node of the audit's process before it; of a start, the one that is that start."""
        audit = item.audit
        found = [
            at
            for at in self._started.get(audit.pid, ())
            if (time := self.nodes[at].time) is None or time <= item.time + SAME_WITHIN
        ]
        if audit.command:
            found = [at for at in found if self.nodes[at].path == cut(audit.process_path)]
            found = [at for at in found if (self.nodes[at].time or item.time) >= item.time - SAME_WITHIN]
        if found:
            return found[-1]
        return None if audit.command else self._running.get(audit.pid)

    def _stand_in(self, parent: int | None, pid: int, path: str) -> int:
        key = (parent, pid, path)
        if key not in self._named:
            self._named[key] = self._append(Node(parent=parent, pid=pid, path=cut(path)))
        return self._named[key]

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


def _did(node: Node, recorded: Recorded) -> None:
    node.action_count += 1
    judged = recorded.judged
    if len(node.actions) >= MOST_ACTIONS:
        if judged is None:
            return
        # What was objected to is worth more than what was not.
        plain = next((index for index, action in enumerate(node.actions) if not action.effect), None)
        if plain is None:
            return
        del node.actions[plain]
    node.actions.append(
        Action(
            time=recorded.time,
            kind=kind_of(recorded.event),
            text=cut(sentence_of(recorded.event)),
            effect=judged.effect.value if judged else "",
            reason=judged.reason.value if judged else "",
        )
    )


def _within(nodes: Sequence[Node], most: int) -> tuple[Sequence[Node], int]:
    """Return at most `most` nodes (more only when audits need them), numbered anew, and how many went."""
    if len(nodes) <= most:
        return nodes, 0
    marked = [index for index, node in enumerate(nodes) if node.audits]
    objected = [
        index for index, node in enumerate(nodes) if node.effect or any(action.effect for action in node.actions)
    ]
    kept: set[int] = set()
    for index in marked:
        _keep(nodes, index, kept)
    below = _below(nodes, set(marked))
    for index in (*objected, *below, *range(len(nodes) - 1, -1, -1)):
        if len(kept) >= most:
            break
        line = _line(nodes, index, kept)
        if len(kept) + len(line) <= most:
            kept.update(line)
    order = sorted(kept)
    anew = {old: new for new, old in enumerate(order)}
    for old in order:
        parent = nodes[old].parent
        nodes[old].parent = None if parent is None else anew[parent]
    return [nodes[old] for old in order], len(nodes) - len(order)


def _keep(nodes: Sequence[Node], index: int, kept: set[int]) -> None:
    kept.update(_line(nodes, index, kept))


def _line(nodes: Sequence[Node], index: int, kept: set[int]) -> set[int]:
    """Return the nodes from this one upwards that are not kept yet."""
    line: set[int] = set()
    at: int | None = index
    while at is not None and at not in kept:
        line.add(at)
        at = nodes[at].parent
    return line


def _below(nodes: Sequence[Node], marked: set[int]) -> list[int]:
    """Return the nodes below the marked ones, in their order."""
    inside = set(marked)
    found = []
    for index, node in enumerate(nodes):
        if node.parent in inside and index not in marked:
            inside.add(index)
            found.append(index)
    return found
