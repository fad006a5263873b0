"""The JSON about the Console itself."""

from typing import Annotated

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=0)]


class HealthProblem(msgspec.Struct):
    """Something that is wrong: a name for machines, a sentence for people."""

    name: str
    message: str


class HealthAnswer(msgspec.Struct):
    """Whether the Console runs (it answers, so it does), and whether it can do its work."""

    live: bool
    ready: bool
    problems: list[HealthProblem]


class RetentionBounds(msgspec.Struct, forbid_unknown_fields=True):
    """The bounds of one kind of audits; whichever is reached first counts, and a size of 0 is none."""

    days: Annotated[int, msgspec.Meta(ge=1, le=3650)]
    audits: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
    mebibytes: Annotated[int, msgspec.Meta(ge=0, le=10_485_760)] = 0


class RetentionShape(msgspec.Struct, rename={"clean_up_hour": "cleanUpHour"}, forbid_unknown_fields=True):
    """How long audits are kept; `cleanUpHour` (UTC) is when old ones go, at once without one."""

    runtime: RetentionBounds
    firewall: RetentionBounds
    clean_up_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] | None = None


class CertificateEnd(msgspec.Struct):
    """When a certificate of the Console ends."""

    name: str
    expiration: str


class SystemAnswer(msgspec.Struct, rename="camel"):
    """The Console itself: what it is, what it stands on, and how much there is."""

    version: str
    started: str
    database: str
    database_kind: str
    database_bytes: _Count
    schema: str
    free_bytes: _Count
    audits_written: _Count
    audits_waiting: _Count
    audit_failures: _Count
    defenders_connected: _Count
    defenders_known: _Count
    python: str
    certificates: list[CertificateEnd]
    problems: list[HealthProblem]


class BackupRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What goes into a backup: with a passphrase (12 characters or more) the Console's keys, sealed with it."""

    passphrase: Annotated[str, msgspec.Meta(max_length=1024)] = ""


class BackupAnswer(msgspec.Struct):
    """A backup: `running`, `done` or `failed`; `keys` tells of those that this process made whether keys are in it."""

    name: str
    created: str
    size: _Count
    state: str
    rows: _Count
    keys: bool
    error: str


SYSTEM_SHAPES = (
    BackupAnswer,
    BackupRequest,
    CertificateEnd,
    HealthAnswer,
    HealthProblem,
    RetentionBounds,
    RetentionShape,
    SystemAnswer,
)
