"""
The runtime policy as YAML, for people and their repositories.

The fields are those of the JSON. What is written leaves out what says nothing: owners, times, and every field that has
the value it has when it is left out. So a file is as short as what it means, and reads back to an equal policy.
"""

import json
from dataclasses import replace
from typing import Any

import yaml

from bartizan.policy.changes import RuleChange, changed_lines, policy_changes
from bartizan.policy.model import Collection, Rule, RuntimePolicy
from bartizan.policy.openapi.reading import LARGEST, read_values
from bartizan.policy.parse import parse_policy
from bartizan.policy.reading import PolicyError
from bartizan.policy.render import collection_document, policy_document, rule_document

_WIDTH = 120
_EMPTY_RULE = rule_document(Rule(name=""))
_EMPTY_COLLECTION = collection_document(Collection(name=""))
_NOT_OF_USERS = ("owner", "modified", "previousName")


def read_policy(data: bytes) -> RuntimePolicy:
    """Return the policy of a JSON or YAML text. Raises PolicyError with every problem found."""
    if len(data) > LARGEST:
        raise PolicyError([f"the policy has {len(data)} bytes, at most {LARGEST} are read"])
    if data.lstrip()[:1] in (b"{", b"["):
        return parse_policy(data)
    return parse_policy(json.dumps(read_values(data)))


def policy_yaml(policy: RuntimePolicy) -> str:
    """Return the policy as YAML; `read_policy` reads it back to an equal one, but for owners and times."""
    return _written({"rules": [brief_rule(rule) for rule in policy.rules]})


def rule_yaml(rule: Rule) -> str:
    """Return one rule as YAML."""
    return _written(brief_rule(rule))


def brief_rule(rule: Rule) -> dict[str, Any]:
    """Return the document of a rule without what says nothing."""
    document = rule_document(rule)
    found: dict[str, Any] = {"name": rule.name}
    for key, value in document.items():
        if key in ("name", *_NOT_OF_USERS) or value == _EMPTY_RULE[key]:
            continue
        found[key] = value
        if key == "collections":
            found[key] = [{"name": item["name"], **_without(item, _EMPTY_COLLECTION)} for item in value]
        elif isinstance(value, dict) and isinstance(_EMPTY_RULE[key], dict) and key != "detections":
            found[key] = {"effect": value["effect"], **_without(value, _EMPTY_RULE[key])}
    return found


def runtime_changes(before: RuntimePolicy, after: RuntimePolicy) -> list[RuleChange]:
    """Return what changed from one policy to another, each change with its lines of YAML."""
    old, new = ({rule.name: rule for rule in policy.rules} for policy in (before, after))

    def text(rules: dict[str, Rule], name: str) -> str:
        return rule_yaml(rules[name]) if name in rules else ""

    return [
        replace(change, lines=tuple(changed_lines(text(old, change.rule), text(new, change.rule))))
        if change.kind != "moved"
        else change
        for change in policy_changes(policy_document(before), policy_document(after))
    ]


def _without(document: dict[str, Any], empty: dict[str, Any]) -> dict[str, Any]:
    return {key: _short(value) for key, value in document.items() if value != empty.get(key)}


def _short(value: object) -> object:
    """Return a list of port ranges without what its own name says: whether it denies them."""
    if not isinstance(value, list):
        return value
    return [{"start": item["start"], "end": item["end"]} if isinstance(item, dict) else item for item in value]


def _written(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


class _Dumper(yaml.CSafeDumper):
    """Writes an object of two or three numbers, such as a range of ports, on one line."""

    def ignore_aliases(self, _data: Any) -> bool:  # noqa: ANN401 - as the library has it
        """Write everything out."""
        return True


def _mapping(dumper: _Dumper, data: dict[str, Any]) -> yaml.Node:
    is_range = "start" in data and "end" in data
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=is_range)


_Dumper.add_representer(dict, _mapping)
