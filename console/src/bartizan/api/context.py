"""What the routes work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.types import Scope

from bartizan.services.accounts import Accounts
from bartizan.services.alert_profiles import AlertProfiles
from bartizan.services.audits import Audits
from bartizan.services.backups import Backups
from bartizan.services.bundles import Bundles
from bartizan.services.changes import Changes
from bartizan.services.collections import Collections
from bartizan.services.credentials import Credentials
from bartizan.services.custom_rules import CustomRules
from bartizan.services.defenders import Defenders
from bartizan.services.deployed import DeployedDefenders
from bartizan.services.discoveries import Discoveries
from bartizan.services.egress import OutgoingProxy
from bartizan.services.embed_dockerfile import EmbedDockerfile
from bartizan.services.event_allowance import EventAllowance
from bartizan.services.events import EventList
from bartizan.services.firewall import Firewall
from bartizan.services.firewall_audits import FirewallAudits
from bartizan.services.forensics import Forensics
from bartizan.services.health import Health
from bartizan.services.image_lookup import ImageLookUp
from bartizan.services.incidents import Incidents
from bartizan.services.investigation import Investigation
from bartizan.services.learning import Learning
from bartizan.services.models import Models
from bartizan.services.names import Names
from bartizan.services.oidc import Oidc
from bartizan.services.overview import Overview
from bartizan.services.policies import Policies
from bartizan.services.protect_task import ProtectTask
from bartizan.services.registries import Registries
from bartizan.services.retention import Retentions
from bartizan.services.rule_hits import RuleHits
from bartizan.services.rulesets import Rulesets
from bartizan.services.scrubbing import Scrubbing
from bartizan.services.trial import Trials
from bartizan.services.users import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the Console stands on: its database (shown without a password), its kind and its schema."""

    database: str
    database_kind: str
    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """The use-cases that the API serves; `binaries` has the Defender's file for each architecture."""

    accounts: Accounts
    alert_profiles: AlertProfiles
    audits: Audits
    backups: Backups
    bundles: Bundles
    collections: Collections
    changes: Changes
    credentials: Credentials
    custom_rules: CustomRules
    defenders: Defenders
    deployed: DeployedDefenders
    discoveries: Discoveries
    embed_dockerfile: EmbedDockerfile
    event_allowance: EventAllowance
    events: EventList
    firewall: Firewall
    firewall_audits: FirewallAudits
    forensics: Forensics
    health: Health
    image_lookup: ImageLookUp
    incidents: Incidents
    investigation: Investigation
    learning: Learning
    models: Models
    names: Names
    overview: Overview
    oidc: Oidc
    policies: Policies
    protect_task: ProtectTask
    proxy: OutgoingProxy
    registries: Registries
    firewall_hits: RuleHits
    rule_hits: RuleHits
    retentions: Retentions
    rulesets: Rulesets
    scrubbing: Scrubbing
    users: Users
    trials: Trials
    ca_pem: str
    ca_expiration: int
    version: str
    binaries: Mapping[str, Path]
    about: About


def services_of(request: Request) -> ApiServices:
    """Return the use-cases of the application that got this request."""
    found = request.app.state.services
    if not isinstance(found, ApiServices):
        raise TypeError("the application was made without its services")
    return found


def address_of(request: Request) -> str:
    """Return the IP address that the request came from."""
    return source_of(request.scope)


def source_of(scope: Scope) -> str:
    """Return the IP address that a request came from; one of IPv4 is written as such on sockets of both kinds, too."""
    client = scope.get("client")
    return str(client[0]).removeprefix("::ffff:") if client else "unknown"
