"""Credentials of registries: they go in, and their secrets never come out."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_vendor_body
from bartizan.api.shapes import CredentialAnswer, CredentialChange, CredentialUsage, HiddenSecret, Resealed
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.credentials import Credential, CredentialType, host_of_url, secret_field
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/credentials", tags=["credentials"])
_reader = Annotated[User, Depends(Requires(Permission.CREDENTIALS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.CREDENTIALS_WRITE))]
_BOOK_KEEPING = frozenset(("created", "lastModified", "owner", "prismaLastModified", "external", "global"))
_PROJECT = frozenset(("project",))


@router.get("", responses=gives(list_of(CredentialAnswer), text="All credentials, without their secrets"))
async def list_credentials(request: Request, _user: _reader) -> Response:
    """Return the credentials; secrets are never given back."""
    only_known_parameters(request, _PROJECT)
    body = msgspec.json.encode([_shown(item) for item in services_of(request).credentials.all()])
    return Response(body, media_type="application/json")


@router.post("", openapi_extra=takes(CredentialChange), responses=gives(None, text="Kept"))
async def add_credential(request: Request, user: _writer) -> Response:
    """Add a credential, or replace the one with this `_id`."""
    only_known_parameters(request, _PROJECT)
    change = await read_vendor_body(request, CredentialChange, ignored=_BOOK_KEEPING)
    credential, secret = _parsed(change, change.id)
    await services_of(request).credentials.put(credential, secret, author=user.name)
    return Response()


@router.post("/rotate-key", responses=gives(reference(Resealed), text="Done"))
async def rotate_key(request: Request, user: _writer) -> Response:
    """Seal all secrets with a new key, and forget the old one."""
    only_known_parameters(request, _PROJECT)
    count = await services_of(request).credentials.rotate_key(author=user.name)
    return Response(msgspec.json.encode(Resealed(resealed=count)), media_type="application/json")


@router.put("/{credential}", openapi_extra=takes(CredentialChange), responses=gives(None, text="Kept"))
async def change_credential(request: Request, credential: str, user: _writer) -> Response:
    """Change a credential; without a new secret the present one is kept."""
    only_known_parameters(request, _PROJECT)
    services_of(request).credentials.one(credential)
    change = await read_vendor_body(request, CredentialChange, ignored=_BOOK_KEEPING)
    if change.id not in ("", credential):
        raise InvalidError("`_id`: a credential keeps its name, add another one instead")
    changed, secret = _parsed(change, credential)
    await services_of(request).credentials.put(changed, secret, author=user.name)
    return Response()


@router.delete("/{credential}", responses=gives(None, text="Removed"))
async def remove_credential(request: Request, credential: str, user: _writer) -> Response:
    """Remove a credential that nobody uses; otherwise the refusal names the users."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).credentials.remove(credential, author=user.name)
    return Response()


@router.get("/{credential}/usages", responses=gives(list_of(CredentialUsage), text="Who uses it"))
async def list_usages(request: Request, credential: str, _user: _reader) -> Response:
    """Return who uses a credential."""
    only_known_parameters(request, _PROJECT)
    usages = services_of(request).credentials.usages(credential)
    body = msgspec.json.encode([CredentialUsage(type=item.type, description=item.description) for item in usages])
    return Response(body, media_type="application/json")


def _parsed(change: CredentialChange, name: str) -> tuple[Credential, str]:
    kind = CredentialType(change.type)
    if change.secret.encrypted or change.api_token.encrypted:
        raise InvalidError("`encrypted`: another Console's secret cannot be read here, give it in `plain`")
    used, other = (change.api_token, change.secret) if kind.is_token else (change.secret, change.api_token)
    if other.plain:
        raise InvalidError(f"a credential of type `{kind.value}` has its secret in `{secret_field(kind)}.plain`")
    credential = Credential(
        id=name,
        type=kind,
        account=change.account_id,
        account_name=change.account_name,
        url=change.url,
        host=host_of_url(change.url),
        region=change.region,
        role_arn=change.role_arn,
        description=change.description,
    )
    return credential, used.plain


def _shown(credential: Credential) -> CredentialAnswer:
    return CredentialAnswer(
        id=credential.id,
        type=credential.type.value,
        account_id=credential.account,
        account_name=credential.account_name,
        secret=HiddenSecret(),
        api_token=HiddenSecret(),
        url=credential.url,
        region=credential.region,
        role_arn=credential.role_arn,
        description=credential.description,
        owner=credential.owner,
        created=rfc3339(credential.created),
        last_modified=rfc3339(credential.modified),
    )
