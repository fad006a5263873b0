"""The JSON of people, their rights and their sessions. Names are the vendor's where it has them."""

from typing import Annotated, Literal

import msgspec

Strings = list[str]
_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Names = Annotated[list[_Name], msgspec.Meta(max_length=10_000)]
_Password = Annotated[str, msgspec.Meta(max_length=1024)]
_Address = Annotated[str, msgspec.Meta(max_length=2048)]
_AuthType = Literal["basic", "oidc"]


class SessionAnswer(msgspec.Struct, rename="camel"):
    """
    Who is signed in, and what they may do.

    `collections` are those that they are limited to; an empty list is no limit.
    """

    username: str
    role: str
    permissions: Strings
    collections: Strings


class Limits(msgspec.Struct):
    """Which collections somebody's rights hold in; `All`, or none, is no limit. This Console has no projects."""

    project: _Name = ""
    collections: _Names = msgspec.field(default_factory=list)


class UserChange(msgspec.Struct, rename="camel"):
    """A user to add or to change; without a password the present one is kept."""

    username: _Name
    role: _Name
    password: _Password = ""
    auth_type: _AuthType = "basic"
    permissions: list[Limits] = msgspec.field(default_factory=list)


class UserAnswer(msgspec.Struct, rename="camel"):
    """A user. `groups` give their roles beside the user's own; times are empty for what never was."""

    username: str
    role: str
    auth_type: str
    permissions: list[Limits]
    groups: Strings
    created: str
    last_modified: str
    last_login: str


class PasswordChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """One's own password, the old and the new one."""

    old_password: _Password
    new_password: _Password


class Member(msgspec.Struct):
    """A user of a group."""

    username: _Name


class GroupChange(msgspec.Struct, rename="camel"):
    """
    A group to add or to change: its role is given to its users beside their own.

    `oidcGroup` is the identity provider's name for it: who signs in by that, and is in it there, gets the role here.
    """

    group_name: _Name
    role: _Name
    user: Annotated[list[Member], msgspec.Meta(max_length=10_000)] = msgspec.field(default_factory=list)
    permissions: list[Limits] = msgspec.field(default_factory=list)
    oidc_group: _Name = ""
    id: str = msgspec.field(name="_id", default="")


class GroupAnswer(msgspec.Struct, rename="camel"):
    """A group."""

    id: str = msgspec.field(name="_id")
    group_name: str
    role: str
    user: list[Member]
    permissions: list[Limits]
    oidc_group: str
    owner: str
    last_modified: str


class RoleChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A role to add or to change; `permissions` are names of `x-permission`."""

    name: _Name
    permissions: _Names
    description: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class RoleAnswer(msgspec.Struct, rename="camel"):
    """A role; `system` ones belong to every Console. `holders` are who has it, in words."""

    name: str
    description: str
    permissions: Strings
    system: bool
    holders: Strings
    last_modified: str


class TokenChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """
    An API token to make.

    It gives what its user has, no more than `role` gives, no more than `permissions`, and only within `collections`;
    what is left out limits nothing. `expires` is a time of RFC 3339; without it the token is good until it is revoked.
    """

    name: _Name
    role: _Name = ""
    permissions: _Names = msgspec.field(default_factory=list)
    collections: _Names = msgspec.field(default_factory=list)
    expires: Annotated[str, msgspec.Meta(max_length=40)] = ""


class TokenAnswer(msgspec.Struct, rename="camel", omit_defaults=True):
    """An API token; `token` is in the answer to its creation alone."""

    id: str = msgspec.field(name="_id")
    name: str
    username: str
    role: str
    permissions: Strings
    collections: Strings
    created: str
    expires: str
    last_used: str
    token: str = ""


class LiveSession(msgspec.Struct, rename="camel"):
    """A session that has not ended; `kind` is `cookie` (a browser's) or `bearer` (a script's)."""

    id: str = msgspec.field(name="_id")
    username: str
    kind: str
    created: str
    last_used: str
    expires: str
    source_ip: str = msgspec.field(name="sourceIP")
    user_agent: str
    current: bool


class OidcOffer(msgspec.Struct):
    """Whether one can sign in by an identity provider."""

    enabled: bool


class OidcChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """
    How the identity provider is asked; an empty secret keeps the present one.

    `redirectURI` is this Console's address as it is registered there, and `/api/v1/session/oidc/callback`.
    """

    issuer: _Address = ""
    enabled: bool = False
    client_id: _Name = msgspec.field(name="clientID", default="")
    client_secret: _Password = ""
    redirect_uri: _Address = msgspec.field(name="redirectURI", default="")
    scopes: _Names = msgspec.field(default_factory=lambda: ["openid", "profile", "email", "groups"])
    username_claim: _Name = "preferred_username"
    groups_claim: _Name = "groups"
    ca_cert: Annotated[str, msgspec.Meta(max_length=65536)] = ""


class OidcAnswer(msgspec.Struct, rename="camel"):
    """How the identity provider is asked; the secret never comes out."""

    enabled: bool
    issuer: str
    client_id: str = msgspec.field(name="clientID")
    redirect_uri: str = msgspec.field(name="redirectURI")
    scopes: Strings
    username_claim: str
    groups_claim: str
    ca_cert: str
    has_secret: bool


ACCESS_SHAPES = (
    OidcAnswer,
    OidcChange,
    OidcOffer,
    GroupAnswer,
    GroupChange,
    LiveSession,
    PasswordChange,
    RoleAnswer,
    RoleChange,
    SessionAnswer,
    TokenAnswer,
    TokenChange,
    UserAnswer,
    UserChange,
)
