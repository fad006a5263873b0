"""Users, groups and roles."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.access_shapes import (
    GroupAnswer,
    GroupChange,
    Limits,
    Member,
    PasswordChange,
    RoleAnswer,
    RoleChange,
    UserAnswer,
    UserChange,
)
from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body, read_vendor_body
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.directory import GroupRecord, UserRecord
from bartizan.services.errors import InvalidError
from bartizan.services.rights import GRANTABLE, User
from bartizan.services.roles import Role

router = APIRouter(prefix="/api/v1", tags=["access"])
_reader = Annotated[User, Depends(Requires(Permission.ACCESS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.ACCESS_WRITE))]
_somebody = Annotated[User, Depends(Requires(Permission.SIGNED_IN))]
_ALL = "All"
_PROJECT = frozenset(("project",))
_USER_KEEPING = frozenset(("created", "lastModified", "lastLogin", "groups", "email", "phoneNumber", "prismaUser"))
_GROUP_KEEPING = frozenset(("lastModified", "owner", "groupId"))
_ANN = {"username": "ann", "role": "Auditor", "authType": "basic", "permissions": [{"collections": ["All"]}]}
_TEAM = {"groupName": "team-shop", "role": "Operator", "user": [{"username": "ann"}], "oidcGroup": "shop"}
_ROLE = {"name": "Policy author", "description": "Writes rules", "permissions": ["policyRead", "policyWrite"]}


@router.get("/users", responses=gives(list_of(UserAnswer), text="All users"))
async def list_users(request: Request, _user: _reader) -> Response:
    """Return the users."""
    only_known_parameters(request, _PROJECT)
    directory = services_of(request).users.directory
    member_of: dict[str, list[str]] = {}
    for group in directory.groups.values():
        for name in group.users:
            member_of.setdefault(name, []).append(group.name)
    answer = [_shown_user(user, member_of.get(user.name, [])) for user in directory.users.values()]
    return _json(sorted(answer, key=lambda item: item.username))


@router.post(
    "/users",
    openapi_extra=takes(UserChange, example={**_ANN, "password": "twelve characters or more"}),
    responses=gives(None, text="Added"),
)
async def add_user(request: Request, user: _writer) -> Response:
    """Add a user."""
    only_known_parameters(request, _PROJECT)
    change = await read_vendor_body(request, UserChange, ignored=_USER_KEEPING)
    await services_of(request).users.add(user, _user_of(change), change.password)
    return Response()


@router.put("/users", openapi_extra=takes(UserChange, example=_ANN), responses=gives(None, text="Changed"))
async def change_user(request: Request, user: _writer) -> Response:
    """Change the user of this name: role, limits and, if there is one, password, which ends all their sessions."""
    only_known_parameters(request, _PROJECT)
    change = await read_vendor_body(request, UserChange, ignored=_USER_KEEPING)
    await services_of(request).users.change(user, _user_of(change), change.password)
    return Response()


@router.put(
    "/users/password",
    openapi_extra=takes(PasswordChange, example={"oldPassword": "the old one", "newPassword": "a longer new one"}),
    responses=gives(None, text="Changed"),
)
async def change_password(request: Request, user: _somebody) -> Response:
    """Change one's own password; all one's other sessions end."""
    only_known_parameters(request, _PROJECT)
    change = await read_body(request, PasswordChange)
    await services_of(request).users.change_password(user, old=change.old_password, new=change.new_password)
    return Response()


@router.delete("/users/{name}", responses=gives(None, text="Removed"))
async def remove_user(request: Request, name: str, user: _writer) -> Response:
    """Remove a user with their sessions and API tokens; the last administrator with a password stays."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).users.remove(user, name)
    return Response()


@router.get("/groups", responses=gives(list_of(GroupAnswer), text="All groups, in the order in which they are asked"))
async def list_groups(request: Request, _user: _reader) -> Response:
    """Return the groups."""
    only_known_parameters(request, _PROJECT)
    groups = sorted(services_of(request).users.directory.groups.values(), key=lambda group: group.position)
    return _json([_shown_group(group) for group in groups])


@router.post("/groups", openapi_extra=takes(GroupChange, example=_TEAM), responses=gives(None, text="Added"))
async def add_group(request: Request, user: _writer) -> Response:
    """Add a group; its role is given to its users beside their own."""
    only_known_parameters(request, _PROJECT)
    change = await read_vendor_body(request, GroupChange, ignored=_GROUP_KEEPING)
    await services_of(request).users.put_group(user, _group_of(change), new=True)
    return Response()


