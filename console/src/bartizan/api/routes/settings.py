"""Names of the Console's certificate, its authority, and the life of disconnected Defenders."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import read_body
from bartizan.api.shapes import CertSettings, CertSettingsChange, DefenderSettings
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1", tags=["settings"])
_anybody = Annotated[User, Depends(Requires(Permission.PUBLIC))]
_reader = Annotated[User, Depends(Requires(Permission.SETTINGS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.SETTINGS_WRITE))]


@router.get("/settings/certs", responses=gives(reference(CertSettings), text="The names"))
async def get_names(request: Request, _user: _reader) -> Response:
    """Return the names (SANs) of the Console's certificate."""
    services = services_of(request)
    answer = CertSettings(console_san=list(services.names.all()), ca_expiration=rfc3339(services.ca_expiration))
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.post("/settings/certs", openapi_extra=takes(CertSettingsChange), responses=gives(None, text="In use"))
async def set_names(request: Request, _user: _writer) -> Response:
    """Replace the names; the certificate is issued anew and used by both ports at once."""
    change = await read_body(request, CertSettingsChange)
    await services_of(request).names.replace(change.console_san)
    return Response()


@router.get("/certs/ca.pem", responses=gives({"type": "string"}, media="application/x-pem-file", text="PEM"))
async def get_authority(request: Request, _user: _anybody) -> Response:
    """Return the certificate of the Console's authority, for clients that want to verify it."""
    return Response(services_of(request).ca_pem, media_type="application/x-pem-file")


@router.get("/settings/defender", responses=gives(reference(DefenderSettings), text="The settings"))
async def get_defender_settings(request: Request, _user: _reader) -> Response:
    """Return for how long disconnected Defenders stay listed."""
    answer = DefenderSettings(app_embedded_disconnected_minutes=services_of(request).defenders.disconnected_minutes)
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.post("/settings/defender", openapi_extra=takes(DefenderSettings), responses=gives(None, text="In use"))
async def set_defender_settings(request: Request, _user: _writer) -> Response:
    """Change for how long disconnected Defenders stay listed."""
    change = await read_body(request, DefenderSettings)
    await services_of(request).defenders.set_disconnected_minutes(change.app_embedded_disconnected_minutes)
    return Response()
