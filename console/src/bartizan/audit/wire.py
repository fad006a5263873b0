"""An audit as it travels from the Defender (`contract/audit.schema.json`)."""

import enum
from typing import Annotated

import msgspec

# Milliseconds up to the year 9999: beyond it there is no RFC 3339 form.
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Id32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Reason(enum.Enum):
    """Why a policy objected."""

    DENIED_PROCESS = "deniedProcess"
    PROCESS_NOT_ALLOWED = "processNotAllowed"
    DENIED_NAME = "deniedName"
    NAME_NOT_ALLOWED = "nameNotAllowed"
    DENIED_ADDRESS = "deniedAddress"
    ADDRESS_NOT_ALLOWED = "addressNotAllowed"
    DENIED_PORT = "deniedPort"
    PORT_NOT_ALLOWED = "portNotAllowed"
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
    DENIED_LISTEN_PORT = "deniedListenPort"
    LISTEN_PORT_NOT_ALLOWED = "listenPortNotAllowed"
    DENIED_FILE = "deniedFile"
    FILE_NOT_ALLOWED = "fileNotAllowed"
    BINARY_WRITTEN = "binaryWritten"
    CERTIFICATE_WRITTEN = "certificateWritten"
    SSH_ACCESS = "sshAccess"
    ADMINISTRATIVE_ACCOUNT = "administrativeAccount"
    SUSPICIOUS_ELF = "suspiciousElf"
    PACKED_BINARY = "packedBinary"
    PRELOAD_FILE = "preloadFile"
    CRON_FILE = "cronFile"
    CUSTOM_RULE = "customRule"
    INJECTED_PROCESS = "injectedProcess"
    TAMPERING = "tampering"
    DEFENDER = "defender"
    WAAS = "waas"


class AuditEffect(enum.Enum):
    """What was done about it; only requests are banned, or allowed and yet told of."""

    ALERT = "alert"
    PREVENT = "prevent"
    BAN = "ban"
    ALLOW = "allow"


class Protocol(enum.Enum):
    """Transport protocol of a connection; `raw` for packets of none that the Defender reads."""

    TCP = "tcp"
    UDP = "udp"
    RAW = "raw"


class Notice(enum.Enum):
    """What a Defender has to say about itself."""

    STARTED_WITHOUT_POLICY = "startedWithoutPolicy"
    AUDITS_DROPPED = "auditsDropped"
    NOT_ENFORCING = "notEnforcing"
    ATTACH_REFUSED = "attachRefused"
    ANSWERED_LATE = "answeredLate"
    ATTACKED = "attacked"
    UNPROTECTED_PORT = "unprotectedPort"


class ProcessEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="process", omit_defaults=True):
    """A program start. `path` is the loaded executable, `invoked` what execve was given."""

    path: str
    invoked: str
    arguments: tuple[str, ...]
    pid: Id32
    parent_pid: Id32
    parent_path: str
    user: Id32
    main: bool
    interpreted: bool
    invoked_is_exe: bool
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None


class LookupEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="lookup"):
    """A DNS look-up; `pid` 0 and an empty `path` mean that the asking process is not known."""

    name: str
    record_type: str
    pid: Id32
    path: str


class ConnectionEvent(
    msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="connection", omit_defaults=True
):
    """A TCP connection or a UDP datagram; `domain` is the name whose look-up gave the address, if one did."""

    protocol: Protocol
    address: str
    port: Port
    pid: Id32
    path: str
    resolver: bool
    domain: str | None = None


class ListenEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="listen"):
    """A port that is listened on, or bound for datagrams; port 0 when the kernel chooses one."""

    protocol: Protocol
    address: str
    port: Port
    pid: Id32
    path: str


class FileOperation(enum.Enum):
    """What is done to a file."""

    CREATE = "create"
    WRITE = "write"
    RENAME = "rename"
    REMOVE = "remove"
    ATTRIBUTES = "attributes"


class FileEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="file"):
    """A write to `file`, or to its name, by the program `path`."""

    operation: FileOperation
    file: str
    pid: Id32
    path: str
    user: Id32


class DefenderEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="defender"):
    """A notice of the Defender about itself."""

    notice: Notice
    detail: str
    count: Count


# What is longer than users are shown is cut when it is kept; these bounds only keep a frame from being all of one text.
Line = Annotated[str, msgspec.Meta(max_length=65536)]
Word = Annotated[str, msgspec.Meta(max_length=1024)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=500)]


class Protection(enum.Enum):
    """The part of a WAAS policy that found something."""

    FIREWALL = "firewall"
    DOS = "dos"
    BOT = "bot"
    CUSTOM = "custom"
    ACCESS_CONTROL = "accessControl"
    API = "api"


class AttackField(msgspec.Struct, frozen=True):
    """The place of an attack in a request: kind of place, name there, and its value, scrubbed."""

    type: Word
    key: Line
    value: Line


class RequestEvent(
    msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="request", omit_defaults=True, kw_only=True
):
    """
    A request that a WAAS policy spoke of.

    `application` is that of the policy, `type` the kind of attack, `address` the client's, `peers` the addresses that
    it came through, `headers` the head as it was (scrubbed), `rules` those that matched.
    """

    application: Word
    type: Annotated[str, msgspec.Meta(pattern="^[a-zA-Z][a-zA-Z0-9]{0,63}$")]
    protection: Protection
    message: Line
    event_id: Annotated[str, msgspec.Meta(max_length=64)]
    method: Word
    url: Line
    path: Line
    query: Line
    host: Annotated[str, msgspec.Meta(max_length=1024)]
    address: Word
    field: AttackField | None = None
    headers: Line = ""
    header_names: Words = ()
    response_header_names: Words = ()
    status: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    user_agent: Line = ""
    peers: Words = ()
    country: Annotated[str, msgspec.Meta(max_length=2)] | None = None
    rules: Annotated[tuple[Id32, ...], msgspec.Meta(max_length=1000)] = ()
    score: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] = 0


Event = ProcessEvent | LookupEvent | ConnectionEvent | ListenEvent | FileEvent | DefenderEvent


class Ancestor(msgspec.Struct, frozen=True):
    """One of the processes that led to an event."""

    pid: Id32
    path: str


class Audit(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One judged event; `seq` counts from 1 for each Defender process."""

    seq: Sequence
    time: Milliseconds
    rule: str | None
    effect: AuditEffect
    reason: Reason
    matched: str | None
    event: Event | RequestEvent
    ancestry: tuple[Ancestor, ...] = ()
    """the processes that led to it, the nearest first"""
    count: Sequence = 1
    """how many times it happened since the last audit of its kind"""

    def __post_init__(self) -> None:
        """Refuse what cannot be: requests are the only ones with the reason `waas`, and with its effects."""
        is_request = isinstance(self.event, RequestEvent)
        if is_request is not (self.reason is Reason.WAAS):
            raise ValueError("the reason `waas` is that of requests, and of nothing else")
        if not is_request and self.effect not in (AuditEffect.ALERT, AuditEffect.PREVENT):
            raise ValueError(f"`{self.effect.value}` is the effect of requests only")


class Judged(msgspec.Struct, frozen=True):
    """What was done about an event of the record, and why."""

    effect: AuditEffect
    reason: Reason


class Recorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of a Defender's flight recorder; `judged` is there for events that were reported."""

    time: Milliseconds
    event: Event
    judged: Judged | None = None


class ObservedKind(enum.Enum):
    """Kinds of observation."""

    PROCESS = "process"
    NAME = "name"
    ADDRESS = "address"
    LISTEN = "listen"
    FILE = "file"


class Observed(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    One thing that a workload was seen to do, how often, and when (unix milliseconds).

    | kind | value | detail |
    |---|---|---|
    | process | program | the program that started it |
    | name | name that was looked up | |
    | address | IP address | protocol and port, such as `tcp/443` |
    | listen | protocol and port | |
    | file | file that was written | program that wrote it |
    """

    kind: ObservedKind
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    count: Sequence
    first: Milliseconds
    last: Milliseconds
    detail: Annotated[str, msgspec.Meta(max_length=1024)] = ""
