"""
The messages of the channel and of the relay (`contract/channel.schema.json`).

One JSON text frame is one message, told apart by `type`. Receivers ignore fields that they do not know and refuse
messages that lack a required one. The relay's messages never reach the Console; they are here so that the one schema
describes all that the products say to each other.
"""

import enum
from typing import Annotated, Any

import msgspec

from bartizan.audit import Audit
from bartizan.audit.wire import Observed, Port, Recorded, Sequence
from bartizan.policy import DefenderPolicy
from bartizan.policy.discovery import Shape

PROTOCOL = 1
SUBPROTOCOL = "bartizan.v1"
LARGEST_FRAME = 1 << 20
MOST_AUDITS = 500
MOST_WORKLOADS = 16
MOST_RECORDED = 5000
MOST_OBSERVED = 1000
MOST_PORTS = 200
MOST_COUNTERS = 200
MOST_LEFT_OUT = 1000
MOST_ERRORS = 100
MOST_ENDPOINTS = 1000
MOST_APPLICATIONS = 64
LARGEST_RULESET_PART = 256 << 10
MOST_RULESET_PARTS = 32

Instance = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Short = Annotated[str, msgspec.Meta(max_length=512)]
Pem = Annotated[str, msgspec.Meta(max_length=16384)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Committed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Counter = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=86400)]
ProtocolVersion = Annotated[int, msgspec.Meta(ge=1, le=1)]
Audits = Annotated[tuple[Audit, ...], msgspec.Meta(max_length=MOST_AUDITS)]
Events = Annotated[tuple[Recorded, ...], msgspec.Meta(max_length=MOST_RECORDED)]
Observations = Annotated[tuple[Observed, ...], msgspec.Meta(max_length=MOST_OBSERVED)]
Tier = Annotated[int, msgspec.Meta(ge=0, le=9)]
Reasons = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=1024)], ...], msgspec.Meta(max_length=32)]


class Kind(enum.Enum):
    """How a Defender came to its workload."""

    FARGATE = "fargate"
    APP_EMBEDDED = "appEmbedded"


class Message(
    msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag=lambda name: name[:1].lower() + name[1:]
):
    """Every message; its `type` is the class's name."""


class Workload(msgspec.Struct, frozen=True):
    """One container of the task; both fields are None for an app-embedded Defender."""

    container: Name | None
    image: Name | None


class WorkloadStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What is in force for one workload: `tier` is the mechanism (0 is none), with the reasons for it."""

    container: Name | None
    instance: Instance
    policy_hash: Hash | None
    tier: Tier
    tier_reasons: Reasons
    dropped: Count


class WorkloadPolicy(msgspec.Struct, frozen=True):
    """The policy of one workload and the hash of its encoded bytes."""

    container: Name | None
    hash: Hash
    policy: DefenderPolicy


class WaasPort(msgspec.Struct, frozen=True):
    """A port that the firewall listens on, and the application's port behind it."""

    exposed: Port
    internal: Port


class WaasOpenPort(msgspec.Struct, frozen=True):
    """A port that others listen on; covered when a port of the firewall leads there."""

    port: Port
    covered: bool


class WaasError(msgspec.Struct, frozen=True):
    """Something that went wrong at the firewall; it shows nothing of a request."""

    time: Milliseconds
    error: Annotated[str, msgspec.Meta(max_length=1024)]


