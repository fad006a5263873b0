"""
From the vendor's JSON to a policy, strictly.

What we cannot enforce is refused by name instead of being dropped in silence; the same fields at a value that asks for
nothing (`false`, empty, `disable`) are accepted, so that exported policies come in unchanged.
"""

import dataclasses
import json
from typing import Any

from bartizan.policy import entries, sections
from bartizan.policy.checks import Check
from bartizan.policy.defender_policy import Detection
from bartizan.policy.model import Rule, RuntimePolicy
from bartizan.policy.reading import (
    Harmless,
    PolicyError,
    a_list,
    an_object,
    asks_for_nothing,
    entry,
    flag,
    load,
    only,
    text,
)
from bartizan.policy.resolve import LARGEST_RESOLVED, resolved_size
from bartizan.policy.scopes import collections_of

MOST_RULES = 1000
_RULE_FIELDS = (
    "name",
    "notes",
    "disabled",
    "collections",
    "processes",
    "network",
    "dns",
    "filesystem",
    "customRules",
    "detections",
    "wildFireAnalysis",
    Check.ADVANCED.value,
)
# Set by the Console itself, whatever a client sends.
_BOOK_KEEPING = ("previousName", "owner", "modified")


def parse_policy(data: bytes | str) -> RuntimePolicy:
    """
    Return the policy that the vendor's JSON document describes.

    Raises PolicyError with every problem found.
    """
    problems: list[str] = []
    policy = _policy(load(data), problems)
    if problems:
        raise PolicyError(problems)
    return policy


def _policy(value: object, problems: list[str]) -> RuntimePolicy:
    document = an_object(value, "the policy", problems)
    items = a_list(document.get("rules"), "rules", problems)
    if len(items) > MOST_RULES:
        problems.append(f"there are {len(items)} rules, at most {MOST_RULES} are possible")
        items = []
    only(document, ("_id", "rules", "owner", "modified"), "", problems)
    rules = [_rule(item, f"rules[{index}]", problems) for index, item in enumerate(items)]
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            problems.append(f"the rule name `{rule.name}` is used twice")
        seen.add(rule.name)
    return RuntimePolicy(rules=tuple(rules))


def parse_rule(data: bytes | str) -> Rule:
    """Return the one rule that the JSON document describes. Raises PolicyError with every problem found."""
    problems: list[str] = []
    rule = _rule(load(data), "the rule", problems)
    if problems:
        raise PolicyError(problems)
    return rule


def parse_stored(data: bytes | str) -> RuntimePolicy:
    """
    Return a policy that this Console rendered itself, with the owners and times that it had set.

    Entries that can never match stay in it, although new policies are refused for them: a Console newer than its
    policy starts, and an allow list of nothing else does not turn into one that allows everything.
    """
    problems: list[str] = []
    policy = _policy(load(data), problems)
    if grave := [problem for problem in problems if not isinstance(problem, Harmless)]:
        raise PolicyError(grave)
    documents = json.loads(data)["rules"]
    return RuntimePolicy(
        rules=tuple(_as_stored(rule, document) for rule, document in zip(policy.rules, documents, strict=True))
    )


def _as_stored(rule: Rule, document: dict[str, Any]) -> Rule:
    # Before there were detections, all fields that ask for them were written as `false` and meant nothing.
    checks = rule.checks if "detections" in document else frozenset[Check]()
    return dataclasses.replace(rule, checks=checks, owner=document["owner"], modified=document["modified"])


def _rule(value: object, place: str, problems: list[str]) -> Rule:
    document = an_object(value, place, problems)
    name = entry(document.get("name", ""), f"{place}.name", entries.label, problems) or ""
    place = f"rule `{name}`" if name else place
    _refuse_wildfire(document, place, problems)
    only(document, (*_RULE_FIELDS, *_BOOK_KEEPING), f"{place}: ", problems)
    processes, process_checks = sections.processes(document.get("processes"), f"{place}: processes", problems)
    files, file_checks = sections.files(document.get("filesystem"), f"{place}: filesystem", problems)
    advanced = flag(document.get(Check.ADVANCED.value), f"{place}: {Check.ADVANCED.value}", problems)
    rule = Rule(
        name=name,
        collections=collections_of(document, place, problems),
        processes=processes,
        dns=sections.dns(document.get("dns"), f"{place}: dns", problems),
        network=sections.network(document.get("network"), f"{place}: network", problems),
        files=files,
        checks=process_checks | file_checks | ({Check.ADVANCED} if advanced else set()),
        detections=sections.detections(document.get("detections"), f"{place}: detections", problems),
        custom=sections.attachments(document.get("customRules"), f"{place}: customRules", problems),
        disabled=flag(document.get("disabled"), f"{place}: disabled", problems),
        notes=text(document.get("notes"), f"{place}: notes", problems),
    )
    if rule.network.unresolved_private and Detection.UNRESOLVED_ADDRESS not in rule.detections:
        problems.append(
            Harmless(
                f"{place}: network.{sections.UNRESOLVED_PRIVATE}: it widens the detection `unresolvedAddress`, which "
                'is not on: give its effect in `detections`, such as {"unresolvedAddress": "alert"}'
            )
        )
    size = resolved_size(rule)
    if size > LARGEST_RESOLVED:
        problems.append(f"{place}: its lists take {size} bytes, at most {LARGEST_RESOLVED} are possible")
    return rule


def _refuse_wildfire(document: dict[str, Any], place: str, problems: list[str]) -> None:
    if not asks_for_nothing(document.get("wildFireAnalysis")):
        problems.append(
            f"{place}: wildFireAnalysis: it is a service of its vendor, which files are not sent to; use `disable`"
        )
