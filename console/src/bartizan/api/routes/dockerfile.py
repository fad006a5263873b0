"""Dockerfiles: one comes in, an archive with the protected one and the Defender goes out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.api.shapes import AppEmbeddedEmbedRequest, BaseImage
from bartizan.embed import ImageConfig
from bartizan.embed.dockerfile import DockerfileChoices
from bartizan.services.embed_dockerfile import DockerfileRequest, archive_name
from bartizan.services.interfaces import User
from bartizan.services.protect_task import LookUpRequest

router = APIRouter(prefix="/api/v1/defenders", tags=["defenders"])
_keeper = Annotated[User, Depends(Requires(Permission.DEFENDERS_EMBED))]
_archive = gives(
    {"type": "string", "format": "binary"}, media="application/zip", text="Protected Dockerfile, Defender and README"
)


@router.post("/app-embedded", openapi_extra=takes(AppEmbeddedEmbedRequest), responses=_archive)
async def embed_in_dockerfile(request: Request, _user: _keeper) -> Response:
    """Put the Defender into a Dockerfile."""
    only_known_parameters(request, frozenset(("project",)))
    body = await read_body(request, AppEmbeddedEmbedRequest)
    look_up = LookUpRequest(registry_type=body.registry_type, credential=body.registry_credential_id)
    archive = await services_of(request).embed_dockerfile.embed(
        DockerfileRequest(
            dockerfile=body.dockerfile,
            console=body.console_addr or request.url.netloc,
            choices=DockerfileChoices(
                app_id=body.app_id,
                data_folder=body.data_folder,
                filesystem_monitoring=body.filesystem_monitoring,
                fail_mode=body.fail_mode,
                target=body.target,
                build_args=body.build_args,
                architecture=body.architecture,
                compat=body.compat,
                allow_32bit=body.allow_32bit,
                waas_ports=tuple(body.waas_ports),
                migrate=body.migrate,
            ),
            image=_told(body.base_image),
            look_up=look_up if body.extract_entrypoint else None,
        )
    )
    headers = {"Content-Disposition": f'attachment; filename="{archive_name(body.app_id)}"'}
    return Response(archive, media_type="application/zip", headers=headers)


def _told(image: BaseImage | None) -> ImageConfig | None:
    if image is None:
        return None
    return ImageConfig(
        entrypoint=tuple(image.entrypoint or ()),
        cmd=tuple(image.cmd or ()),
        user=image.user or "",
        shell=tuple(image.shell or ()),
        volumes=tuple(image.volumes or ()),
        on_build=tuple(image.on_build or ()),
        origin="the request",
    )