@router.put("/groups/{name}", openapi_extra=takes(GroupChange, example=_TEAM), responses=gives(None, text="Changed"))
async def change_group(request: Request, name: str, user: _writer) -> Response:
    """Change a group."""
    only_known_parameters(request, _PROJECT)
    change = await read_vendor_body(request, GroupChange, ignored=_GROUP_KEEPING)
    if change.group_name != name:
        raise InvalidError("`groupName`: a group keeps its name, add another one instead")
    await services_of(request).users.put_group(user, _group_of(change), new=False)
    return Response()


@router.delete("/groups/{name}", responses=gives(None, text="Removed"))
async def remove_group(request: Request, name: str, user: _writer) -> Response:
    """Remove a group."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).users.remove_group(user, name)
    return Response()


@router.get("/rbac/roles", responses=gives(list_of(RoleAnswer), text="All roles"))
async def list_roles(request: Request, _user: _reader) -> Response:
    """Return the roles: those of every Console, and those that people made."""
    only_known_parameters(request, _PROJECT)
    users = services_of(request).users
    return _json([_shown_role(role, users.holders(role.name)) for role in users.directory.roles.values()])


@router.post("/rbac/roles", openapi_extra=takes(RoleChange, example=_ROLE), responses=gives(None, text="Added"))
async def add_role(request: Request, user: _writer) -> Response:
    """Add a role."""
    only_known_parameters(request, _PROJECT)
    change = await read_body(request, RoleChange)
    await services_of(request).users.put_role(user, _role_of(change), new=True)
    return Response()


@router.put("/rbac/roles/{name}", openapi_extra=takes(RoleChange, example=_ROLE), responses=gives(None, text="Changed"))
async def change_role(request: Request, name: str, user: _writer) -> Response:
    """Change a role; who has it has its new permissions at once."""
    only_known_parameters(request, _PROJECT)
    change = await read_body(request, RoleChange)
    if change.name != name:
        raise InvalidError("`name`: a role keeps its name, add another one instead")
    await services_of(request).users.put_role(user, _role_of(change), new=False)
    return Response()


@router.delete("/rbac/roles/{name}", responses=gives(None, text="Removed"))
async def remove_role(request: Request, name: str, user: _writer) -> Response:
    """Remove a role that nobody has; otherwise the refusal names who has it."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).users.remove_role(user, name)
    return Response()


def rights_of(names: list[str]) -> frozenset[Permission]:
    """Return the permissions of these names. Raises InvalidError."""
    known = {permission.value: permission for permission in GRANTABLE}
    for name in names:
        if name not in known:
            raise InvalidError(f"`permissions`: there is no `{name[:64]}`; possible are {', '.join(sorted(known))}")
    return frozenset(known[name] for name in names)


def moment(time: int) -> str:
    """Return a time for people's eyes; empty for one that never was."""
    return rfc3339(time) if time else ""


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _user_of(change: UserChange) -> UserRecord:
    limits = _collections(change.permissions)
    return UserRecord(name=change.username, role=change.role, auth_type=change.auth_type, collections=limits)


def _group_of(change: GroupChange) -> GroupRecord:
    return GroupRecord(
        name=change.group_name,
        role=change.role,
        collections=_collections(change.permissions),
        users=tuple(dict.fromkeys(member.username for member in change.user)),
        oidc_group=change.oidc_group,
    )


def _role_of(change: RoleChange) -> Role:
    return Role(name=change.name, description=change.description, permissions=rights_of(change.permissions))


def _collections(limits: list[Limits]) -> tuple[str, ...]:
    """Return the collections that rights are limited to; none is no limit."""
    names = [name for item in limits for name in item.collections]
    everywhere = _ALL in names or any(not item.collections for item in limits)
    return () if everywhere else tuple(dict.fromkeys(names))


def _limits(collections: tuple[str, ...]) -> list[Limits]:
    return [Limits(collections=list(collections) or [_ALL])]


def _shown_user(user: UserRecord, groups: list[str]) -> UserAnswer:
    return UserAnswer(
        username=user.name,
        role=user.role,
        auth_type=user.auth_type,
        permissions=_limits(user.collections),
        groups=groups,
        created=moment(user.created),
        last_modified=moment(user.modified),
        last_login=moment(user.last_login),
    )


def _shown_group(group: GroupRecord) -> GroupAnswer:
    return GroupAnswer(
        id=group.name,
        group_name=group.name,
        role=group.role,
        user=[Member(username=name) for name in group.users],
        permissions=_limits(group.collections),
        oidc_group=group.oidc_group,
        owner=group.owner,
        last_modified=moment(group.modified),
    )


def _shown_role(role: Role, holders: list[str]) -> RoleAnswer:
    return RoleAnswer(
        name=role.name,
        description=role.description,
        permissions=sorted(permission.value for permission in role.permissions),
        system=role.system,
        holders=holders[:100],
        last_modified=moment(role.modified),
    )
