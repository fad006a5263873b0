"""Defenders and what is in force at them, as JSON."""

from typing import Any, Literal

import msgspec


class DefenderWorkload(msgspec.Struct, rename="camel"):
    """
    One container of a Defender's task; `tier` is the mechanism that enforces there (0 is none).

    `policyHash` is the policy in force, `desiredPolicyHash` the one that should be: equal once a change has arrived.
    `rule` is the rule of the runtime policy that applies, empty when none does; `instance` names the Defender's process
    in the container once it has spoken.
    """

    container: str | None
    image: str | None
    policy_hash: str | None
    desired_policy_hash: str
    tier: int | None
    tier_reasons: tuple[str, ...]
    dropped: int
    rule: str
    instance: str | None


class DefenderFirewallPort(msgspec.Struct):
    """A port that the firewall listens on, and the application's port behind it."""

    exposed: int
    internal: int


class DefenderRuleset(msgspec.Struct, rename="camel"):
    """
    The rules that a Defender's firewall judges by; without `hash` they came with the Defender.

    `error` says why the set that came last is not in force; `leftOut` are numbers of rules that it does not judge.
    """

    hash: str | None
    version: str | None
    error: str | None
    left_out: list[int]


class DefenderOpenPort(msgspec.Struct):
    """A port that others than the firewall listen on; `covered` when a port of the firewall leads there."""

    port: int
    covered: bool


class DefenderFirewall(msgspec.Struct, rename="camel"):
    """
    A Defender's firewall as it last reported; `policyHash` and `desiredPolicyHash` are equal once a change has arrived.

    `error` tells why the policy is not in force; `openPorts` are reachable beside the firewall, unless the network
    closes them; `counters` count from the Defender's start.
    """

    policy_hash: str | None
    desired_policy_hash: str
    error: str | None
    ports: list[DefenderFirewallPort]
    ruleset: DefenderRuleset | None
    open_ports: list[DefenderOpenPort]
    counters: dict[str, Any]


class DefenderGap(msgspec.Struct):
    """Something of a workload that goes unprotected: a container or a port (`name`), and why."""

    kind: Literal["container", "notEnforcing", "looksOnly", "noRule", "port", "auditsDropped"]
    name: str
    reason: str


class Defender(msgspec.Struct, rename="camel"):
    """
    One Defender. `hostname` is the App ID, as everywhere in this API; `host` is the machine's name.

    `state`: `ended` ones said goodbye, `lost` ones did not, `awaited` ones were there when the Console ended, `revoked`
    ones were shut out. `sync` tells whether what should be in force is. `latest` ones are of the Console's version.
    With no new contact it leaves the list at `removal`. `auditCount` are those since `connectedSince`.
    """

    id: str
    type: Literal["fargate", "appEmbedded"]
    hostname: str
    app_id: str = msgspec.field(name="appID")
    host: str
    task: str | None
    connected: bool
    state: Literal["connected", "awaited", "lost", "ended", "revoked"]
    sync: Literal["inSync", "pending", "failed", "unknown"]
    version: str
    latest: bool
    architecture: str
    is_arm64: bool = msgspec.field(name="isARM64")
    first_seen: str
    connected_since: str | None
    last_modified: str
    removal: str | None
    certificate_expiration: str
    certificate_ends_soon: bool
    bundle: str
    goodbye: str | None
    audit_count: int
    last_audit: str | None
    gaps: list[DefenderGap]
    workloads: list[DefenderWorkload]
    waas: DefenderFirewall | None = None


class DefenderFacets(msgspec.Struct, rename="camel"):
    """How many Defenders have each value of what they can be filtered by, whatever that filter is set to."""

    type: dict[str, int]
    state: dict[str, int]
    sync: dict[str, int]
    version: dict[str, int]
    latest: dict[str, int]
    architecture: dict[str, int]
    app_id: dict[str, int] = msgspec.field(name="appID")
    gap: dict[str, int]
    certificate_ends: dict[str, int]
    bundle: dict[str, int]


class DefenderSummary(msgspec.Struct):
    """How many Defenders of a category there are, and are connected."""

    category: Literal["fargate", "appEmbedded"]
    deployed: int
    connected: int


DEFENDER_SHAPES = (Defender, DefenderFacets, DefenderSummary)
