"""
Who may do what.

Every route declares one permission by depending on `Requires`; a test walks all routes and fails for one that does not.
A request says who asks by its `Authorization`, or by a browser's cookie.
"""

import base64
import binascii

from starlette.requests import Request

from bartizan.api.context import address_of, services_of
from bartizan.api.recording import INSIDE, begin
from bartizan.services.accounts import Accounts
from bartizan.services.errors import ForbiddenError, UnauthorizedError
from bartizan.services.rights import Permission, User

__all__ = ["COOKIE", "Permission", "Requires"]

COOKIE = "__Host-bartizan"
"""The browser's session (RFC 6265bis, section 4.1.3.2: such a cookie belongs to this very host, and to TLS)."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_NOBODY = User(name="", role="")


class Requires:
    """
    A dependency that lets a request pass when its user has the permission, and returns the user.

    Only a route that is `scoped` takes users who have the permission for some collections alone: it shows them, or
    lets them change, nothing outside `user.limits(permission)`. All other routes refuse them.
    """

    def __init__(self, permission: Permission, *, scoped: bool = False) -> None:
        self.permission = permission
        self._scoped = scoped

    async def __call__(self, request: Request) -> User:
        """Return the user (with an empty name for public routes). Raises UnauthorizedError or ForbiddenError."""
        if self.permission is Permission.PUBLIC:
            return _NOBODY
        # A request that the Console makes of itself, to see what another one changed.
        if isinstance(inside := request.scope.get(INSIDE), User):
            return inside
        user = await _authenticated(request, services_of(request).accounts)
        allowed = user.allows(self.permission) and (self._scoped or user.limits(self.permission) is None)
        if request.method not in _SAFE:
            await begin(request.scope, user, self.permission, allowed=allowed)
        if not user.allows(self.permission):
            raise ForbiddenError(f"the role `{user.role}` does not allow this: it lacks `{self.permission.value}`")
        if not allowed:
            raise ForbiddenError("this reaches beyond the collections that you are limited to")
        return user


async def _authenticated(request: Request, accounts: Accounts) -> User:
    header = request.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return await accounts.by_token(value.strip())
    if scheme.lower() == "basic":
        name, password = _credentials(value)
        return await accounts.by_password(name=name, password=password, address=address_of(request))
    if not header and (cookie := request.cookies.get(COOKIE)):
        _check_intent(request)
        return await accounts.by_cookie(cookie)
    raise UnauthorizedError("authentication is required: basic, or a bearer token of POST /api/v1/authenticate")


def _check_intent(request: Request) -> None:
    """
    Raise ForbiddenError for a write that another site may have made the browser send; a cookie goes along with those.

    Two things that other sites cannot make it send are asked for: a header of ours, and the browser's own word on
    where the request came from (OWASP, cross-site request forgery prevention: custom headers, fetch metadata, origin).
    """
    if request.method in _SAFE:
        return
    headers = request.headers
    if headers.get("x-bartizan-request") != "1":
        raise ForbiddenError("a write of a browser's session needs the header `X-Bartizan-Request: 1`")
    if headers.get("sec-fetch-site") == "same-origin" or headers.get("origin") == f"https://{headers.get('host')}":
        return
    raise ForbiddenError("a write of a browser's session has to say that it comes from the Console's own pages")


def _credentials(value: str) -> tuple[str, str]:
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise UnauthorizedError("the basic credentials cannot be read")
    return name, password
