"""The WAAS policy as users write it; only `parse` makes it from outside data."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.policy.firewall.application import Application
from bartizan.policy.model import EVERYTHING, Collection

POLICY_ID = "appEmbeddedAppFirewall"
FIRST_PORT, LAST_PORT = 30000, 31000


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """
    One rule: a scope, and the applications in it.

    `X-Forwarded-For` counts when it comes from `trusted_proxies` (None: private addresses), as `forwarded_for` says;
    `forwarded` is what of it the application gets.
    """

    name: str
    collections: tuple[Collection, ...] = (EVERYTHING,)
    applications: tuple[Application, ...] = ()
    profile: str = "balanced"
    read_timeout: int = 5
    trusted_proxies: tuple[str, ...] | None = None
    forwarded_for: str = "nearestUntrusted"
    forwarded: str = "append"
    skip_learning: bool = False
    disabled: bool = False
    notes: str = ""
    owner: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallPolicy:
    """All rules, in the order in which they are tried; the ports are the vendor's, of automatic assignment."""

    rules: tuple[FirewallRule, ...] = ()
    first_port: int = FIRST_PORT
    last_port: int = LAST_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkList:
    """A named list of addresses and CIDR blocks, IPv4 and IPv6."""

    name: str
    subnets: tuple[str, ...] = ()
    description: str = ""
    disabled: bool = False
    owner: str = ""
    modified: str = ""


NetworkLists = Mapping[str, NetworkList]
"""The network lists by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubbingRule:
    """What is replaced by `placeholder` before a request is logged: by a pattern, or at a place of the request."""

    name: str
    kind: str
    placeholder: str
    pattern: str = ""
    location: str = ""
    key: str = ""
    key_pattern: bool = False
    disabled: bool = False
    notes: str = ""
