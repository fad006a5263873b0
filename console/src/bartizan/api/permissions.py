"""
Who may do what.

Every route declares one permission by depending on `Requires`; a test walks all routes and fails for one that does not.
"""

import base64
import binascii
import enum

from starlette.requests import Request

from bartizan.api.context import address_of, services_of
from bartizan.services.accounts import ADMINISTRATOR, Accounts
from bartizan.services.errors import ForbiddenError, UnauthorizedError
from bartizan.services.interfaces import User


class Permission(enum.Enum):
    """What a route needs; PUBLIC needs no log-in."""

    PUBLIC = "public"
    DEFENDERS_READ = "defendersRead"
    DEFENDERS_MANAGE = "defendersManage"
    POLICY_READ = "policyRead"
    POLICY_WRITE = "policyWrite"
    AUDITS_READ = "auditsRead"
    FORENSICS_READ = "forensicsRead"
    FORENSICS_FETCH = "forensicsFetch"
    INCIDENTS_ACKNOWLEDGE = "incidentsAcknowledge"
    CREDENTIALS_READ = "credentialsRead"
    CREDENTIALS_WRITE = "credentialsWrite"
    IMAGES_READ = "imagesRead"
    PROFILES_READ = "profilesRead"
    PROFILES_WRITE = "profilesWrite"
    SETTINGS_READ = "settingsRead"
    SETTINGS_WRITE = "settingsWrite"
    COLLECTIONS_READ = "collectionsRead"
    COLLECTIONS_WRITE = "collectionsWrite"
    ACCESS_READ = "accessRead"
    ACCESS_WRITE = "accessWrite"
    CHANGES_READ = "changesRead"
    ALERTS_READ = "alertsRead"
    ALERTS_WRITE = "alertsWrite"
    SYSTEM_READ = "systemRead"
    SYSTEM_WRITE = "systemWrite"
    OVERVIEW_READ = "overviewRead"


_ROLES: dict[str, frozenset[Permission]] = {ADMINISTRATOR: frozenset(Permission)}
_NOBODY = User(name="", role="")


class Requires:
    """A dependency that lets a request pass when its user has the permission, and returns the user."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> User:
        """Return the user (with an empty name for public routes). Raises UnauthorizedError or ForbiddenError."""
        if self.permission is Permission.PUBLIC:
            return _NOBODY
        user = await _authenticated(request, services_of(request).accounts)
        if self.permission not in _ROLES.get(user.role, frozenset()):
            raise ForbiddenError(f"the role `{user.role}` does not allow this")
        return user


async def _authenticated(request: Request, accounts: Accounts) -> User:
    header = request.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return await accounts.by_token(value.strip())
    if scheme.lower() == "basic":
        name, password = _credentials(value)
        return await accounts.by_password(name=name, password=password, address=address_of(request))
    raise UnauthorizedError("authentication is required: basic, or a bearer token of POST /api/v1/authenticate")


def _credentials(value: str) -> tuple[str, str]:
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise UnauthorizedError("the basic credentials cannot be read")
    return name, password
