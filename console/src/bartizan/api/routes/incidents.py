"""Incidents: pages, CSV, and acknowledging."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.context import services_of
from bartizan.api.csv_text import csv_text
from bartizan.api.document import gives, list_of, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import milliseconds, only_known_parameters, read_vendor_body, values
from bartizan.api.shapes import Acknowledgement
from bartizan.audit import RuntimeAudit
from bartizan.audit.incidents import Incident
from bartizan.services.errors import InvalidError
from bartizan.services.incidents import IncidentQuery
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/audits/incidents", tags=["incidents"])
_reader = Annotated[User, Depends(Requires(Permission.AUDITS_READ))]
_keeper = Annotated[User, Depends(Requires(Permission.INCIDENTS_ACKNOWLEDGE))]
_Several = Annotated[list[str] | None, Query()]
_FILTERS = frozenset(
    ("id", "from", "to", "category", "type", "appID", "profileID", "containerName", "imageName", "customRuleName",
     "acknowledged")
)  # fmt: skip
_SORTS = ("time", "_id", "appID", "category", "containerName", "customRuleName", "imageName", "profileID", "type")
_COLUMNS = (
    "serialNum", "time", "lastTime", "type", "category", "appID", "containerName", "imageName", "customRuleName",
    "acknowledged", "auditCount", "messages",
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
    acknowledged: Annotated[bool | None, Query()] = None,
) -> IncidentQuery:
    """Return the filter of a request: alternatives may be repeated or separated by commas, times are RFC 3339."""
    return IncidentQuery(
        ids=tuple(_number(text) for text in values(id)),
        start=milliseconds(from_),
        end=milliseconds(to),
        acknowledged=acknowledged,
        equal={
            "category": values(category),
            "type": values(type),
            "appID": values(appID),
            "profileID": values(profileID),
            "containerName": values(containerName),
            "imageName": values(imageName),
            "customRuleName": tuple(customRuleName or ()),
        },
    )


_Filter = Annotated[IncidentQuery, Depends(incident_filter)]


@router.get("", responses=gives(list_of(Incident), text="One page; `Total-Count` tells how many match"))
async def list_incidents(
    request: Request,
    query: _Filter,
    _user: _reader,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
    sort: str = "",
    reverse: bool | None = None,  # noqa: FBT001 - a query parameter
) -> Response:
    """Return incidents with their audits, the newest first unless `sort` says otherwise; `reverse` turns it round."""
    only_known_parameters(request, _FILTERS | {"offset", "limit", "sort", "reverse"})
    incidents, total = await services_of(request).incidents.page(
        dataclasses.replace(query, **_order(sort, reverse=reverse), offset=offset, limit=limit)
    )
    headers = {"Total-Count": str(total)}
    return Response(msgspec.json.encode(incidents), media_type="application/json", headers=headers)


@router.get("/download", responses=gives({"type": "string"}, media="text/csv", text="All that match, as CSV"))
async def download_incidents(
    request: Request,
    query: _Filter,
    _user: _reader,
    sort: str = "",
    reverse: bool | None = None,  # noqa: FBT001 - a query parameter
) -> Response:
    """Return all incidents that match as comma-separated values, one line each."""
    only_known_parameters(request, _FILTERS | {"sort", "reverse"})
    found = services_of(request).incidents.all(dataclasses.replace(query, **_order(sort, reverse=reverse)))
    headers = {"Content-Disposition": 'attachment; filename="incidents.csv"'}
    return StreamingResponse(_csv(found), media_type="text/csv", headers=headers)


@router.patch("/acknowledge/{number}", openapi_extra=takes(Acknowledgement), responses=gives(None, text="It is noted"))
async def acknowledge(request: Request, number: str, _user: _keeper) -> Response:
    """Mark an incident as seen to (archive it), or with `{"acknowledged": false}` as open again."""
    change = await read_vendor_body(request, Acknowledgement)
    await services_of(request).incidents.acknowledge(_number(number), acknowledged=change.acknowledged)
    return Response()


async def _csv(incidents: AsyncIterator[Incident]) -> AsyncIterator[str]:
    yield csv_text(_COLUMNS, ())
    async for incident in incidents:
        row = msgspec.to_builtins(msgspec.structs.replace(incident, audits=[]))
        messages = (msgspec.json.decode(audit, type=RuntimeAudit).msg for audit in incident.audits)
        yield csv_text(_COLUMNS, [row | {"messages": " | ".join(dict.fromkeys(messages))}], header=False)


def _order(sort: str, *, reverse: bool | None) -> dict[str, Any]:
    if sort and sort not in _SORTS:
        raise InvalidError(f"`sort`: possible are {', '.join(_SORTS)}")
    return {"sort": sort or "time", "descending": reverse if reverse is not None else not sort}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - 64 bits
        raise InvalidError("an incident's id is a number")
    return int(text)
