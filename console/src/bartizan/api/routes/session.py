"""Ping, set-up, log-in and the API's own description."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import address_of, services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import read_body
from bartizan.api.shapes import Credentials, Initialized, SignUp, Token
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1", tags=["session"])
_anybody = Annotated[User, Depends(Requires(Permission.PUBLIC))]


@router.get("/_ping", responses=gives({"type": "string"}, media="text/plain", text="The Console is up"))
async def ping(_user: _anybody) -> Response:
    """Tell whether the Console is up."""
    return Response("OK", media_type="text/plain")


@router.post("/signup", openapi_extra=takes(SignUp), responses=gives(None, text="The administrator is set up"))
async def signup(request: Request, _user: _anybody) -> Response:
    """Set the administrator's name and password, once, with the token that the Console printed at its start."""
    body = await read_body(request, SignUp)
    await services_of(request).accounts.sign_up(
        name=body.username, password=body.password, token=body.token, address=address_of(request)
    )
    return Response()


@router.get(
    "/settings/initialized",
    responses=gives(reference(Initialized), text="Whether it is", example={"initialized": True}),
)
async def initialized(request: Request, _user: _anybody) -> Response:
    """Tell whether the Console has an administrator, so that a browser can show the set-up page if not."""
    answer = Initialized(initialized=services_of(request).accounts.set_up)
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.post("/authenticate", openapi_extra=takes(Credentials), responses=gives(reference(Token), text="Logged in"))
async def authenticate(request: Request, _user: _anybody) -> Response:
    """Log in and get a bearer token for 30 minutes."""
    body = await read_body(request, Credentials)
    _, session = await services_of(request).accounts.log_in(
        name=body.username, password=body.password, address=address_of(request)
    )
    return Response(msgspec.json.encode(Token(token=session.token)), media_type="application/json")


@router.get("/openapi.json", responses=gives({"type": "object"}, text="This document"))
async def openapi(request: Request, _user: _anybody) -> Response:
    """Return the description of this API."""
    return Response(msgspec.json.encode(request.app.openapi()), media_type="application/json")
