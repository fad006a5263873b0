"""Install bundles, and protected task definitions."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.shapes import BundleGenerationAnswer, InstallBundleAnswer
from bartizan.audit.runtime_audit import rfc3339
from bartizan.embed import TaskChoices
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User
from bartizan.services.protect_task import LookUpRequest

router = APIRouter(prefix="/api/v1/defenders", tags=["defenders"])
_embedder = Annotated[User, Depends(Requires(Permission.DEFENDERS_EMBED))]
_keeper = Annotated[User, Depends(Requires(Permission.DEFENDERS_MANAGE))]
_LONGEST_HEADER = 6000
_KINDS = ("fargate", "appEmbedded")
_FARGATE = frozenset(
    ("consoleaddr", "defenderType", "interpreter", "cloudFormation", "filesystemMonitoring", "filestemMonitoring",
     "extractEntrypoint", "registryType", "registryCredentialID", "defenderImage", "defenderImagePullSecret",
     "compat", "allow32bit", "findPrivileged", "installBundleSecret", "waasPorts", "project")
)  # fmt: skip
_SYNTAXES = {"application/json": {"schema": {"type": "object"}}, "text/yaml": {"schema": {"type": "string"}}}
_TASK = {"requestBody": {"required": True, "content": _SYNTAXES}}
_PROTECTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The protected task definition, in the syntax of the one given", "content": _SYNTAXES}
}


@router.get("/install-bundle", responses=gives(reference(InstallBundleAnswer), text="The bundle"))
async def install_bundle(
    request: Request,
    _user: _embedder,
    consoleaddr: str = "",
    defenderType: str = "",  # noqa: N803
) -> Response:
    """Return the install bundle for one address of the Console, by default the one that this request went to."""
    only_known_parameters(request, _FARGATE)
    _check_type(defenderType)
    services = services_of(request)
    bundle = services.bundles.install_bundle(consoleaddr or request.url.netloc)
    answer = InstallBundleAnswer(
        bundle=bundle.text,
        install_bundle=bundle.text,
        ws_address=bundle.ws_address,
        defender_image=services.protect_task.defender_image,
        defender_architectures=sorted(services.binaries),
        version=services.version,
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.get("/install-bundles", responses=gives(list_of(BundleGenerationAnswer), text="All generations"))
async def install_bundles(request: Request, _user: _keeper) -> Response:
    """Return the generations of install bundles, without their secrets."""
    answer = [
        BundleGenerationAnswer(
            id=item.id, created=rfc3339(item.created), revoked=rfc3339(item.revoked) if item.revoked else None
        )
        for item in services_of(request).bundles.all()
    ]
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.delete("/install-bundles/{bundle}", responses=gives(None, text="Revoked"))
async def revoke_install_bundle(request: Request, bundle: str, _user: _keeper) -> Response:
    """Revoke a generation of install bundles: nobody enrols with it any more, and its Defenders are cut off."""
    await services_of(request).bundles.revoke(bundle)
    return Response()


@router.post("/fargate.json", openapi_extra=_TASK, responses=_PROTECTED)
@router.post("/fargate.yaml", openapi_extra=_TASK, responses=_PROTECTED)
async def protect_fargate(  # noqa: PLR0913, PLR0917 - these are the vendor's parameters
    request: Request,
    _user: _embedder,
    consoleaddr: str = "",
    defenderType: str = "",  # noqa: N803
    interpreter: str = "",  # noqa: ARG001 - accepted, see below
    cloudFormation: bool = False,  # noqa: ARG001, FBT001, FBT002, N803 - accepted, see below
    filesystemMonitoring: bool = False,  # noqa: FBT001, FBT002, N803
    filestemMonitoring: bool = False,  # noqa: FBT001, FBT002, N803 - the vendor misspells it
    extractEntrypoint: bool = False,  # noqa: FBT001, FBT002, N803
    registryType: str = "",  # noqa: N803
    registryCredentialID: str = "",  # noqa: N803
    defenderImage: str = "",  # noqa: N803
    defenderImagePullSecret: str = "",  # noqa: N803
    compat: Annotated[list[str] | None, Query()] = None,
    allow32bit: bool = False,  # noqa: FBT001, FBT002
    findPrivileged: bool = False,  # noqa: FBT001, FBT002, N803
    installBundleSecret: str = "",  # noqa: N803
    waasPorts: Annotated[list[str] | None, Query()] = None,  # noqa: N803
) -> Response:
    """
    Protect an ECS task definition, JSON or YAML; the answer has the syntax of what was sent, whichever the path.

    With `extractEntrypoint` images say what containers start, where the definition does not; `registryCredentialID`
    opens the registries that the credential is for. `cloudFormation` and `interpreter` are accepted and without effect:
    a template is recognised by itself, and our Defender needs no shell in the image.

    The last five are ours. `compat` (repeated for several) selects containers whose programs may gain rights,
    `findPrivileged` looks for images that have such programs. `installBundleSecret` is the ARN of a secret that holds
    the install bundle, which is then left out. `waasPorts` (`EXPOSED:APP`, repeated for several) lets the firewall take
    the port EXPOSED and pass on to the application's. What people should know is in the header `Bartizan-Warnings`, a
    list in JSON.
    """
    only_known_parameters(request, _FARGATE)
    _check_type(defenderType)
    if not (extractEntrypoint or findPrivileged) and (registryType or registryCredentialID):
        raise InvalidError("`registryType` and `registryCredentialID` are for look-ups: add `extractEntrypoint=true`")
    look_up = LookUpRequest(registry_type=registryType, credential=registryCredentialID)
    protected = await services_of(request).protect_task.protect(
        await request.body(),
        console=consoleaddr or request.url.netloc,
        defender_image=defenderImage or None,
        choices=TaskChoices(
            image_pull_secret=defenderImagePullSecret or None,
            install_bundle_secret=installBundleSecret or None,
            filesystem_monitoring=filesystemMonitoring or filestemMonitoring,
            compat=tuple(compat or ()),
            allow_32bit=allow32bit,
            waas_ports=tuple(waasPorts or ()),
        ),
        look_up=look_up if extractEntrypoint else None,
        find_privileged=look_up if findPrivileged else None,
    )
    headers = {"Bartizan-Warnings": _warnings(protected.warnings)} if protected.warnings else {}
    return Response(protected.text, media_type=_media_type(protected.text), headers=headers)


def _warnings(warnings: Sequence[str]) -> str:
    """Return warnings as a header may hold them: JSON in ASCII, no longer than clients take."""
    shown = list(warnings)
    while len(json.dumps(shown)) > _LONGEST_HEADER:
        shown = [*shown[:-2], "there are more: the command line tells them all"]
    return json.dumps(shown)


def _media_type(text: bytes) -> str:
    """Return what a definition is written in: JSON begins with a brace, perhaps after a byte order mark."""
    is_json = text.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    return "application/json" if is_json else "text/yaml"


def _check_type(kind: str) -> None:
    if kind not in ("", *_KINDS):
        raise InvalidError(f"`defenderType`: possible are {', '.join(_KINDS)}")
