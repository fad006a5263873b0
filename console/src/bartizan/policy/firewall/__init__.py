"""The WAAS policy: what users write, how its scope is resolved, and what a Defender gets. Pure."""

from bartizan.policy.firewall.countries import country_table
from bartizan.policy.firewall.model import (
    FirewallPolicy,
    FirewallRule,
    NetworkList,
    NetworkLists,
    ScrubbingRule,
)
from bartizan.policy.firewall.networks import network_list_document, parse_network_list, subnets_of_csv
from bartizan.policy.firewall.parse import parse_firewall, parse_stored_firewall
from bartizan.policy.firewall.render import firewall_document
from bartizan.policy.firewall.resolve import (
    EncodedFirewall,
    Surroundings,
    networks_of,
    reference_problems,
    resolve_firewall,
)
from bartizan.policy.firewall.scrubbing import parse_scrubbing, scrubbing_document

__all__ = [
    "EncodedFirewall",
    "FirewallPolicy",
    "FirewallRule",
    "NetworkList",
    "NetworkLists",
    "ScrubbingRule",
    "Surroundings",
    "country_table",
    "firewall_document",
    "network_list_document",
    "networks_of",
    "parse_firewall",
    "parse_network_list",
    "parse_scrubbing",
    "parse_stored_firewall",
    "reference_problems",
    "resolve_firewall",
    "scrubbing_document",
    "subnets_of_csv",
]
