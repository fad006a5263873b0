"""The Defender's binary, for manual embedding."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.context import services_of
from bartizan.api.document import gives
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.tarball import defender_tarball
from bartizan.services.errors import MissingError
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/images", tags=["defenders"])
_reader = Annotated[User, Depends(Requires(Permission.DEFENDERS_EMBED))]
_Architecture = Literal["amd64", "arm64"]
_answer = gives({"type": "string", "format": "binary"}, media="application/gzip", text="A tarball with `defender`")


@router.get("/defender_app_embedded.tar.gz", responses=_answer)
@router.get("/twistlock_defender_app_embedded.tar.gz", responses=_answer)
async def get_defender(
    request: Request,
    _user: _reader,
    architecture: Annotated[_Architecture | None, Query()] = None,
    arch: Annotated[_Architecture | None, Query()] = None,
) -> Response:
    """Return the Defender as a tarball; `architecture` (or `arch`) chooses for which machines, `amd64` otherwise."""
    only_known_parameters(request, frozenset(("architecture", "arch", "project")))
    wanted = architecture or arch or "amd64"
    binary = services_of(request).binaries.get(wanted)
    if binary is None or not binary.is_file():
        raise MissingError(f"this Console has no Defender for {wanted}, name its file in the settings")
    headers = {"Content-Disposition": 'attachment; filename="defender_app_embedded.tar.gz"'}
    return StreamingResponse(defender_tarball(binary), media_type="application/gzip", headers=headers)
