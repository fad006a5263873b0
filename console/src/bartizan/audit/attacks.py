"""What each reason of an audit is to people: the vendor's attack type where it has one, severity and techniques."""

from dataclasses import dataclass

from bartizan.audit.detections import DETECTIONS
from bartizan.audit.facts import Severity
from bartizan.audit.wire import (
    Audit,
    ConnectionEvent,
    DefenderEvent,
    FileEvent,
    ListenEvent,
    LookupEvent,
    Notice,
    ProcessEvent,
    Reason,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """How an audit is classified; `why` is half a sentence, `incident` the vendor's category if it is one at once."""

    type: str
    attack_type: str
    severity: Severity
    techniques: tuple[str, ...] = ()
    incident: str = ""
    why: str = ""


_PROCESSES = ("processes", "explicitlyDeniedProcess", ("T1059",))
_NAMES = ("network", "explicitlyDeniedDNS", ("T1071.004",))
_ADDRESSES = ("network", "explicitlyDeniedIP", ("T1071",))
_PORTS = ("network", "explicitlyDeniedOutboundPort", ("T1571",))
_LISTS: dict[Reason, tuple[str, str, tuple[str, ...]]] = {
    Reason.DENIED_PROCESS: _PROCESSES,
    Reason.PROCESS_NOT_ALLOWED: _PROCESSES,
    Reason.DENIED_NAME: _NAMES,
    Reason.NAME_NOT_ALLOWED: _NAMES,
    Reason.DENIED_ADDRESS: _ADDRESSES,
    Reason.ADDRESS_NOT_ALLOWED: _ADDRESSES,
    Reason.DENIED_PORT: _PORTS,
    Reason.PORT_NOT_ALLOWED: _PORTS,
}
_DENIED = frozenset(
    (
        Reason.DENIED_PROCESS,
        Reason.DENIED_NAME,
        Reason.DENIED_ADDRESS,
        Reason.DENIED_PORT,
        Reason.DENIED_LISTEN_PORT,
        Reason.DENIED_FILE,
    )
)
_LISTED = frozenset(_LISTS) | _DENIED | {Reason.LISTEN_PORT_NOT_ALLOWED, Reason.FILE_NOT_ALLOWED}
VENDOR_NAMES = {
    Reason.MODIFIED_BINARY: "modifiedProcess",
    Reason.NEW_BINARY: "modifiedProcess",
    Reason.ALTERED_PACKAGE_BINARY: "alteredBinary",
    Reason.CRYPTO_MINER: "cryptoMinerProcess",
    Reason.LOADER_INVOCATION: "executionFlowHijackAttempt",
    Reason.PRELOAD: "executionFlowHijackAttempt",
    Reason.SETUID_USE: "suidBinaries",
    Reason.LATERAL_MOVEMENT: "lateralMovementProcess",
    Reason.NOT_MAIN_PROCESS: "unexpectedProcess",
    Reason.CLOUD_METADATA: "cloudMetadataProbing",
    Reason.DENIED_LISTEN_PORT: "explicitlyDeniedListeningPort",
    Reason.LISTEN_PORT_NOT_ALLOWED: "explicitlyDeniedListeningPort",
    Reason.DENIED_FILE: "explicitlyDeniedFile",
    Reason.FILE_NOT_ALLOWED: "explicitlyDeniedFile",
    Reason.BINARY_WRITTEN: "elfFileAccess",
    Reason.CERTIFICATE_WRITTEN: "secretFileAccess",
    Reason.SUSPICIOUS_ELF: "suspiciousELFHeader",
    Reason.PACKED_BINARY: "encryptedBinary",
    Reason.PRELOAD_FILE: "executionFlowHijackAttempt",
}
"""The vendor's attack type of each detection; those that are missing have our own name there too."""
_TYPES = {"process": "processes", "network": "network", "file": "filesystem", "defender": "defender"}
# Without `attacked`: that is a detection, and told as one.
_NOTICES: dict[Notice, tuple[Severity, str]] = {
    Notice.STARTED_WITHOUT_POLICY: ("high", "the application was started before a policy could be had"),
    Notice.AUDITS_DROPPED: ("medium", "audits were given up, since the spool was full"),
    Notice.NOT_ENFORCING: ("high", "nothing is enforced on this platform"),
    Notice.ANSWERED_LATE: ("medium", "a call waited too long and was answered without being judged"),
    Notice.ATTACH_REFUSED: ("high", "somebody tried to attach to the relay as a container that they are not"),
}


def attack_of(audit: Audit) -> Attack:
    """Return how an audit is classified."""
    if isinstance(audit.event, DefenderEvent) and audit.event.notice in _NOTICES:
        severity, why = _NOTICES[audit.event.notice]
        return Attack(type="defender", attack_type=audit.event.notice.value, severity=severity, why=why)
    listed = _LISTS.get(audit.reason)
    if listed is not None:
        kind, name, techniques = listed
        severity = "high" if audit.reason in _DENIED else "medium"
        return Attack(type=kind, attack_type=name, severity=severity, techniques=techniques, why=_why_listed(audit))
    facts = DETECTIONS.get(audit.reason.value)
    if facts is None:
        return Attack(type="defender", attack_type=audit.reason.value, severity="medium", why="it was reported")
    return Attack(
        type=_TYPES.get(facts.section) or _type_of_event(audit),
        attack_type=VENDOR_NAMES.get(audit.reason, audit.reason.value),
        severity=facts.severity,
        techniques=facts.techniques,
        incident=facts.incident or "",
        why=_why_listed(audit) if audit.reason in _LISTED else _why_found(audit, facts.title),
    )


def _why_listed(audit: Audit) -> str:
    if audit.matched is None:
        return "it is not on the allow list"
    return f"it is on the deny list as `{audit.matched}`"


def _why_found(audit: Audit, title: str) -> str:
    if audit.reason is Reason.CUSTOM_RULE:
        return f"the custom rule `{audit.matched}` matched" if audit.matched else title
    return f"{title} (`{audit.matched}`)" if audit.matched else title


def _type_of_event(audit: Audit) -> str:
    match audit.event:
        case ProcessEvent():
            return "processes"
        case LookupEvent() | ConnectionEvent() | ListenEvent():
            return "network"
        case FileEvent():
            return "filesystem"
        case DefenderEvent():
            return "defender"
