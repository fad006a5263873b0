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
    DEFENDER = "defender"


class AuditEffect(enum.Enum):
    """What was done about it."""

    ALERT = "alert"
    PREVENT = "prevent"


class Protocol(enum.Enum):
    """Transport protocol of a connection."""

    TCP = "tcp"
    UDP = "udp"


class Notice(enum.Enum):
    """What a Defender has to say about itself."""

    STARTED_WITHOUT_POLICY = "startedWithoutPolicy"
    AUDITS_DROPPED = "auditsDropped"
    NOT_ENFORCING = "notEnforcing"
    ATTACH_REFUSED = "attachRefused"


class ProcessEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="process"):
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


class LookupEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="lookup"):
    """A DNS look-up; `pid` 0 and an empty `path` mean that the asking process is not known."""

    name: str
    record_type: str
    pid: Id32
    path: str


class ConnectionEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="connection"):
    """A TCP connection or a UDP datagram."""

    protocol: Protocol
    address: str
    port: Port
    pid: Id32
    path: str
    resolver: bool


class DefenderEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="defender"):
    """A notice of the Defender about itself."""

    notice: Notice
    detail: str
    count: Count


Event = ProcessEvent | LookupEvent | ConnectionEvent | DefenderEvent


class Audit(msgspec.Struct, frozen=True, rename="camel"):
    """One judged event; `seq` counts from 1 for each Defender process."""

    seq: Sequence
    time: Milliseconds
    rule: str | None
    effect: AuditEffect
    reason: Reason
    matched: str | None
    event: Event
