"""API tokens and sessions: one's own, and with the right everybody's."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.access_shapes import LiveSession, TokenAnswer, TokenChange
from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import milliseconds, only_known_parameters, read_body
from bartizan.api.routes.users import moment, rights_of
from bartizan.services.directory import TokenRecord
from bartizan.services.errors import ForbiddenError, InvalidError, MissingError
from bartizan.services.rights import User
from bartizan.services.sessions import SessionRecord

router = APIRouter(prefix="/api/v1", tags=["access"])
_somebody = Annotated[User, Depends(Requires(Permission.SIGNED_IN))]
_NOTHING: frozenset[str] = frozenset()
_EXAMPLE = {"name": "nightly build", "role": "CI User", "expires": "2027-06-30T00:00:00Z"}


@router.get("/tokens", responses=gives(list_of(TokenAnswer), text="API tokens, the newest first"))
async def list_tokens(
    request: Request,
    user: _somebody,
    all: Annotated[bool, Query()] = False,  # noqa: A002, FBT002 - a query parameter
) -> Response:
    """Return one's own API tokens, or with `all` and the permission `accessRead` everybody's; never the tokens."""
    only_known_parameters(request, frozenset(("all",)))
    _check_all(user, all=all)
    found = services_of(request).accounts.tokens.all()
    return _json([_shown_token(token) for token in found if all or token.user == user.name])


@router.post(
    "/tokens",
    openapi_extra=takes(TokenChange, example=_EXAMPLE),
    responses=gives(reference(TokenAnswer), text="Made; `token` is never shown again"),
)
async def add_token(request: Request, user: _somebody) -> Response:
    """Make an API token with one's own rights, or fewer: a bearer token, or the password of basic authentication."""
    only_known_parameters(request, _NOTHING)
    change = await read_body(request, TokenChange)
    token, record = await services_of(request).accounts.tokens.create(
        user,
        name=change.name,
        role=change.role,
        permissions=rights_of(change.permissions),
        collections=tuple(dict.fromkeys(change.collections)),
        expires=_time(change.expires),
    )
    shown = _shown_token(record)
    shown.token = token
    return _json(shown)


@router.delete("/tokens/{token}", responses=gives(None, text="Revoked"))
async def revoke_token(request: Request, token: str, user: _somebody) -> Response:
    """Revoke one's own API token, or with the permission `accessWrite` anybody's."""
    only_known_parameters(request, _NOTHING)
    tokens = services_of(request).accounts.tokens
    if token != user.session and not _may_end(user, tokens.one(token).user):
        raise MissingError(f"there is no API token `{token[:64]}`")
    await tokens.revoke(token)
    return Response()


@router.get("/sessions", responses=gives(list_of(LiveSession), text="Sessions that have not ended, the newest first"))
async def list_sessions(
    request: Request,
    user: _somebody,
    all: Annotated[bool, Query()] = False,  # noqa: A002, FBT002 - a query parameter
) -> Response:
    """Return one's own sessions, or with `all` and the permission `accessRead` everybody's."""
    only_known_parameters(request, frozenset(("all",)))
    _check_all(user, all=all)
    found = await services_of(request).accounts.sessions.all()
    return _json([_shown_session(item, user) for item in found if all or item.user == user.name])


@router.delete("/sessions/{session}", responses=gives(None, text="Ended"))
async def revoke_session(request: Request, session: str, user: _somebody) -> Response:
    """End one's own session, or with the permission `accessWrite` anybody's."""
    only_known_parameters(request, _NOTHING)
    sessions = services_of(request).accounts.sessions
    owner = next((item.user for item in await sessions.all() if item.id == session), None)
    if owner is None or not _may_end(user, owner):
        raise MissingError(f"there is no session `{session[:64]}`")
    await sessions.end(session)
    return Response()


@router.delete("/sessions", responses=gives(None, text="Ended"))
async def revoke_sessions(
    request: Request, user: _somebody, username: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """End all one's own sessions but this one, or with the permission `accessWrite` all of `username`."""
    only_known_parameters(request, frozenset(("username",)))
    name = username or user.name
    if not _may_end(user, name):
        raise ForbiddenError("other people's sessions are ended with the permission `accessWrite`")
    await services_of(request).accounts.sessions.end_all_of(name, but=user.session)
    return Response()


def _check_all(user: User, *, all: bool) -> None:  # noqa: A002 - as the parameter
    if all and Permission.ACCESS_READ not in user.everywhere:
        raise ForbiddenError("`all` needs the permission `accessRead`")


def _may_end(user: User, owner: str) -> bool:
    """Return whether this user may end what is this owner's; a token that leaked must not lock its user out."""
    return (user.name == owner and user.via != "token") or Permission.ACCESS_WRITE in user.everywhere


def _time(text: str) -> int:
    if not text:
        return 0
    try:
        return milliseconds(datetime.fromisoformat(text)) or 0
    except (ValueError, OverflowError):
        raise InvalidError("`expires` is a time like 2027-06-30T00:00:00Z") from None


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _shown_token(token: TokenRecord) -> TokenAnswer:
    return TokenAnswer(
        id=token.id,
        name=token.name,
        username=token.user,
        role=token.role,
        permissions=sorted(permission.value for permission in token.permissions),
        collections=list(token.collections),
        created=moment(token.created),
        expires=moment(token.expires),
        last_used=moment(token.last_used),
    )


def _shown_session(session: SessionRecord, user: User) -> LiveSession:
    return LiveSession(
        id=session.id,
        username=session.user,
        kind=session.kind,
        created=moment(session.created),
        last_used=moment(session.last_used),
        expires=moment(session.ends),
        source_ip=session.address,
        user_agent=session.agent,
        current=session.id == user.session,
    )
