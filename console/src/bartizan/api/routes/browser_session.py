"""The session of a browser: a cookie that its scripts cannot read."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.access_shapes import SessionAnswer
from bartizan.api.context import address_of, services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import COOKIE, Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.api.shapes import Credentials
from bartizan.services.rights import User

router = APIRouter(prefix="/api/v1/session", tags=["session"])
_anybody = Annotated[User, Depends(Requires(Permission.PUBLIC))]
_somebody = Annotated[User, Depends(Requires(Permission.SIGNED_IN))]
_EXAMPLE = {"username": "ann", "role": "Auditor", "permissions": ["auditsRead", "policyRead"], "collections": []}
_answer = gives(reference(SessionAnswer), text="Who is signed in", example=_EXAMPLE)


@router.post("", openapi_extra=takes(Credentials), responses=_answer)
async def start_session(request: Request, _user: _anybody) -> Response:
    """Sign in as a browser: the cookie is good for twelve hours, or until it was idle for half an hour."""
    only_known_parameters(request, frozenset())
    body = await read_body(request, Credentials)
    accounts = services_of(request).accounts
    user, session = await accounts.log_in(
        name=body.username,
        password=body.password,
        address=address_of(request),
        kind="cookie",
        agent=request.headers.get("user-agent", ""),
    )
    # A browser that signs in anew has a new session, and the old one is good for nothing any more.
    await accounts.end_cookie(request.cookies.get(COOKIE, ""))
    answer = _shown(user)
    _set_cookie(answer, session.token)
    return answer


@router.get("", responses=_answer)
async def get_session(request: Request, user: _somebody) -> Response:
    """Return who is signed in, and what they may do."""
    only_known_parameters(request, frozenset())
    return _shown(user)


@router.delete("", responses=gives(None, text="Signed out"))
async def end_session(request: Request, user: _somebody) -> Response:
    """Sign out: the session that this request came with ends."""
    only_known_parameters(request, frozenset())
    if user.via == "session":
        await services_of(request).accounts.sessions.end(user.session)
    answer = Response()
    _set_cookie(answer, "", life=0)
    return answer


def _set_cookie(answer: Response, token: str, *, life: int | None = None) -> None:
    answer.set_cookie(COOKIE, token, max_age=life, path="/", secure=True, httponly=True, samesite="lax")


def _shown(user: User) -> Response:
    shown = SessionAnswer(
        username=user.name,
        role=user.role,
        permissions=sorted(permission.value for permission in user.permissions),
        collections=list(user.collections),
    )
    return Response(msgspec.json.encode(shown), media_type="application/json")
