"""Who may do what: permissions, the roles that give them, and where they hold."""

import enum
from dataclasses import dataclass


class Permission(enum.Enum):
    """What a route needs; PUBLIC needs no log-in, SIGNED_IN nothing but one."""

    PUBLIC = "public"
    SIGNED_IN = "signedIn"
    DEFENDERS_READ = "defendersRead"
    DEFENDERS_MANAGE = "defendersManage"
    DEFENDERS_EMBED = "defendersEmbed"
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

    @property
    def reads(self) -> bool:
        """Whether a route that needs this only reads."""
        return self.value.endswith("Read")


EVERYBODY = frozenset({Permission.PUBLIC, Permission.SIGNED_IN})
"""What needs no role."""
GRANTABLE = frozenset(Permission) - EVERYBODY
"""What a role can give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one role gives, within these collections; without any it holds for everything."""

    role: str
    permissions: frozenset[Permission]
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """
    Somebody who uses the API, as one request knows them.

    `role` is their own role, `grants` is all that they got, by it and by their groups. `session` is the id of the
    session or the API token that they came with, `via` says which: `password`, `session` or `token`.
    """

    name: str
    role: str
    grants: tuple[Grant, ...] = ()
    via: str = ""
    session: str = ""

    @property
    def permissions(self) -> frozenset[Permission]:
        """All that they may do somewhere."""
        return frozenset().union(*(grant.permissions for grant in self.grants))

    def allows(self, permission: Permission) -> bool:
        """Return whether they may do this somewhere."""
        return permission in EVERYBODY or any(permission in grant.permissions for grant in self.grants)

    def limits(self, permission: Permission) -> frozenset[str] | None:
        """Return the only collections in which they may do this; None means that there are no such limits."""
        giving = [grant for grant in self.grants if permission in grant.permissions]
        if permission in EVERYBODY or any(not grant.collections for grant in giving):
            return None
        return frozenset(name for grant in giving for name in grant.collections)

    @property
    def everywhere(self) -> frozenset[Permission]:
        """All that they may do without limits."""
        return frozenset().union(*(grant.permissions for grant in self.grants if not grant.collections))

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections that they are limited to, all in all; none means that some grant has no limits."""
        if any(not grant.collections for grant in self.grants):
            return ()
        return tuple(sorted({name for grant in self.grants for name in grant.collections}))
