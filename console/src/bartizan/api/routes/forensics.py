"""Forensics: fetch the record of a Defender, list, show and download what was fetched."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.context import services_of
from bartizan.api.csv_text import csv_text
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.incident_shapes import ForensicsRequest, ForensicsSnapshot
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_vendor_body, values
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.errors import InvalidError
from bartizan.services.forensics import Forensics, SnapshotRow
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/forensics", tags=["forensics"])
_reader = Annotated[User, Depends(Requires(Permission.FORENSICS_READ))]
_fetcher = Annotated[User, Depends(Requires(Permission.FORENSICS_FETCH))]
_COLUMNS = (
    "time", "kind", "effect", "reason", "path", "parentPath", "pid", "parentPid", "user", "arguments", "name",
    "recordType", "protocol", "address", "port", "operation", "file", "notice", "detail",
)  # fmt: skip
_LINES = "application/x-ndjson"


@router.get("", responses=gives(list_of(ForensicsSnapshot), text="One page; `Total-Count` tells how many match"))
async def list_snapshots(
    request: Request,
    _user: _reader,
    appID: Annotated[list[str] | None, Query()] = None,  # noqa: N803
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return the fetched records, the newest first."""
    only_known_parameters(request, frozenset(("appID", "offset", "limit")))
    rows, total = await services_of(request).forensics.page(app_ids=values(appID), offset=offset, limit=limit)
    body = msgspec.json.encode([shown_snapshot(row) for row in rows])
    return Response(body, media_type="application/json", headers={"Total-Count": str(total)})


@router.post(
    "", openapi_extra=takes(ForensicsRequest), responses=gives(reference(ForensicsSnapshot), text="It is being fetched")
)
async def fetch_snapshot(request: Request, user: _fetcher) -> Response:
    """Fetch the record of a workload now; `state` of the snapshot tells when it is complete."""
    wanted = await read_vendor_body(request, ForensicsRequest)
    forensics = services_of(request).forensics
    if bool(wanted.defender_id) == bool(wanted.app_id):
        raise InvalidError("name the workload by `appID` or by `defenderID`")
    container = wanted.container or None
    instance = wanted.defender_id
    if wanted.app_id:
        instance, container = forensics.workload_of(wanted.app_id, container)
    reason = f"{user.name}: {wanted.reason}" if wanted.reason else user.name
    row = await forensics.fetch(instance, container, reason=reason[:512])
    return Response(msgspec.json.encode(shown_snapshot(row)), media_type="application/json")


@router.get("/{number}", responses=gives(reference(ForensicsSnapshot), text="The snapshot, without its events"))
async def get_snapshot(request: Request, number: str, _user: _reader) -> Response:
    """Return one snapshot."""
    row = await services_of(request).forensics.get(_number(number))
    return Response(msgspec.json.encode(shown_snapshot(row)), media_type="application/json")


@router.get(
    "/{number}/download",
    responses=gives({"type": "string"}, media=_LINES, text="Its events, one a line", also=("text/csv",)),
)
async def download_snapshot(
    request: Request,
    number: str,
    _user: _reader,
    format: Literal["json", "csv"] = "json",  # noqa: A002
) -> Response:
    """Return the events of a snapshot, the oldest first: JSON lines, or comma-separated values."""
    only_known_parameters(request, frozenset(("format",)))
    forensics = services_of(request).forensics
    row = await forensics.get(_number(number))
    headers = {"Content-Disposition": f'attachment; filename="forensics-{row.id}.{format}"'}
    if format == "csv":
        return StreamingResponse(_csv(forensics, row.id), media_type="text/csv", headers=headers)
    return StreamingResponse(forensics.lines(row.id), media_type=_LINES, headers=headers)


async def _csv(forensics: Forensics, number: int) -> AsyncIterator[str]:
    yield csv_text(_COLUMNS, ())
    async for piece in forensics.lines(number):
        yield csv_text(_COLUMNS, [_row(msgspec.json.decode(line)) for line in piece.splitlines()], header=False)


def _row(event: dict[str, Any]) -> dict[str, object]:
    flat = {**event["event"], **event.get("judged", {}), "time": rfc3339(event["time"])}
    return {**flat, "arguments": " ".join(flat.get("arguments", ()))}


def shown_snapshot(row: SnapshotRow) -> ForensicsSnapshot:
    """Return a snapshot as JSON shows it."""
    return ForensicsSnapshot(
        id=str(row.id),
        time=rfc3339(row.time),
        app_id=row.app_id,
        defender_id=row.instance,
        container=row.container or "",
        image=row.image or "",
        reason=row.reason,
        incident_id=str(row.incident) if row.incident is not None else "",
        state=row.state,
        event_count=row.events,
        missed_count=row.missed,
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - 64 bits
        raise InvalidError("a snapshot's id is a number")
    return int(text)
