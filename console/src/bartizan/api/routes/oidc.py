"""Signing in by an identity provider."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.access_shapes import OidcAnswer, OidcChange, OidcOffer
from bartizan.api.context import address_of, services_of, source_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import COOKIE, Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.services.changes import Change
from bartizan.services.errors import ServiceError
from bartizan.services.oidc import OidcSettings
from bartizan.services.rights import User

router = APIRouter(prefix="/api/v1", tags=["access"])
_anybody = Annotated[User, Depends(Requires(Permission.PUBLIC))]
_reader = Annotated[User, Depends(Requires(Permission.ACCESS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.ACCESS_WRITE))]
_BROWSER = "__Host-bartizan-oidc"
_MINUTES = 600
_NOTHING: frozenset[str] = frozenset()
_EXAMPLE = {
    "enabled": True,
    "issuer": "https://login.example.com",
    "clientID": "bartizan",
    "clientSecret": "",
    "redirectURI": "https://console.example.com:8083/api/v1/session/oidc/callback",
}


@router.get("/session/oidc", responses=gives(reference(OidcOffer), text="Whether there is one"))
async def get_offer(request: Request, _user: _anybody) -> Response:
    """Tell whether one can sign in by an identity provider."""
    only_known_parameters(request, _NOTHING)
    offer = OidcOffer(enabled=services_of(request).oidc.settings.enabled)
    return Response(msgspec.json.encode(offer), media_type="application/json")


@router.get("/session/oidc/start", responses={303: {"description": "To the identity provider"}})
async def start_sign_in(request: Request, _user: _anybody) -> Response:
    """Send a browser to the identity provider."""
    only_known_parameters(request, _NOTHING)
    start = await services_of(request).oidc.start()
    answer = Response(status_code=303, headers={"Location": start.url})
    answer.set_cookie(_BROWSER, start.browser, max_age=_MINUTES, path="/", secure=True, httponly=True, samesite="lax")
    return answer


@router.get("/session/oidc/callback", responses={303: {"description": "Signed in, to the Console's pages"}})
async def finish_sign_in(request: Request, _user: _anybody) -> Response:
    """Take a browser back from the identity provider, and sign its user in."""
    services = services_of(request)
    given = {name: value[:4096] for name, value in list(request.query_params.items())[:20]}
    try:
        name = await services.oidc.finish(given, browser=request.cookies.get(_BROWSER, ""))
    except ServiceError as error:
        await _note(request, "", 401, str(error))
        raise
    session = await services.accounts.sessions.start(
        name, "cookie", address=address_of(request), agent=request.headers.get("user-agent", "")
    )
    await services.accounts.end_cookie(request.cookies.get(COOKIE, ""))
    await _note(request, name, 303, "")
    answer = Response(status_code=303, headers={"Location": "/"})
    answer.set_cookie(COOKIE, session.token, path="/", secure=True, httponly=True, samesite="lax")
    answer.set_cookie(_BROWSER, "", max_age=0, path="/", secure=True, httponly=True, samesite="lax")
    return answer


@router.get("/settings/oidc", responses=gives(reference(OidcAnswer), text="The settings, without the secret"))
async def get_settings(request: Request, _user: _reader) -> Response:
    """Return how the identity provider is asked."""
    only_known_parameters(request, _NOTHING)
    settings = services_of(request).oidc.settings
    answer = OidcAnswer(
        enabled=settings.enabled,
        issuer=settings.issuer,
        client_id=settings.client_id,
        redirect_uri=settings.redirect_uri,
        scopes=list(settings.scopes),
        username_claim=settings.username_claim,
        groups_claim=settings.groups_claim,
        ca_cert=settings.ca_pem,
        has_secret=bool(settings.sealed_secret),
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.put("/settings/oidc", openapi_extra=takes(OidcChange, example=_EXAMPLE), responses=gives(None, text="In force"))
async def set_settings(request: Request, _user: _writer) -> Response:
    """Change how the identity provider is asked; when it is enabled, its description is read first."""
    only_known_parameters(request, _NOTHING)
    change = await read_body(request, OidcChange)
    settings = OidcSettings(
        enabled=change.enabled,
        issuer=change.issuer,
        client_id=change.client_id,
        redirect_uri=change.redirect_uri,
        scopes=tuple(change.scopes),
        username_claim=change.username_claim,
        groups_claim=change.groups_claim,
        ca_pem=change.ca_cert,
    )
    await services_of(request).oidc.configure(settings, change.client_secret)
    return Response()


async def _note(request: Request, name: str, status: int, failure: str) -> None:
    change = Change(
        id=0, time=0, user=name, type="login", source=source_of(request.scope), method="GET",
        path=request.url.path, status=status, document=b"",
    )  # fmt: skip
    await services_of(request).changes.note(change, {"via": "oidc", "failure": failure})
