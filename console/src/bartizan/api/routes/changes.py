"""The log of changes: who did what over the API."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.change_shapes import ChangeAnswer, ChangesPage, ChangesVerdict
from bartizan.api.context import services_of
from bartizan.api.csv_text import csv_text
from bartizan.api.document import gives, reference
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import milliseconds, only_known_parameters, values
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.changes import Change, ChangeQuery, Changes
from bartizan.services.errors import InvalidError
from bartizan.services.rights import User

router = APIRouter(prefix="/api/v1/audits/mgmt", tags=["changes"])
_reader = Annotated[User, Depends(Requires(Permission.CHANGES_READ))]
_Several = Annotated[list[str] | None, Query()]
_FILTERS = frozenset(("username", "type", "from", "to", "result", "search"))
_STEP = 500
_COLUMNS = ("time", "username", "role", "via", "type", "sourceIP", "api", "status", "failureMessage", "diff", "hash")
_LONGEST_CURSOR = 15


def change_query(
    username: _Several = None,
    type: _Several = None,  # noqa: A002 - a query parameter
    from_: Annotated[datetime | None, Query(alias="from")] = None,
    to: datetime | None = None,
    result: Literal["done", "refused"] | None = None,
    search: Annotated[str, Query(max_length=200)] = "",
) -> ChangeQuery:
    """Return which entries a request asks for."""
    return ChangeQuery(
        users=values(username),
        types=values(type),
        since=milliseconds(from_),
        until=milliseconds(to),
        refused=None if result is None else result == "refused",
        text=search,
    )


_Filter = Annotated[ChangeQuery, Depends(change_query)]


@router.get("", responses=gives(reference(ChangesPage), text="One page"))
async def list_changes(
    request: Request,
    query: _Filter,
    _user: _reader,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return who changed what, or tried to, the newest first; `cursor` is `next` of the page before."""
    only_known_parameters(request, _FILTERS | {"cursor", "limit"})
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST_CURSOR):
        raise InvalidError("`cursor` is the `next` of another page")
    before = int(cursor) if cursor else None
    found = await services_of(request).changes.page(replace(query, before=before, limit=limit))
    more = str(found[-1].id) if len(found) == limit else ""
    answer = ChangesPage(entries=[_shown(change) for change in found], next=more)
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.get(
    "/download",
    responses=gives({"type": "string"}, media="text/csv", text="All that match", also=("application/jsonl",)),
)
async def download_changes(
    request: Request,
    query: _Filter,
    _user: _reader,
    format: Literal["csv", "jsonl"] = "csv",  # noqa: A002
) -> Response:
    """Return all matching entries, the newest first, as CSV or as JSON Lines."""
    only_known_parameters(request, _FILTERS | {"format"})
    media = "text/csv" if format == "csv" else "application/jsonl"
    headers = {"Content-Disposition": f'attachment; filename="changes.{format}"'}
    lines = _lines(services_of(request).changes, query, csv=format == "csv")
    return StreamingResponse(lines, media_type=media, headers=headers)


@router.get("/verify", responses=gives(reference(ChangesVerdict), text="The verdict"))
async def verify_changes(request: Request, _user: _reader) -> Response:
    """Check that no entry was changed, added, removed or moved in the database."""
    only_known_parameters(request, frozenset())
    verdict = await services_of(request).changes.verify()
    answer = ChangesVerdict(
        intact=not verdict.problem, count=verdict.count, problem=verdict.problem, hash=verdict.hash.hex()
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def _lines(changes: Changes, query: ChangeQuery, *, csv: bool) -> AsyncIterator[str]:
    if csv:
        yield csv_text(_COLUMNS, [])
    before: int | None = None
    while page := await changes.page(replace(query, before=before, limit=_STEP)):
        shown = [_shown(change) for change in page]
        yield csv_text(_COLUMNS, map(_flat, shown), header=False) if csv else _json_lines(shown)
        before = page[-1].id


def _flat(shown: ChangeAnswer) -> dict[str, Any]:
    flat: dict[str, Any] = msgspec.to_builtins(shown)
    return {**flat, "diff": msgspec.json.encode(shown.diff).decode()}


def _json_lines(shown: list[ChangeAnswer]) -> str:
    return "".join(msgspec.json.encode(entry).decode() + "\n" for entry in shown)


def _shown(change: Change) -> ChangeAnswer:
    document: dict[str, Any] = msgspec.json.decode(change.document)
    return ChangeAnswer(
        id=change.id,
        time=rfc3339(change.time),
        username=change.user,
        role=document.get("role", ""),
        via=document.get("via", ""),
        type=change.type,
        source_ip=change.source,
        api=f"{change.method} {change.path}".strip(),
        status=change.status,
        failure_message=document.get("failure", ""),
        diff=document.get("diff", []),
        query=document.get("query", {}),
        body=document.get("body"),
        hash=change.hash.hex(),
    )
