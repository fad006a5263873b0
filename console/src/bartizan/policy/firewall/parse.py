"""From the vendor's JSON to a WAAS policy, strictly: every problem is told at once, with its JSON path."""

import dataclasses
import json
from typing import Any

from bartizan.policy.entries import label
from bartizan.policy.firewall.application import Application, application
from bartizan.policy.firewall.fields import Shape, checked, choice, flag, ignored, once, several, text, whole
from bartizan.policy.firewall.model import FIRST_PORT, LAST_PORT, FirewallPolicy, FirewallRule
from bartizan.policy.firewall.protections import network_name
from bartizan.policy.reading import Harmless, PolicyError, load
from bartizan.policy.scopes import collections_of

MOST_RULES = 500
MOST_APPLICATIONS = 100


def _collections(value: object, place: str, problems: list[str]) -> Any:  # noqa: ANN401 - as readers are
    return collections_of({"collections": value}, place.rpartition(".")[0], problems)


def _proxies(value: object, place: str, problems: list[str]) -> tuple[str, ...] | None:
    """Read whom to believe about a client's address: networks and lists of them; None for private addresses."""
    return None if value is None else tuple(once(network_name, most=200)(value, place, problems))


_rule = Shape(
    fields={
        "name": checked(label, longest=256),
        "previousName": ignored,
        "owner": ignored,
        "modified": ignored,
        "notes": text(lines=True),
        "disabled": flag(),
        "collections": _collections,
        "applicationsSpec": several(application, most=MOST_APPLICATIONS),
        "readTimeoutSeconds": whole(1, 3600, default=5),
        "skipAPILearning": flag(),
        "profile": choice("balanced", "crsStrict", default="balanced"),
        "trustedProxies": _proxies,
        "forwardedFor": choice("nearestUntrusted", "first", "never", default="nearestUntrusted"),
    },
    refused={
        "autoProtectPorts": "an embedded Defender protects the ports that its endpoints name; name them",
        "windows": "there are no Defenders for Windows",
        "allowMalformedHttpHeaderNames": "malformed names of headers are always refused (RFC 9110, section 5.1)",
    },
    needed=("name", "applicationsSpec"),
)
_policy = Shape(
    fields={
        "_id": ignored,
        "owner": ignored,
        "modified": ignored,
        "rules": several(_rule, most=MOST_RULES),
        "minPort": whole(1, 65535, default=FIRST_PORT),
        "maxPort": whole(1, 65535, default=LAST_PORT),
    }
)


def parse_firewall(data: bytes | str) -> FirewallPolicy:
    """Return the WAAS policy of the vendor's JSON document. Raises PolicyError with every problem found."""
    policy, problems = _parsed(data)
    if problems:
        raise PolicyError(problems)
    return policy


def _parsed(data: bytes | str) -> tuple[FirewallPolicy, list[str]]:
    problems: list[str] = []
    document = _policy(load(data), "", problems)
    rules = tuple(_as_rule(rule) for rule in document["rules"])
    if document["minPort"] > document["maxPort"]:
        problems.append(f"minPort: {document['minPort']} is above `maxPort` {document['maxPort']}")
    _unique(rules, problems)
    return FirewallPolicy(rules=rules, first_port=document["minPort"], last_port=document["maxPort"]), problems


def parse_stored_firewall(data: bytes) -> FirewallPolicy:
    """Return a policy that this Console rendered itself, with the owners and times that it had set."""
    policy, problems = _parsed(data)
    if grave := [problem for problem in problems if not isinstance(problem, Harmless)]:
        raise PolicyError(grave)
    documents = json.loads(data)["rules"]
    rules = (
        dataclasses.replace(rule, owner=document["owner"], modified=document["modified"])
        for rule, document in zip(policy.rules, documents, strict=True)
    )
    return dataclasses.replace(policy, rules=tuple(rules))


def _as_rule(document: dict[str, Any]) -> FirewallRule:
    applications: list[Application] = document["applicationsSpec"]
    return FirewallRule(
        name=document["name"],
        collections=document["collections"],
        applications=tuple(applications),
        profile=document["profile"],
        trusted_proxies=document["trustedProxies"],
        forwarded_for=document["forwardedFor"],
        read_timeout=document["readTimeoutSeconds"],
        skip_learning=document["skipAPILearning"],
        disabled=document["disabled"],
        notes=document["notes"],
    )


def _unique(rules: tuple[FirewallRule, ...], problems: list[str]) -> None:
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.name and rule.name in seen:
            problems.append(f"rules[{index}].name: `{rule.name}` is used twice")
        seen.add(rule.name)
        names: set[str] = set()
        for number, item in enumerate(rule.applications):
            if item.app_id and item.app_id in names:
                problems.append(f"rules[{index}].applicationsSpec[{number}].appID: `{item.app_id}` is used twice")
            names.add(item.app_id)
