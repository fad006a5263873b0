"""What the Console knows of images: learnt from registries, asked for by look-ups."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.shapes import ImageRun, KnownImage, RepoTag
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.image_lookup import ImageRecord
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1", tags=["images"])
_reader = Annotated[User, Depends(Requires(Permission.IMAGES_READ))]
_answer = gives(list_of(KnownImage), text="One page, the newest first; `Total-Count` tells how many match")
_PARAMETERS = frozenset(("search", "compact", "offset", "limit", "project"))


@router.get("/images", responses=_answer)
@router.get("/registry", responses=_answer)
async def list_images(
    request: Request,
    _user: _reader,
    search: Annotated[str, Query(max_length=1000)] = "",
    compact: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return images whose name or digest holds `search`, with what they start."""
    only_known_parameters(request, _PARAMETERS)
    records, total = await services_of(request).image_lookup.page(search, offset=offset, limit=limit)
    body = msgspec.json.encode([shown_image(record, compact=compact) for record in records])
    return Response(body, media_type="application/json", headers={"Total-Count": str(total)})


def shown_image(record: ImageRecord, *, compact: bool) -> KnownImage:
    """Return an image as JSON shows it."""
    name = record.name
    run = ImageRun(
        repo_digest=[f"{name.host}/{name.repository}@{record.digest}"],
        entrypoint=list(record.entrypoint),
        cmd=list(record.cmd),
        user="" if compact else record.user,
        shell=[] if compact else list(record.shell),
    )
    return KnownImage(
        id=record.manifest_digest,
        image_id=record.manifest_digest,
        reference=record.reference,
        repo_tag=RepoTag(registry=name.host, repo=name.repository, tag=name.tag, digest=record.digest),
        architecture=record.architecture,
        image=run,
        origin=record.origin,
        scan_time=rfc3339(record.recorded),
    )
