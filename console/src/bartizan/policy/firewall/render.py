"""The WAAS policy as the vendor's API shows it: without the private keys."""

from typing import Any

from bartizan.policy.firewall.application import Application
from bartizan.policy.firewall.model import POLICY_ID, FirewallPolicy, FirewallRule
from bartizan.policy.render import collection_document


def firewall_document(policy: FirewallPolicy) -> dict[str, Any]:
    """Return the JSON document of the whole policy; `parse_firewall` reads it back to an equal value."""
    return {
        "_id": POLICY_ID,
        "rules": [firewall_rule_document(rule) for rule in policy.rules],
        "minPort": policy.first_port,
        "maxPort": policy.last_port,
    }


def firewall_rule_document(rule: FirewallRule) -> dict[str, Any]:
    """Return the JSON document of one rule."""
    return {
        "name": rule.name,
        "previousName": "",
        "owner": rule.owner,
        "modified": rule.modified,
        "notes": rule.notes,
        "disabled": rule.disabled,
        "collections": [collection_document(collection) for collection in rule.collections],
        "applicationsSpec": [_application_document(item) for item in rule.applications],
        "readTimeoutSeconds": rule.read_timeout,
        "skipAPILearning": rule.skip_learning,
        "profile": rule.profile,
        "trustedProxies": None if rule.trusted_proxies is None else list(rule.trusted_proxies),
        "forwardedFor": rule.forwarded_for,
    }


def _application_document(item: Application) -> dict[str, Any]:
    certificate = {"encrypted": item.certificate, "plain": "", "environment": item.environment}
    return {**item.document, "certificate": certificate}
