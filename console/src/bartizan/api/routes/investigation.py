"""Looking into one incident: itself with its notes, its timeline, its process tree."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.cursors import read_cursor, write_cursor
from bartizan.api.document import gives, reference
from bartizan.api.incident_shapes import (
    IncidentDetail,
    ProcessAction,
    ProcessNode,
    ProcessTreeAnswer,
    Timeline,
    TimelineEntry,
)
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import milliseconds, only_known_parameters, values
from bartizan.api.routes.forensics import shown_snapshot
from bartizan.api.routes.incidents import number_of
from bartizan.api.scoping import within
from bartizan.audit.process_tree import Action, Node
from bartizan.audit.runtime_audit import rfc3339
from bartizan.audit.timeline import Entry, Span
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/audits/incidents", tags=["incidents"])
_reader = Annotated[User, Depends(Requires(Permission.AUDITS_READ, scoped=True))]
_looker = Annotated[User, Depends(Requires(Permission.FORENSICS_READ, scoped=True))]
_KINDS = ("audit", "process", "lookup", "connection", "listen", "file", "defender", "note", "care")


@router.get("/{number}", responses=gives(reference(IncidentDetail), text="The incident"))
async def get_incident(request: Request, number: str, user: _reader) -> Response:
    """Return one incident with its notes, and the records that show what happened around it."""
    only_known_parameters(request, frozenset())
    services = services_of(request)
    limits = within(request, user, Permission.AUDITS_READ)
    incident, notes = await services.incidents.get(number_of(number), within=limits)
    row = await services.incidents.row(number_of(number), within=limits)
    answer = IncidentDetail(
        incident=incident,
        defender_id=row.instance,
        defender_connected=services.defenders.session(row.instance) is not None,
        notes=notes,
        snapshots=[shown_snapshot(item) for item in await services.investigation.snapshots(row.id)],
    )
    return _json(answer)


@router.get("/{number}/timeline", responses=gives(reference(Timeline), text="One page, the oldest first"))
async def get_timeline(  # noqa: PLR0913, PLR0917 - a parameter for each condition
    request: Request,
    number: str,
    user: _looker,
    from_: Annotated[datetime | None, Query(alias="from")] = None,
    to: Annotated[datetime | None, Query()] = None,
    kind: Annotated[list[str] | None, Query()] = None,
    judged: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    cursor: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """
    Return what happened around an incident: its audits, the events of its workload's record, and notes, in one order.

    `kind` chooses some, `judged` those that a policy objected to; `cursor` of an answer leads to the next page.
    """
    only_known_parameters(request, frozenset(("from", "to", "kind", "judged", "cursor", "limit")))
    kinds = values(kind)
    if not set(kinds) <= set(_KINDS):
        raise InvalidError(f"`kind`: possible are {', '.join(_KINDS)}")
    after = read_cursor(cursor, parts=3)
    span = Span(
        start=milliseconds(from_),
        end=milliseconds(to),
        kinds=frozenset(kinds),
        judged=judged,
        after=None if after is None else (after[0], after[1], after[2]),
    )
    limits = within(request, user, Permission.FORENSICS_READ)
    investigation = services_of(request).investigation
    found = await investigation.timeline(number_of(number), span, limit=limit, within=limits)
    answer = Timeline(
        entries=[_entry(item) for item in found.entries],
        cursor=write_cursor(found.entries[-1].place) if found.more else "",
        snapshot=None if found.snapshot is None else shown_snapshot(found.snapshot),
    )
    return _json(answer)


@router.get("/{number}/processes", responses=gives(reference(ProcessTreeAnswer), text="The tree, parents first"))
async def get_processes(
    request: Request, number: str, user: _looker, limit: Annotated[int, Query(ge=1, le=5000)] = 500
) -> Response:
    """Return which program started which around an incident, with its audits at their places."""
    only_known_parameters(request, frozenset(("limit",)))
    limits = within(request, user, Permission.FORENSICS_READ)
    investigation = services_of(request).investigation
    tree, snapshot = await investigation.processes(number_of(number), most=limit, within=limits)
    answer = ProcessTreeAnswer(
        nodes=[_node(node) for node in tree.nodes],
        left_out=tree.left_out,
        unplaced=tree.unplaced,
        snapshot=None if snapshot is None else shown_snapshot(snapshot),
    )
    return _json(answer)


def _entry(item: Entry) -> TimelineEntry:
    return TimelineEntry(
        time=rfc3339(item.time),
        kind=item.kind,
        text=item.text,
        effect=item.effect,
        reason=item.reason,
        severity=item.severity,
        pid=item.pid,
        path=item.path,
        command=item.command,
        audit_id="" if item.audit is None else str(item.audit),
        author=item.author,
        count=item.count,
    )


def _node(node: Node) -> ProcessNode:
    return ProcessNode(
        parent=node.parent,
        pid=node.pid,
        path=node.path,
        command=node.command,
        user=node.user,
        time=None if node.time is None else rfc3339(node.time),
        effect=node.effect,
        reason=node.reason,
        audits=[str(number) for number in node.audits],
        actions=[_action(action) for action in node.actions],
        action_count=node.action_count,
    )


def _action(action: Action) -> ProcessAction:
    return ProcessAction(
        time=rfc3339(action.time), kind=action.kind, text=action.text, effect=action.effect, reason=action.reason
    )


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
