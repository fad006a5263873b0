"""From all WAAS rules to the one that applies to a workload, as its Defender gets it (`waas-policy.schema.json`)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bartizan.policy.entries import address_entry
from bartizan.policy.firewall.application import Application
from bartizan.policy.firewall.model import FirewallPolicy, FirewallRule, NetworkLists, ScrubbingRule
from bartizan.policy.firewall.patterns import literal
from bartizan.policy.firewall.protections import GROUPS
from bartizan.policy.match import covers
from bartizan.policy.model import Workload

VERSION = 1
# A Defender gets it in one frame of 1 MiB.
LARGEST_RESOLVED = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    What a policy refers to.

    Certificates are PEM with their keys, `countries` are lines `NETWORK,COUNTRY`.
    """

    networks: NetworkLists
    scrubbing: Sequence[ScrubbingRule]
    certificates: Mapping[str, str]
    countries: str = ""


@dataclass(frozen=True, slots=True)
class EncodedFirewall:
    """A resolved WAAS policy with the lower-case hex SHA-256 of its JSON; keys are in it."""

    hash: str
    policy: dict[str, Any]

    def __repr__(self) -> str:
        """Return nothing of the keys."""
        return f"EncodedFirewall({self.hash!r})"


def resolve_firewall(
    policy: FirewallPolicy, workloads: Sequence[Workload], *, revision: int, around: Surroundings
) -> EncodedFirewall:
    """
    Return what the Defender of these workloads (of one task, or one application) has to enforce.

    The first rule that is not disabled and whose scope covers one of them wins. When none does, `rule` is null and
    there are no applications.
    """
    for rule in policy.rules:
        if not rule.disabled and any(covers(scope, item) for scope in rule.collections for item in workloads):
            return _encoded(_resolved(rule, revision, around))
    return _encoded(_document(None, revision, {"readTimeoutSeconds": 5, "profile": "balanced"}))


def reference_problems(policy: FirewallPolicy, around: Surroundings) -> list[str]:
    """Return what is wrong with a policy and what it refers to: what is not there, and too large results."""
    problems: list[str] = []
    for index, rule in enumerate(policy.rules):
        problems.extend(
            f"rules[{index}].{place}: there is no network list `{name}`, and no subnet"
            for place, name in networks_of(rule)
            if name not in around.networks and not _is_subnet(name)
        )
        if not around.countries:
            problems.extend(
                f"rules[{index}].applicationsSpec[{number}].networkControls.countries: there is no table of countries "
                "yet, put one at `/api/v1/policies/firewall/app/country-table`"
                for number, item in enumerate(rule.applications)
                if item.document["networkControls"]["countries"]["enabled"]
            )
        size = len(msgspec.json.encode(_resolved(rule, 0, around)))
        if size > LARGEST_RESOLVED:
            problems.append(f"rules[{index}]: it takes {size} bytes, at most {LARGEST_RESOLVED} are possible")
    return problems


def networks_of(rule: FirewallRule) -> Iterator[tuple[str, str]]:
    """Yield (JSON path, name) of every network list or subnet that a rule refers to."""
    yield from _named("trustedProxies", rule.trusted_proxies or ())
    for index, item in enumerate(rule.applications):
        for place, name in _networks_of(item):
            yield f"applicationsSpec[{index}].{place}", name


def _networks_of(item: Application) -> Iterator[tuple[str, str]]:
    controls = item.document["networkControls"]
    for kind in ("allow", "alert", "prevent"):
        yield from _named(f"networkControls.subnets.{kind}", controls["subnets"][kind])
    for kind in ("exceptionSubnets", "networkControlsExceptionSubnets"):
        yield from _named(f"networkControls.{kind}", controls[kind])
    yield from _named("dosConfig.excludedNetworkLists", item.document["dosConfig"]["excludedNetworkLists"])
    for index, bot in enumerate(item.document["botProtectionSpec"]["userDefinedBots"]):
        yield from _named(f"botProtectionSpec.userDefinedBots[{index}].subnets", bot["subnets"])


def _named(place: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(names):
        yield f"{place}[{index}]", name


def _is_subnet(name: str) -> bool:
    try:
        address_entry(name)
    except ValueError:
        return False
    return True


def _resolved(rule: FirewallRule, revision: int, around: Surroundings) -> dict[str, Any]:
    names = {name for _, name in networks_of(rule)}
    trusted = {} if rule.trusted_proxies is None else {"trustedProxies": list(rule.trusted_proxies)}
    lands = any(item.document["networkControls"]["countries"]["enabled"] for item in rule.applications)
    return _document(
        rule.name,
        revision,
        {
            "readTimeoutSeconds": rule.read_timeout,
            "profile": rule.profile,
            **({"skipAPILearning": True} if rule.skip_learning else {}),
            "applications": [_application(item, around.certificates) for item in rule.applications],
            "networkLists": {name: _subnets(name, around.networks) for name in sorted(names)},
            "sensitiveDataRules": [_scrubbed(item) for item in around.scrubbing if not item.disabled],
            "forwardedFor": rule.forwarded_for,
            **trusted,
            "countryTable": around.countries if lands else "",
        },
    )


def _document(name: str | None, revision: int, parts: dict[str, Any]) -> dict[str, Any]:
    nothing: dict[str, Any] = {"applications": [], "networkLists": {}, "sensitiveDataRules": []}
    return {"version": VERSION, "revision": revision, "rule": name, **nothing, **parts}


def _subnets(name: str, networks: NetworkLists) -> list[str]:
    """Return what a name stands for; a subnet stands for itself, and a disabled list for nothing."""
    found = networks.get(name)
    if found is None:
        return [address_entry(name)] if _is_subnet(name) else []
    return [] if found.disabled else list(found.subnets)


def _application(item: Application, certificates: Mapping[str, str]) -> dict[str, Any]:
    pem = certificates.get(item.certificate, "") if item.certificate else item.given
    certificate = {"environment": item.environment} if item.environment else {"plain": pem}
    groups = {name: _group(item.document[name]) for name in GROUPS if name in item.document}
    return {**item.document, **groups, "certificate": certificate}


def _group(group: dict[str, Any]) -> dict[str, Any]:
    """Return a group for the Defender, for which keys and values of exceptions are always patterns."""
    return {**group, "exceptionFields": [_pattern(item) for item in group["exceptionFields"]]}


def _pattern(item: dict[str, Any]) -> dict[str, Any]:
    key = item["key"] if item["keyPattern"] else literal(item["key"])
    value = item["value"] if item["valuePattern"] else literal(item["value"])
    return {**item, "key": key, "keyPattern": True, "value": value, "valuePattern": True}


def _scrubbed(item: ScrubbingRule) -> dict[str, Any]:
    """Return a rule of scrubbing for the Defender: `key` and `value` are patterns, the user agent is a header."""
    location, key = item.location, item.key if item.key_pattern else literal(item.key)
    if location == "UserAgentHeader":
        location, key = "header", "User-Agent"
    if item.kind == "location":
        key = key or ".*"
    return {"location": location, "key": key, "value": item.pattern, "placeholder": item.placeholder}


def _encoded(document: dict[str, Any]) -> EncodedFirewall:
    return EncodedFirewall(hashlib.sha256(msgspec.json.encode(document)).hexdigest(), document)
