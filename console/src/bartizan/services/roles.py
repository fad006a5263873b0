"""The roles that every Console has; what is not listed is denied."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.services.rights import GRANTABLE, Permission

ADMINISTRATOR = "Administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of permissions; `system` roles cannot be changed."""

    name: str
    description: str
    permissions: frozenset[Permission]
    system: bool = False
    modified: int = 0


_LOOKING = frozenset({Permission.OVERVIEW_READ, Permission.DEFENDERS_READ, Permission.COLLECTIONS_READ})
_READING = frozenset(permission for permission in GRANTABLE if permission.reads)
_ABOUT_PEOPLE = frozenset({Permission.ACCESS_READ, Permission.ACCESS_WRITE})
_SYSTEM = (
    Role(
        name=ADMINISTRATOR,
        description="Everything, other people's rights among it",
        permissions=GRANTABLE,
    ),
    Role(
        name="Operator",
        description="Everything but people's rights and the Console itself",
        permissions=GRANTABLE - _ABOUT_PEOPLE - {Permission.SYSTEM_WRITE},
    ),
    Role(name="Auditor", description="Reads everything, changes nothing", permissions=_READING),
    Role(
        name="DevSecOps User",
        description="Reads policies and what happened, sees to incidents",
        permissions=_LOOKING
        | {
            Permission.POLICY_READ,
            Permission.AUDITS_READ,
            Permission.FORENSICS_READ,
            Permission.PROFILES_READ,
            Permission.IMAGES_READ,
            Permission.INCIDENTS_ACKNOWLEDGE,
        },
    ),
    Role(
        name="Vulnerability Manager",
        description="Reads images, what workloads do, and policies",
        permissions=_LOOKING | {Permission.IMAGES_READ, Permission.PROFILES_READ, Permission.POLICY_READ},
    ),
    Role(
        name="DevOps User",
        description="Reads images and which Defenders there are",
        permissions=_LOOKING | {Permission.IMAGES_READ},
    ),
    Role(
        name="Defender Manager",
        description="Deploys Defenders and sees to them; reads the settings and the log of changes",
        permissions=_LOOKING
        | {
            Permission.DEFENDERS_MANAGE,
            Permission.DEFENDERS_EMBED,
            Permission.IMAGES_READ,
            Permission.CREDENTIALS_READ,
            Permission.SETTINGS_READ,
            Permission.CHANGES_READ,
        },
    ),
    Role(
        name="CI User",
        description="For pipelines: protects definitions, and fetches what is needed for it",
        permissions=frozenset({Permission.DEFENDERS_EMBED}),
    ),
)
SYSTEM_ROLES: Mapping[str, Role] = {role.name: dataclasses.replace(role, system=True) for role in _SYSTEM}
