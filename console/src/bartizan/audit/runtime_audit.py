"""
From a Defender's audit to the one that users see: the vendor's `shared.RuntimeAudit`, by its documented field names.

Identity (App ID, container, image) comes from the session that reported it, never from the audit.
"""

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from bartizan.audit.wire import (
    Audit,
    AuditEffect,
    ConnectionEvent,
    DefenderEvent,
    FileEvent,
    ListenEvent,
    LookupEvent,
    Notice,
    ProcessEvent,
    Reason,
)

_LONGEST = 4096
_ATTACKS = {
    Reason.DENIED_PROCESS: ("processes", "explicitlyDeniedProcess", "high"),
    Reason.PROCESS_NOT_ALLOWED: ("processes", "explicitlyDeniedProcess", "medium"),
    Reason.DENIED_NAME: ("network", "explicitlyDeniedDNS", "high"),
    Reason.NAME_NOT_ALLOWED: ("network", "explicitlyDeniedDNS", "medium"),
    Reason.DENIED_ADDRESS: ("network", "explicitlyDeniedIP", "high"),
    Reason.ADDRESS_NOT_ALLOWED: ("network", "explicitlyDeniedIP", "medium"),
    Reason.DENIED_PORT: ("network", "explicitlyDeniedOutboundPort", "high"),
    Reason.PORT_NOT_ALLOWED: ("network", "explicitlyDeniedOutboundPort", "medium"),
}
_NOTICES = {
    Notice.STARTED_WITHOUT_POLICY: ("high", "the application was started before a policy could be had"),
    Notice.AUDITS_DROPPED: ("medium", "audits were given up, since the spool was full"),
    Notice.NOT_ENFORCING: ("high", "nothing is enforced on this platform"),
    Notice.ANSWERED_LATE: ("medium", "a call waited too long and was answered without being judged"),
    Notice.ATTACH_REFUSED: ("high", "somebody tried to attach to the relay as a container that they are not"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reported an audit, as the Console knows it from the certificate and the hello."""

    app_id: str
    instance: str
    task: str | None = None
    container: str | None = None
    image: str | None = None
    version: str = ""


class RuntimeAudit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One audit of the API. Fields that do not apply are left out."""

    id: str = msgspec.field(name="_id", default="")
    time: str
    type: str
    attack_type: str
    effect: str
    severity: str
    msg: str
    app_id: str = msgspec.field(name="appID")
    hostname: str
    profile_id: str
    image_name: str = ""
    container_name: str = ""
    rule_name: str = ""
    command: str = ""
    process_path: str = ""
    parent_path: str = ""
    pid: int = 0
    user: str = ""
    domain: str = ""
    filepath: str = ""
    ip: str = ""
    port: int = 0
    protocol: str = ""
    count: int = 1
    resource_id: str = msgspec.field(name="resourceID", default="")
    defender_id: str = msgspec.field(name="defenderID", default="")
    version: str = ""


def describe(audit: Audit, reporter: Reporter) -> RuntimeAudit:
    """Return the audit as users see it, still without its id. Texts are cut to bounded lengths."""
    kind, attack, severity = _attack(audit)
    event = audit.event
    found = RuntimeAudit(
        time=rfc3339(audit.time),
        type=kind,
        attack_type=attack,
        effect=audit.effect.value,
        severity=severity,
        msg=_cut(_message(audit)),
        app_id=reporter.app_id,
        hostname=reporter.app_id,
        profile_id=f"{reporter.app_id}_{reporter.container}" if reporter.container else reporter.app_id,
        image_name=reporter.image or "",
        container_name=reporter.container or "",
        rule_name=_cut(audit.rule or ""),
        resource_id=reporter.task or "",
        defender_id=reporter.instance,
        version=reporter.version,
    )
    match event:
        case ProcessEvent():
            return msgspec.structs.replace(
                found,
                command=_cut(shlex.join(event.arguments)),
                process_path=_cut(event.path),
                parent_path=_cut(event.parent_path),
                pid=event.pid,
                user=str(event.user),
            )
        case LookupEvent():
            return msgspec.structs.replace(found, domain=_cut(event.name), process_path=_cut(event.path), pid=event.pid)
        case ConnectionEvent():
            return msgspec.structs.replace(
                found,
                ip=_cut(event.address),
                port=event.port,
                protocol=event.protocol.value,
                process_path=_cut(event.path),
                pid=event.pid,
            )
        case ListenEvent():
            return msgspec.structs.replace(
                found,
                ip=_cut(event.address),
                port=event.port,
                protocol=event.protocol.value,
                process_path=_cut(event.path),
                pid=event.pid,
            )
        case FileEvent():
            return msgspec.structs.replace(
                found, filepath=_cut(event.file), process_path=_cut(event.path), pid=event.pid, user=str(event.user)
            )
        case DefenderEvent():
            return msgspec.structs.replace(found, count=max(event.count, 1))


def rfc3339(milliseconds: int) -> str:
    """Return unix milliseconds as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attack(audit: Audit) -> tuple[str, str, str]:
    if isinstance(audit.event, DefenderEvent):
        return "defender", audit.event.notice.value, _NOTICES[audit.event.notice][0]
    return _ATTACKS.get(audit.reason, ("defender", audit.reason.value, "medium"))


def _message(audit: Audit) -> str:
    done = "was prevented" if audit.effect is AuditEffect.PREVENT else "was seen"
    why = f"it is on the deny list as `{audit.matched}`" if audit.matched is not None else "it is not on the allow list"
    match audit.event:
        case ProcessEvent() as event:
            origin = f" from {event.parent_path}" if event.parent_path else ""
            program = event.path if event.invoked in ("", event.path) else f"{event.invoked} ({event.path})"
            return f"{program} launched{origin} {done}: {why}. Full command: {shlex.join(event.arguments)}"
        case LookupEvent() as event:
            return f"look-up of {event.name} ({event.record_type}){_by(event.path)} {done}: {why}"
        case ConnectionEvent() as event:
            address = f"[{event.address}]" if ":" in event.address else event.address
            return f"{event.protocol.value} connection to {address}:{event.port}{_by(event.path)} {done}: {why}"
        case ListenEvent() as event:
            return f"listening on {event.protocol.value} port {event.port}{_by(event.path)} {done}: {why}"
        case FileEvent() as event:
            return f"{event.operation.value} of {event.file}{_by(event.path)} {done}: {why}"
        case DefenderEvent() as event:
            text = _NOTICES[event.notice][1]
            return f"{text}: {event.detail}" if event.detail else text


def _by(path: str) -> str:
    return f" by {path}" if path else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
