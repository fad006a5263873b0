"""The policy as the vendor's API shows it."""

from collections.abc import Mapping
from typing import Any

from bartizan.policy.checks import FILE_CHECKS, PROCESS_CHECKS, Asked, Check
from bartizan.policy.defender_policy import Detection, PortRange
from bartizan.policy.model import ANY, EVERYTHING, Attachment, Collection, Rule, RuntimePolicy
from bartizan.policy.sections import UNRESOLVED_PRIVATE

POLICY_ID = "appEmbeddedRuntime"


def policy_document(policy: RuntimePolicy) -> dict[str, Any]:
    """Return the JSON document of the whole policy; `parse_policy` reads it back to an equal value."""
    return {"_id": POLICY_ID, "rules": [rule_document(rule) for rule in policy.rules]}


def rule_document(rule: Rule) -> dict[str, Any]:
    """Return the JSON document of one rule, with the vendor's fields that we do not support at their inert values."""
    return {
        "name": rule.name,
        "previousName": "",
        "owner": rule.owner,
        "modified": rule.modified,
        "notes": rule.notes,
        "disabled": rule.disabled,
        "collections": [collection_document(collection) for collection in rule.collections],
        "processes": {
            "effect": rule.processes.effect.value,
            "whitelist": list(rule.processes.allow),
            "blacklist": list(rule.processes.deny),
            **_checks(rule, PROCESS_CHECKS),
        },
        "network": {
            "effect": rule.network.effect.value,
            "whitelistIPs": list(rule.network.allow_addresses),
            "blacklistIPs": list(rule.network.deny_addresses),
            "whitelistListeningPorts": _ports(rule.network.allow_listen_ports, deny=False),
            "blacklistListeningPorts": _ports(rule.network.deny_listen_ports, deny=True),
            "whitelistOutboundPorts": _ports(rule.network.allow_ports, deny=False),
            "blacklistOutboundPorts": _ports(rule.network.deny_ports, deny=True),
            UNRESOLVED_PRIVATE: rule.network.unresolved_private,
        },
        "dns": {
            "effect": rule.dns.effect.value,
            "whitelist": list(rule.dns.allow),
            "blacklist": list(rule.dns.deny),
        },
        "filesystem": {
            "effect": rule.files.effect.value,
            "whitelist": list(rule.files.allow),
            "blacklist": list(rule.files.deny),
            **_checks(rule, FILE_CHECKS),
        },
        "customRules": [_attachment_document(item) for item in rule.custom],
        "advancedProtection": Check.ADVANCED in rule.checks,
        "detections": {item.value: rule.detections[item].value for item in Detection if item in rule.detections},
        "wildFireAnalysis": "disable",
    }


def _checks(rule: Rule, fields: Mapping[Check, Asked]) -> dict[str, bool]:
    return {check.value: asked.when is (check in rule.checks) for check, asked in fields.items()}


def _attachment_document(item: Attachment) -> dict[str, Any]:
    effect = "disable" if item.effect is None else item.effect.value
    return {"_id": item.id, "effect": effect, "action": item.action.value}


def collection_document(collection: Collection) -> dict[str, Any]:
    """Return the JSON of a rule's collection, with the vendor's further fields at everything."""
    if collection.by_name:
        return {"name": collection.name}
    everything = list(ANY)
    return {
        "name": collection.name,
        "description": collection.description,
        "color": collection.color,
        "images": list(collection.images),
        "containers": list(collection.containers),
        "appIDs": list(collection.app_ids),
        "hosts": everything,
        "labels": list(collection.labels),
        "functions": everything,
        "namespaces": everything,
        "accountIDs": list(collection.account_ids),
        "clusters": list(collection.clusters),
    }


def stored_collection_document(collection: Collection) -> dict[str, Any]:
    """Return the JSON of a collection as it is kept; `parse_collection` reads it back to an equal value."""
    return {
        **collection_document(collection),
        "owner": collection.owner,
        "modified": collection.modified,
        "system": collection.name == EVERYTHING.name,
        "prisma": False,
    }


def _ports(ranges: tuple[PortRange, ...], *, deny: bool) -> list[dict[str, Any]]:
    return [{"start": item.start, "end": item.end, "deny": deny} for item in ranges]
