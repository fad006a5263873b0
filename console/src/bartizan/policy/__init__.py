"""
The runtime policy: what users write, how its scope is resolved, and what a Defender gets.

Pure: values in, values out. The Console resolves scope here; the decision itself is the Defender's.
"""

from bartizan.policy.defender_policy import (
    DefenderPolicy,
    DnsPolicy,
    Effect,
    EncodedPolicy,
    NetworkPolicy,
    PortRange,
    ProcessPolicy,
    encode_policy,
)
from bartizan.policy.library import custom_rule_document, parse_custom_rule
from bartizan.policy.model import Collection, CustomDefinition, Library, Rule, RuntimePolicy, Workload
from bartizan.policy.parse import parse_policy, parse_rule, parse_stored
from bartizan.policy.reading import PolicyError
from bartizan.policy.render import policy_document, rule_document
from bartizan.policy.resolve import library_problems, resolve

__all__ = [
    "Collection",
    "CustomDefinition",
    "DefenderPolicy",
    "DnsPolicy",
    "Effect",
    "EncodedPolicy",
    "Library",
    "NetworkPolicy",
    "PolicyError",
    "PortRange",
    "ProcessPolicy",
    "Rule",
    "RuntimePolicy",
    "Workload",
    "custom_rule_document",
    "encode_policy",
    "library_problems",
    "parse_custom_rule",
    "parse_policy",
    "parse_rule",
    "parse_stored",
    "policy_document",
    "resolve",
    "rule_document",
]
