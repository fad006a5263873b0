"""Incidents: pages, counts, files, and what people do with them; looking into one is `investigation.py`."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.context import services_of
from bartizan.api.csv_text import csv_text
from bartizan.api.cursors import read_cursor, write_cursor
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.incident_shapes import Acknowledgement, Archiving, IncidentCare, IncidentFacets, NewNote
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import milliseconds, only_known_parameters, read_body, read_vendor_body, values
from bartizan.api.scoping import within
from bartizan.audit import RuntimeAudit
from bartizan.audit.incidents import Incident, IncidentNote
from bartizan.services.errors import InvalidError
from bartizan.services.incidents import Care, IncidentQuery
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/audits/incidents", tags=["incidents"])
_reader = Annotated[User, Depends(Requires(Permission.AUDITS_READ, scoped=True))]
_keeper = Annotated[User, Depends(Requires(Permission.INCIDENTS_ACKNOWLEDGE, scoped=True))]
_JSON = "application/json"
_CARE = {"ids": ["1", "2"], "acknowledged": True}
_Several = Annotated[list[str] | None, Query()]
_FILTERS = frozenset(
    ("id", "from", "to", "category", "type", "appID", "profileID", "containerName", "imageName", "customRuleName",
     "acknowledged", "archived", "severity", "stopped", "search")
)  # fmt: skip
_SORTS = (
    "time", "_id", "appID", "category", "containerName", "customRuleName", "imageName", "profileID", "severity", "type",
)  # fmt: skip
_COLUMNS = (
    "serialNum", "time", "lastTime", "type", "category", "appID", "containerName", "imageName", "customRuleName",
    "acknowledged", "seenBy", "seenAt", "archived", "severity", "auditCount", "preventedCount", "messages",
)  # fmt: skip


def incident_filter(  # noqa: PLR0913, PLR0917 - these are the vendor's parameters
    id: _Several = None,  # noqa: A002
    from_: Annotated[datetime | None, Query(alias="from")] = None,
    to: Annotated[datetime | None, Query()] = None,
    category: _Several = None,
    type: _Several = None,  # noqa: A002
    appID: _Several = None,  # noqa: N803
    profileID: _Several = None,  # noqa: N803
    containerName: _Several = None,  # noqa: N803
    imageName: _Several = None,  # noqa: N803
    customRuleName: _Several = None,  # noqa: N803
    severity: _Several = None,
    acknowledged: Annotated[bool | None, Query()] = None,
    archived: Annotated[bool | None, Query()] = None,
    stopped: Annotated[bool | None, Query()] = None,
    search: Annotated[str, Query(max_length=1000)] = "",
) -> IncidentQuery:
    """Return the filter of a request: alternatives may be repeated or separated by commas, times are RFC 3339."""
    return IncidentQuery(
        ids=tuple(number_of(text) for text in values(id)),
        start=milliseconds(from_),
        end=milliseconds(to),
        acknowledged=acknowledged,
        archived=archived,
        stopped=stopped,
        search=search,
        equal={
            "category": values(category),
            "type": values(type),
            "appID": values(appID),
            "profileID": values(profileID),
            "containerName": values(containerName),
            "imageName": values(imageName),
            "customRuleName": tuple(customRuleName or ()),
            "severity": values(severity),
        },
    )


def scoped_filter(
    request: Request, user: _reader, query: Annotated[IncidentQuery, Depends(incident_filter)]
) -> IncidentQuery:
    """Return the filter of a request, within what its user may see."""
    return dataclasses.replace(query, within=within(request, user, Permission.AUDITS_READ))


_Filter = Annotated[IncidentQuery, Depends(scoped_filter)]


@router.get("", responses=gives(list_of(Incident), text="One page; `Total-Count` tells how many match"))
async def list_incidents(
    request: Request,
    query: _Filter,
    _user: _reader,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
    sort: str = "",
    reverse: bool | None = None,  # noqa: FBT001 - a query parameter
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """
    Return incidents with their audits, the newest first unless `sort` says otherwise; `reverse` turns it round.

    In the order of time, the header `Next-Cursor` leads on: given as `cursor` it is the next page, whatever comes in
    between.
    """
    only_known_parameters(request, _FILTERS | {"offset", "limit", "sort", "reverse", "cursor"})
    order = _order(sort, reverse=reverse)
    after = read_cursor(cursor, parts=2)
    if after is not None and (order["sort"] != "time" or offset):
        raise InvalidError("`cursor` goes on in the order of time: leave out `sort` and `offset`")
    place = None if after is None else (after[0], after[1])
    query = dataclasses.replace(query, **order, offset=offset, limit=limit, after=place)
    incidents, total = await services_of(request).incidents.page(query)
    headers = {"Total-Count": str(total)}
    if order["sort"] == "time" and len(incidents) == limit:
        last = incidents[-1]
        headers["Next-Cursor"] = write_cursor((_milliseconds(last.time), last.serial_num))
    return Response(msgspec.json.encode(incidents), media_type="application/json", headers=headers)


@router.patch("", openapi_extra=takes(IncidentCare, example=_CARE), responses=gives(None, text="It is noted"))
async def care_for_several(request: Request, user: _keeper) -> Response:
    """Acknowledge, open again, put away or bring back several incidents at once."""
    only_known_parameters(request, frozenset())
    wanted = await read_body(request, IncidentCare)
    care = Care(acknowledged=wanted.acknowledged, archived=wanted.archived)
    return await _cared(request, user, [number_of(name) for name in wanted.ids], care)


@router.get("/facets", responses=gives(reference(IncidentFacets), text="The counts"))
async def count_incidents(request: Request, query: _Filter, _user: _reader) -> Response:
    """Return how many of the incidents that match have each value of what they can be filtered by."""
    only_known_parameters(request, _FILTERS)
    return Response(msgspec.json.encode(await services_of(request).incidents.facets(query)), media_type=_JSON)


@router.get(
    "/download",
    responses=gives({"type": "string"}, media="text/csv", text="All that match", also=("application/x-ndjson",)),
)
async def download_incidents(
    request: Request,
    query: _Filter,
    _user: _reader,
    sort: str = "",
    reverse: bool | None = None,  # noqa: FBT001 - a query parameter
    format: Literal["csv", "json"] = "csv",  # noqa: A002
) -> Response:
    """Return all incidents that match, one line each: comma-separated values, or (`json`) JSON lines with audits."""
    only_known_parameters(request, _FILTERS | {"sort", "reverse", "format"})
    found = services_of(request).incidents.all(dataclasses.replace(query, **_order(sort, reverse=reverse)))
    headers = {"Content-Disposition": f'attachment; filename="incidents.{format}"'}
    if format == "json":
        return StreamingResponse(_lines(found), media_type="application/x-ndjson", headers=headers)
    return StreamingResponse(_csv(found), media_type="text/csv", headers=headers)


@router.patch("/acknowledge/{number}", openapi_extra=takes(Acknowledgement), responses=gives(None, text="It is noted"))
async def acknowledge(request: Request, number: str, user: _keeper) -> Response:
    """Mark an incident as seen to, or with `{"acknowledged": false}` as open again."""
    change = await read_vendor_body(request, Acknowledgement)
    return await _cared(request, user, [number_of(number)], Care(acknowledged=change.acknowledged))


@router.patch("/archive/{number}", openapi_extra=takes(Archiving), responses=gives(None, text="It is noted"))
async def archive(request: Request, number: str, user: _keeper) -> Response:
    """Put an incident away, or with `{"archived": false}` bring it back; a new audit of it brings it back, too."""
    change = await read_body(request, Archiving)
    return await _cared(request, user, [number_of(number)], Care(archived=change.archived))


@router.post("/{number}/notes", openapi_extra=takes(NewNote), responses=gives(reference(IncidentNote), text="The note"))
async def add_note(request: Request, number: str, user: _keeper) -> Response:
    """Write something about an incident."""
    new = await read_body(request, NewNote)
    incidents, limits = services_of(request).incidents, within(request, user, Permission.INCIDENTS_ACKNOWLEDGE)
    row = await incidents.row(number_of(number), within=limits)
    note = await incidents.add_note(row.id, new.text, author=user.name)
    return Response(msgspec.json.encode(note), media_type=_JSON)


@router.delete("/{number}/notes/{note}", responses=gives(None, text="It is gone"))
async def remove_note(request: Request, number: str, note: str, user: _keeper) -> Response:
    """Remove a note."""
    incidents, limits = services_of(request).incidents, within(request, user, Permission.INCIDENTS_ACKNOWLEDGE)
    row = await incidents.row(number_of(number), within=limits)
    await incidents.remove_note(row.id, number_of(note))
    return Response()


async def _cared(request: Request, user: User, numbers: list[int], care: Care) -> Response:
    limits = within(request, user, Permission.INCIDENTS_ACKNOWLEDGE)
    await services_of(request).incidents.care(numbers, care, author=user.name, within=limits)
    return Response()


async def _csv(incidents: AsyncIterator[Incident]) -> AsyncIterator[str]:
    yield csv_text(_COLUMNS, ())
    async for incident in incidents:
        row = msgspec.to_builtins(msgspec.structs.replace(incident, audits=[]))
        messages = (msgspec.json.decode(audit, type=RuntimeAudit).msg for audit in incident.audits)
        yield csv_text(_COLUMNS, [row | {"messages": " | ".join(dict.fromkeys(messages))}], header=False)


async def _lines(incidents: AsyncIterator[Incident]) -> AsyncIterator[bytes]:
    async for incident in incidents:
        yield msgspec.json.encode(incident) + b"\n"


def _milliseconds(text: str) -> int:
    return milliseconds(datetime.fromisoformat(text)) or 0


def _order(sort: str, *, reverse: bool | None) -> dict[str, Any]:
    if sort and sort not in _SORTS:
        raise InvalidError(f"`sort`: possible are {', '.join(_SORTS)}")
    return {"sort": sort or "time", "descending": reverse if reverse is not None else not sort}


def number_of(text: str) -> int:
    """Return the number of an incident or of a note. Raises InvalidError."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - 64 bits
        raise InvalidError("the id of an incident, or of a note, is a number")
    return int(text)
