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


class Detection(enum.Enum):
    """What a Defender finds by itself; severity and techniques are in `contract/detections.json`."""

    MODIFIED_BINARY = "modifiedBinary"
    NEW_BINARY = "newBinary"
    ALTERED_PACKAGE_BINARY = "alteredPackageBinary"
    CRYPTO_MINER = "cryptoMiner"
    REVERSE_SHELL = "reverseShell"
    WEB_SHELL = "webShell"
    TMPFS_PROCESS = "tmpfsProcess"
    MEMORY_PROCESS = "memoryProcess"
    LOADER_INVOCATION = "loaderInvocation"
    PRELOAD = "preload"
    SETUID_USE = "setuidUse"
    LATERAL_MOVEMENT = "lateralMovement"
    INLINE_CODE = "inlineCode"
    NOT_MAIN_PROCESS = "notMainProcess"
    PORT_SCAN = "portScan"
    RAW_SOCKET = "rawSocket"
    CLOUD_METADATA = "cloudMetadata"
    ENCRYPTED_DNS = "encryptedDns"
    UNRESOLVED_ADDRESS = "unresolvedAddress"
    UNSEEN_CONNECTION = "unseenConnection"
    BINARY_WRITTEN = "binaryWritten"
    CERTIFICATE_WRITTEN = "certificateWritten"
    SSH_ACCESS = "sshAccess"
    ADMINISTRATIVE_ACCOUNT = "administrativeAccount"
    SUSPICIOUS_ELF = "suspiciousElf"
    PACKED_BINARY = "packedBinary"
    PRELOAD_FILE = "preloadFile"
    CRON_FILE = "cronFile"
    INJECTED_PROCESS = "injectedProcess"
    TAMPERING = "tampering"


class CustomKind(enum.Enum):
    """What a custom rule is about."""

    PROCESSES = "processes"
    FILESYSTEM = "filesystem"
    NETWORK_OUTGOING = "network-outgoing"


class CustomEffect(enum.Enum):
    """What happens when a custom rule matches; `allow` ends the judging in favour of the event."""

    ALLOW = "allow"
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


class NetworkPolicy(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Lists for connections: CIDR blocks and port ranges."""

    effect: Effect
    allow_addresses: tuple[str, ...]
    deny_addresses: tuple[str, ...]
    allow_ports: tuple[PortRange, ...]
    deny_ports: tuple[PortRange, ...]
    allow_listen_ports: tuple[PortRange, ...] = ()
    deny_listen_ports: tuple[PortRange, ...] = ()
    unresolved_private: bool = False


class FilePolicy(msgspec.Struct, frozen=True):
    """Lists for writes: globs on absolute paths; an entry also speaks of everything beneath it."""

    effect: Effect = Effect.DISABLE
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class CustomRule(msgspec.Struct, frozen=True):
    """One custom rule; its script is in the grammar of `docs/reference`."""

    name: str
    kind: CustomKind
    script: str
    effect: CustomEffect


NO_PROCESSES = ProcessPolicy(effect=Effect.DISABLE, allow=(), deny=())
NO_DNS = DnsPolicy(effect=Effect.DISABLE, allow=(), deny=())
NO_NETWORK = NetworkPolicy(effect=Effect.DISABLE, allow_addresses=(), deny_addresses=(), allow_ports=(), deny_ports=())

NO_FILES = FilePolicy()


class DefenderPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one rule that applies to one workload; `rule` is None when none does, and then nothing is judged."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    revision: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    rule: str | None
    processes: ProcessPolicy
    dns: DnsPolicy
    network: NetworkPolicy
    files: FilePolicy = NO_FILES
    detections: dict[Detection, Effect] = {}
    custom: tuple[CustomRule, ...] = ()


class EncodedPolicy(msgspec.Struct, frozen=True):
    """A resolved policy together with the lower-case hex SHA-256 of its encoded bytes."""

    hash: str
    policy: DefenderPolicy


def encode_policy(policy: DefenderPolicy) -> EncodedPolicy:
    """Return the policy with its hash; the bytes that are hashed are the compact JSON that is sent."""
    return EncodedPolicy(hash=hashlib.sha256(msgspec.json.encode(policy)).hexdigest(), policy=policy)
