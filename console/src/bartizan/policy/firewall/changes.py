"""What differs between two WAAS policies, each change with its lines of YAML."""

from dataclasses import replace
from typing import Any

import yaml

from bartizan.policy.changes import RuleChange, changed_lines, policy_changes
from bartizan.policy.firewall.model import FirewallPolicy, FirewallRule
from bartizan.policy.firewall.render import firewall_document, firewall_rule_document

_WIDTH = 120
_NOT_OF_USERS = ("owner", "modified", "previousName")
_SAYS_NOTHING: tuple[Any, ...] = (None, False, "", [], {}, "disable", ["*"])


def firewall_changes(before: FirewallPolicy, after: FirewallPolicy) -> list[RuleChange]:
    """Return what changed from one policy to another, each change with its lines of YAML."""
    old, new = ({rule.name: rule for rule in policy.rules} for policy in (before, after))

    def text(rules: dict[str, FirewallRule], name: str) -> str:
        return _rule_yaml(rules[name]) if name in rules else ""

    return [
        replace(change, lines=tuple(changed_lines(text(old, change.rule), text(new, change.rule))))
        if change.kind != "moved"
        else change
        for change in policy_changes(firewall_document(before), firewall_document(after))
    ]


def _rule_yaml(rule: FirewallRule) -> str:
    """Return a rule as YAML for reading, without what says nothing."""
    document = {key: value for key, value in firewall_rule_document(rule).items() if key not in _NOT_OF_USERS}
    return yaml.dump(_brief(document), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _brief(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        brief = {key: _brief(item) for key, item in value.items()}
        return {key: item for key, item in brief.items() if not any(item == nothing for nothing in _SAYS_NOTHING)}
    if isinstance(value, list):
        return [_brief(item) for item in value]
    return value
