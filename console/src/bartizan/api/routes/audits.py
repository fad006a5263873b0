"""Runtime audits: pages and the live stream."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.audit_filter import FILTERS, audit_filter, chosen_fields, only_fields
from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.scoping import within
from bartizan.audit import RuntimeAudit
from bartizan.audit.table import csv_head, csv_line
from bartizan.services.audits import Audits
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import AuditQuery, User

router = APIRouter(prefix="/api/v1/audits/runtime", tags=["audits"])
_reader = Annotated[User, Depends(Requires(Permission.AUDITS_READ, scoped=True))]
_IDLE_SECONDS = 15.0
_SORTS = ("time", "_id", "appID", "imageName", "containerName", "ruleName", "type", "attackType", "effect", "severity")


def scoped_filter(request: Request, user: _reader, query: Annotated[AuditQuery, Depends(audit_filter)]) -> AuditQuery:
    """Return the filter of a request, within what its user may see."""
    return dataclasses.replace(query, within=within(request, user, Permission.AUDITS_READ))


_Filter = Annotated[AuditQuery, Depends(scoped_filter)]
_Several = Annotated[list[str] | None, Query()]


@router.get(
    "/app-embedded", responses=gives(list_of(RuntimeAudit), text="One page; `Total-Count` tells how many match")
)
async def list_audits(
    request: Request,
    query: _Filter,
    _user: _reader,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
    sort: str = "",
    reverse: bool | None = None,  # noqa: FBT001 - a query parameter
    aggregate: bool = False,  # noqa: FBT001, FBT002
    fields: _Several = None,
) -> Response:
    """
    Return audits, the newest first unless `sort` says otherwise; `reverse` turns the order round.

    With `aggregate` those of the same workload, rule, reason, effect, program and user are one: the newest, with their
    count and `firstSeen`. With `fields` an audit has only these, and its `_id`.
    """
    only_known_parameters(request, FILTERS | {"offset", "limit", "sort", "reverse", "aggregate", "fields"})
    wanted = chosen_fields(fields)
    if sort and sort not in _SORTS:
        raise InvalidError(f"`sort`: possible are {', '.join(_SORTS)}")
    descending = reverse if reverse is not None else not sort
    page = dataclasses.replace(query, sort=sort or "time", descending=descending, offset=offset, limit=limit)
    audits = services_of(request).audits
    documents, total = await (audits.grouped(page) if aggregate else audits.page(page))
    if wanted:
        documents = [only_fields(document, wanted) for document in documents]
    body = b"[" + b",".join(documents) + b"]"
    return Response(body, media_type="application/json", headers={"Total-Count": str(total)})


@router.get("/app-embedded/download", responses=gives({"type": "string"}, media="text/csv", text="All that match"))
async def download_audits(request: Request, query: _Filter, _user: _reader) -> Response:
    """Return all matching audits as CSV, the oldest first."""
    only_known_parameters(request, FILTERS)
    headers = {"Content-Disposition": 'attachment; filename="app-embedded-runtime-audits.csv"'}
    return StreamingResponse(_lines(services_of(request).audits, query), media_type="text/csv", headers=headers)


@router.get(
    "/app-embedded/follow",
    responses=gives({"type": "string"}, media="text/event-stream", text="One event for each audit, as it is committed"),
)
async def follow_audits(request: Request, query: _Filter, _user: _reader) -> Response:
    """Stream audits as server-sent events; with `Last-Event-ID` those since then come first."""
    only_known_parameters(request, FILTERS)
    audits = services_of(request).audits
    last = request.headers.get("last-event-id", "")
    if last and not (last.isascii() and last.isdigit() and len(last) < 19):  # noqa: PLR2004 - 64 bits
        raise InvalidError("`Last-Event-ID`: an audit's id is a number")
    after, shown = (int(last), int(last)) if last else await audits.place(query)
    return StreamingResponse(_events(audits, query, after, shown), media_type="text/event-stream")


async def _lines(audits: Audits, query: AuditQuery) -> AsyncIterator[str]:
    yield csv_head()
    async for page in audits.all(query):
        yield "".join(map(csv_line, page))


async def _events(audits: Audits, query: AuditQuery, after: int, shown: int) -> AsyncIterator[bytes]:
    # An id at once, so that a client that is cut off before the first audit resumes at the right place.
    yield b"retry: 1000\nid: %d\n\n" % shown
    async for item in audits.follow(query, after=after, idle_seconds=_IDLE_SECONDS):
        yield b": idle\n\n" if item is None else b"id: %d\ndata: %s\n\n" % item
