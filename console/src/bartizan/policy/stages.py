"""
The stages of a learned rule: discover → alert → prevent.

In `discover` everything is watched and nothing is an offence, in `alert` what was not learned is reported, in
`prevent` it is stopped.
"""

import enum
from dataclasses import replace

import msgspec

from bartizan.policy.defender_policy import DnsPolicy, Effect, FilePolicy, NetworkPolicy, ProcessPolicy
from bartizan.policy.model import Collection, Rule


class Stage(enum.Enum):
    """How far a learned rule has come."""

    DISCOVER = "discover"
    ALERT = "alert"
    PREVENT = "prevent"


def discovering(name: str, collection: Collection) -> Rule:
    """Return a rule that watches a scope: every section is on, and no list is there that something could offend."""
    return Rule(
        name=name,
        collections=(collection,),
        processes=ProcessPolicy(effect=Effect.ALERT, allow=(), deny=()),
        dns=DnsPolicy(effect=Effect.ALERT, allow=(), deny=()),
        network=NetworkPolicy(
            effect=Effect.ALERT, allow_addresses=(), deny_addresses=(), allow_ports=(), deny_ports=()
        ),
        files=FilePolicy(effect=Effect.ALERT),
    )


def preventing(rule: Rule) -> Rule:
    """Return a rule that stops what it reported; detections stay as they are, for they were not learned."""
    return replace(
        rule,
        processes=msgspec.structs.replace(rule.processes, effect=_harder(rule.processes.effect)),
        dns=msgspec.structs.replace(rule.dns, effect=_harder(rule.dns.effect)),
        network=msgspec.structs.replace(rule.network, effect=_harder(rule.network.effect)),
        files=msgspec.structs.replace(rule.files, effect=_harder(rule.files.effect)),
    )


def _harder(effect: Effect) -> Effect:
    return Effect.PREVENT if effect is Effect.ALERT else effect
