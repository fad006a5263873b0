"""
The policy of one workload as it travels to its Defender (`contract/defender-policy.schema.json`).

Field order and the compact encoding are part of the hash, so both are fixed here and nowhere else.
"""

import enum
import hashlib
from typing import Annotated

import msgspec

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Effect(enum.Enum):
    """What happens to a violation."""

    DISABLE = "disable"
    ALERT = "alert"
    PREVENT = "prevent"


class PortRange(msgspec.Struct, frozen=True):
    """An inclusive range of ports."""

    start: Port
    end: Port


class ProcessPolicy(msgspec.Struct, frozen=True):
    """Lists for program starts: entries without `/` are globs on names, with `/` globs on paths."""

    effect: Effect
    allow: tuple[str, ...]
    deny: tuple[str, ...]


class DnsPolicy(msgspec.Struct, frozen=True):
    """Lists for look-ups: globs on lower-case names."""

    effect: Effect
    allow: tuple[str, ...]
    deny: tuple[str, ...]


class NetworkPolicy(msgspec.Struct, frozen=True, rename="camel"):
    """Lists for connections: CIDR blocks and port ranges."""

    effect: Effect
    allow_addresses: tuple[str, ...]
    deny_addresses: tuple[str, ...]
    allow_ports: tuple[PortRange, ...]
    deny_ports: tuple[PortRange, ...]


NO_PROCESSES = ProcessPolicy(effect=Effect.DISABLE, allow=(), deny=())
NO_DNS = DnsPolicy(effect=Effect.DISABLE, allow=(), deny=())
NO_NETWORK = NetworkPolicy(effect=Effect.DISABLE, allow_addresses=(), deny_addresses=(), allow_ports=(), deny_ports=())


class DefenderPolicy(msgspec.Struct, frozen=True):
    """The one rule that applies to one workload; `rule` is None when none does, and then nothing is judged."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    revision: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    rule: str | None
    processes: ProcessPolicy
    dns: DnsPolicy
    network: NetworkPolicy


class EncodedPolicy(msgspec.Struct, frozen=True):
    """A resolved policy together with the lower-case hex SHA-256 of its encoded bytes."""

    hash: str
    policy: DefenderPolicy


def encode_policy(policy: DefenderPolicy) -> EncodedPolicy:
    """Return the policy with its hash; the bytes that are hashed are the compact JSON that is sent."""
    return EncodedPolicy(hash=hashlib.sha256(msgspec.json.encode(policy)).hexdigest(), policy=policy)