WaasCounts = Annotated[dict[Counter, Count], msgspec.Meta(max_length=MOST_COUNTERS)]
WaasStatuses = Annotated[
    dict[Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{2}$")], Count], msgspec.Meta(max_length=900)
]
WaasErrors = Annotated[tuple[WaasError, ...], msgspec.Meta(max_length=MOST_ERRORS)]


WaasPath = Annotated[str, msgspec.Meta(pattern="^/", max_length=2048)]


class WaasEndpoint(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """
    An endpoint that requests have shown an application to have; in its path `{id}` stands for what differs.

    `hits` and `statuses` are of the time since the endpoint was last told of. `query` and `body` are JSON Schemas of
    what was sent so far; values are never told.
    """

    path: WaasPath
    method: Annotated[str, msgspec.Meta(pattern="^(GET|POST|PUT|PATCH|DELETE|HEAD)$")]
    hits: Count
    first_seen: Milliseconds
    last_seen: Milliseconds
    statuses: WaasStatuses
    sensitive: bool
    unauthenticated: bool
    unencrypted: bool
    query: Shape | None = None
    body: Shape | None = None


class WaasDiscovery(msgspec.Struct, frozen=True):
    """
    What was learnt of one application's interface since the last status.

    `wide` are paths that so many different segments were seen to follow that these are held for values: endpoints below
    one, whoever told of them, are one. `dropped` are requests for which there was no room.
    """

    application: Name
    endpoints: Annotated[tuple[WaasEndpoint, ...], msgspec.Meta(max_length=MOST_ENDPOINTS)]
    wide: Annotated[tuple[WaasPath, ...], msgspec.Meta(max_length=MOST_ENDPOINTS)]
    dropped: Count


class WaasRuleset(msgspec.Struct, frozen=True, rename="camel"):
    """
    The rules that a firewall judges by.

    `hash` names the set from the Console, None: the rules come with the Defender; `error` says why the set that
    came last is not in force. `leftOut` are numbers of rules that it does not judge, since it has no way to.
    """

    hash: Hash | None
    version: Annotated[str, msgspec.Meta(max_length=256)] | None
    error: Annotated[str, msgspec.Meta(max_length=16384)] | None
    left_out: Annotated[tuple[Count, ...], msgspec.Meta(max_length=MOST_LEFT_OUT)] = ()


class WaasStatus(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """
    The firewall of a Defender: the policy in force or why it is not, where it listens, and what it has counted.

    `openPorts` are reachable beside it. `counters` are numbers since the Defender's start by their names, `statuses`
    those of responses by their class, and `errors` the latest that went wrong. `discovery` is told once, with the next
    status after it was learnt, and takes at most 64 KiB: what does not fit comes with a later one.
    """

    hash: Hash | None = None
    error: Annotated[str, msgspec.Meta(max_length=16384)] | None = None
    ports: Annotated[tuple[WaasPort, ...], msgspec.Meta(max_length=MOST_PORTS)] = ()
    open_ports: Annotated[tuple[WaasOpenPort, ...], msgspec.Meta(max_length=MOST_PORTS)] = ()
    counters: Annotated[dict[Counter, Count | WaasCounts | WaasErrors], msgspec.Meta(max_length=MOST_COUNTERS)] = {}
    discovery: Annotated[tuple[WaasDiscovery, ...], msgspec.Meta(max_length=MOST_APPLICATIONS)] = ()
    ruleset: WaasRuleset | None = None


class Enrol(Message, frozen=True):
    """Defender to Console, on `/enrol`: a certificate is wanted. Everything in the CSR but its key is ignored."""

    bundle: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    csr: Pem
    instance: Instance
    kind: Kind
    app_id: Name


class Enrolled(Message, frozen=True):
    """Console to Defender: the certificate, the authority's certificate, and the time at which the first one ends."""

    certificate: Pem
    ca: Pem
    not_after: Milliseconds


class Hello(Message, frozen=True, omit_defaults=True):
    """Defender to Console, first on `/channel`; `ruleset` names the set of rules that it has from before."""

    protocol: ProtocolVersion
    instance: Instance
    kind: Kind
    app_id: Name
    version: Annotated[str, msgspec.Meta(max_length=64)]
    architecture: Annotated[str, msgspec.Meta(max_length=32)]
    hostname: Short
    task: Short | None
    workloads: Annotated[tuple[Workload, ...], msgspec.Meta(max_length=MOST_WORKLOADS)]
    ruleset: Hash | None = None


class Welcome(Message, frozen=True):
    """Console to Defender: what holds for this session."""

    server_time: Milliseconds
    heartbeat_seconds: Seconds
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=MOST_AUDITS)]


class Policies(Message, frozen=True):
    """Console to Defender: the policies of all workloads of the hello, after it and at every change."""

    revision: Count
    policies: Annotated[tuple[WorkloadPolicy, ...], msgspec.Meta(max_length=MOST_WORKLOADS)]


class Waas(Message, frozen=True):
    """
    Console to Defender: its WAAS policy (`waas-policy.schema.json`), after `policies` and at every change.

    One for the whole task; `hash` is the hex SHA-256 of the policy's JSON as it is sent.
    """

    revision: Count
    hash: Hash
    policy: dict[str, Any] | None


class Ruleset(Message, frozen=True):
    """
    Console to Defender: a piece of the set of rules that its firewall is to judge by; all pieces come in order.

    `hash` is the hex SHA-256 of the whole, `data` base64 of at most 256 KiB. With no `hash`, no parts and no data, the
    rules that come with the Defender are to be used again.
    """

    hash: Hash | None
    part: Annotated[int, msgspec.Meta(ge=0, le=MOST_RULESET_PARTS)]
    parts: Annotated[int, msgspec.Meta(ge=0, le=MOST_RULESET_PARTS)]
    data: Annotated[str, msgspec.Meta(max_length=-(-LARGEST_RULESET_PART // 3) * 4)]


class ChannelStatus(Message, frozen=True, tag="status", omit_defaults=True):
    """Defender to Console: the state of all workloads, and of the firewall if there is one; only the latest counts."""

    workloads: Annotated[tuple[WorkloadStatus, ...], msgspec.Meta(max_length=MOST_WORKLOADS)]
    waas: WaasStatus | None = None


class ChannelAudits(Message, frozen=True, tag="audits"):
    """Defender to Console: audits of one source, in order of `seq`."""

    source: Instance
    container: Name | None
    audits: Audits


class ChannelAck(Message, frozen=True, tag="ack"):
    """Console to Defender: everything of this source up to `committed` is in the database."""

    source: Instance
    committed: Committed


class ChannelFetch(Message, frozen=True, tag="fetch"):
    """Console to Defender: a piece of a workload's record is wanted, of the events numbered above `after`."""

    id: Instance
    container: Name | None
    after: Count
    reason: Short


class ChannelSnapshot(Message, frozen=True, tag="snapshot"):
    """
    Defender to Console, the answer to one `fetch`: events numbered on from `first`, none when there are no newer ones.

    `first` is above `after` + 1 when those between are gone; `newest` is the number of the newest event that there is.
    """

    id: Instance
    container: Name | None
    first: Sequence
    newest: Count
    events: Events


class ChannelObservations(Message, frozen=True, tag="observations"):
    """Defender to Console: what a workload did since the last time; `overflow` more sightings found no place."""

    container: Name | None
    number: Sequence
    observed: Observations
    overflow: Count


class Learned(Message, frozen=True):
    """Console to Defender: the observations of this number are in the database."""

    container: Name | None
    number: Sequence


class Renew(Message, frozen=True):
    """Defender to Console: a new certificate is wanted before the present one ends."""

    csr: Pem


class Renewed(Message, frozen=True):
    """Console to Defender: the new certificate."""

    certificate: Pem
    not_after: Milliseconds


class Goodbye(Message, frozen=True):
    """Defender to Console: a clean end."""

    reason: Short


class ErrorCode(enum.Enum):
    """Why the Console refuses or closes."""

    BAD_MESSAGE = "badMessage"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rateLimited"
    REVOKED = "revoked"
    CONFLICT = "conflict"
    REPLACED = "replaced"
    EXPIRED = "expired"
    UNAVAILABLE = "unavailable"


class Error(Message, frozen=True, omit_defaults=True):
    """Console to Defender: why something was refused; the connection is closed after it."""

    code: ErrorCode
    message: Annotated[str, msgspec.Meta(max_length=1024)]
    retry_after_seconds: Seconds | None = None


class Attach(Message, frozen=True):
    """Entrypoint to sidecar, first on the relay: which container this is, proved by its token."""

    protocol: ProtocolVersion
    container: Name
    token: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    instance: Instance
    version: Annotated[str, msgspec.Meta(max_length=64)]


class RelayStatus(Message, frozen=True, tag="status"):
    """Entrypoint to sidecar: what is in force in this container."""

    policy_hash: Hash | None
    tier: Tier
    tier_reasons: Reasons
    dropped: Count


class RelayAudits(Message, frozen=True, tag="audits"):
    """Entrypoint to sidecar: audits, in order of `seq`."""

    audits: Audits


class RelaySnapshot(Message, frozen=True, tag="snapshot"):
    """Entrypoint to sidecar: a piece of the record, the answer to one `fetch`."""

    id: Instance
    first: Sequence
    newest: Count
    events: Events


class RelayObservations(Message, frozen=True, tag="observations"):
    """Entrypoint to sidecar: what the container was seen to do since the last time."""

    observed: Observations
    overflow: Count


class RelayFetch(Message, frozen=True, tag="fetch"):
    """Sidecar to entrypoint: a piece of the record is wanted, of the events numbered above `after`."""

    id: Instance
    after: Count


class Policy(Message, frozen=True):
    """Sidecar to entrypoint: the container's policy; both None while there is none yet."""

    hash: Hash | None
    policy: DefenderPolicy | None


class RelayAck(Message, frozen=True, tag="ack"):
    """Sidecar to entrypoint: held by the sidecar up to `received`, in the Console's database up to `committed`."""

    received: Committed
    committed: Committed


class Refused(Message, frozen=True):
    """Sidecar to entrypoint: the attachment is refused."""

    message: Annotated[str, msgspec.Meta(max_length=1024)]


DefenderMessage = Hello | ChannelStatus | ChannelAudits | ChannelSnapshot | ChannelObservations | Renew | Goodbye
ConsoleMessage = Enrolled | Welcome | Policies | Waas | Ruleset | ChannelAck | ChannelFetch | Learned | Renewed | Error
EntrypointMessage = Attach | RelayStatus | RelayAudits | RelaySnapshot | RelayObservations
SidecarMessage = Policy | RelayAck | RelayFetch | Refused

DIRECTIONS: dict[str, object] = {
    "enrol": Enrol,
    "defender": DefenderMessage,
    "console": ConsoleMessage,
    "entrypoint": EntrypointMessage,
    "sidecar": SidecarMessage,
}

enrol_decoder = msgspec.json.Decoder(Enrol)
defender_decoder: msgspec.json.Decoder[DefenderMessage] = msgspec.json.Decoder(DefenderMessage)
_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """Return the text frame of a message (UTF-8)."""
    return _encoder.encode(message)
