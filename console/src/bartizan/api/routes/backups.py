"""Backups of the Console."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import FileResponse

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.api.system_shapes import BackupAnswer, BackupRequest
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.backups import Backup
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/backups", tags=["backups"])
# Who only reads may not take hashes of passwords and sealed secrets away.
_writer = Annotated[User, Depends(Requires(Permission.SYSTEM_WRITE))]
_NONE: frozenset[str] = frozenset()


@router.get("", responses=gives(list_of(BackupAnswer), text="The backups, the newest first"))
async def list_backups(request: Request, _user: _writer) -> Response:
    """Return the backups that are kept; one that is being made tells how many rows it has so far."""
    only_known_parameters(request, _NONE)
    body = msgspec.json.encode([_shown(backup) for backup in services_of(request).backups.all()])
    return Response(body, media_type="application/json")


@router.post("", openapi_extra=takes(BackupRequest, example={}), responses=gives(reference(BackupAnswer), text="Begun"))
async def start_backup(request: Request, _user: _writer) -> Response:
    """Begin a backup while the Console works. With a passphrase its keys are in it, sealed; without, they are not."""
    only_known_parameters(request, _NONE)
    wanted = await read_body(request, BackupRequest)
    backup = services_of(request).backups.start(passphrase=wanted.passphrase)
    return Response(msgspec.json.encode(_shown(backup)), media_type="application/json")


@router.get("/{name}", responses=gives({"type": "string"}, media="application/octet-stream", text="The file"))
async def download_backup(request: Request, name: str, _user: _writer) -> Response:
    """Return a backup's file."""
    only_known_parameters(request, _NONE)
    path = services_of(request).backups.path(name)
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


@router.delete("/{name}", responses=gives(None, text="Removed"))
async def remove_backup(request: Request, name: str, _user: _writer) -> Response:
    """Remove a backup from the Console's data directory."""
    only_known_parameters(request, _NONE)
    await services_of(request).backups.remove(name)
    return Response()


def _shown(backup: Backup) -> BackupAnswer:
    return BackupAnswer(
        name=backup.name,
        created=rfc3339(backup.created),
        size=backup.size,
        state=backup.state,
        rows=backup.rows,
        keys=backup.keys,
        error=backup.error,
    )
