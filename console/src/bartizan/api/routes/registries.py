"""The settings of registries."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import fitted, only_known_parameters, read_body
from bartizan.api.routes.known_images import shown_image
from bartizan.api.shapes import KnownImage, RegistrySettings, RegistrySpecification, RegistryTest
from bartizan.services.errors import InvalidError
from bartizan.services.image_lookup import WantedImage
from bartizan.services.interfaces import User
from bartizan.services.registries import Registry, host_of_registry

router = APIRouter(prefix="/api/v1/settings/registry", tags=["settings"])
_reader = Annotated[User, Depends(Requires(Permission.SETTINGS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.SETTINGS_WRITE))]
_tester = Annotated[User, Depends(Requires(Permission.CREDENTIALS_WRITE))]
_PROJECT = frozenset(("project",))
# Set by the server: what a scan left, and the credential itself beside its name.
_BOOK_KEEPING = frozenset(("id", "credential", "lastScanStatus", "lastScanTime"))


@router.get("", responses=gives(reference(RegistrySettings), text="All registries"))
async def get_registries(request: Request, _user: _reader) -> Response:
    """Return the registries in their order."""
    only_known_parameters(request, _PROJECT)
    answer = RegistrySettings(specifications=[_shown(item) for item in services_of(request).registries.all()])
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.put("", openapi_extra=takes(RegistrySettings), responses=gives(None, text="In use"))
async def set_registries(request: Request, _user: _writer) -> Response:
    """Replace all registries, whole or not at all."""
    only_known_parameters(request, _PROJECT)
    body = await read_body(request, dict[str, Any])
    items = body.pop("specifications", None)
    if not isinstance(items, list):
        raise InvalidError("`specifications`: a list of registries is expected")
    fitted(body, _Nothing)
    registries = [_parsed(item, f"`specifications[{index}]`: ") for index, item in enumerate(items)]
    await services_of(request).registries.replace(registries)
    return Response()


@router.post("", openapi_extra=takes(RegistrySpecification), responses=gives(None, text="In use"))
async def add_registry(request: Request, _user: _writer) -> Response:
    """Add one registry behind the others; one that is there already changes nothing."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).registries.add(_parsed(await read_body(request, dict[str, Any]), ""))
    return Response()


@router.post(
    "/test",
    openapi_extra=takes(RegistryTest, example={"image": "registry.example.com/shop:1"}),
    responses=gives(reference(KnownImage), text="What the registry said"),
)
async def ask_registry(request: Request, _user: _tester) -> Response:
    """Ask the registry of an image for it now, as a look-up would; a refusal says what went wrong."""
    wanted = await read_body(request, RegistryTest)
    record = await services_of(request).image_lookup.test(
        WantedImage(reference=wanted.image, architecture=wanted.architecture),
        registry_type=wanted.registry_type,
        credential=wanted.registry_credential_id,
    )
    return Response(msgspec.json.encode(shown_image(record, compact=False)), media_type="application/json")


class _Nothing(msgspec.Struct):
    """A body that may ask for nothing else."""


def _parsed(item: object, where: str) -> Registry:
    if not isinstance(item, dict):
        raise InvalidError(f"{where}an object is expected")
    given = fitted(item, RegistrySpecification, ignored=_BOOK_KEEPING, where=where)
    try:
        host = host_of_registry(given.registry)
    except InvalidError as error:
        raise InvalidError(f"{where}{error}") from None
    return Registry(
        version=given.version,
        url=given.registry,
        host=host,
        namespace=given.namespace,
        repository=given.repository,
        tag=given.tag,
        os=given.os,
        credential=given.credential_id,
        ca_cert=given.ca_cert,
        excluded_repositories=tuple(given.excluded_repositories),
        excluded_tags=tuple(given.excluded_tags),
        cap=given.cap,
        scanners=given.scanners,
        collections=tuple(given.collections),
        jfrog_types=tuple(given.jfrog_repo_types),
    )


def _shown(registry: Registry) -> RegistrySpecification:
    return RegistrySpecification(
        version=registry.version,
        registry=registry.url,
        namespace=registry.namespace,
        repository=registry.repository,
        tag=registry.tag,
        os=registry.os,
        credential_id=registry.credential,
        ca_cert=registry.ca_cert,
        excluded_repositories=list(registry.excluded_repositories),
        excluded_tags=list(registry.excluded_tags),
        cap=registry.cap,
        scanners=registry.scanners,
        collections=list(registry.collections),
        jfrog_repo_types=msgspec.convert(
            registry.jfrog_types, RegistrySpecification.__annotations__["jfrog_repo_types"]
        ),
    )
