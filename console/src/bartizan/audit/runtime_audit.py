"""
From a Defender's audit to the one that users see: the vendor's `shared.RuntimeAudit`, by its documented field names.

Identity (App ID, container, image) comes from the session that reported it, never from the audit.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from bartizan.audit.attacks import attack_of
from bartizan.audit.sentences import filled, sentence
from bartizan.audit.wire import (
    Audit,
    ConnectionEvent,
    DefenderEvent,
    FileEvent,
    ListenEvent,
    LookupEvent,
    ProcessEvent,
    Reason,
    RequestEvent,
)

LONGEST_SHOWN = 4096
"""Characters of a text; longer ones are cut."""
_MOST_ANCESTORS = 32
CUSTOM_INCIDENT = "customRule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reported an audit, as the Console knows it from the certificate and the hello."""

    app_id: str
    instance: str
    task: str | None = None
    container: str | None = None
    image: str | None = None
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomText:
    """What the library says of the custom rule that matched; in `message`, `%proc.name` stands for that field."""

    message: str
    techniques: tuple[str, ...] = ()
    incident: bool = False


class RuntimeAudit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """
    One audit of the API. Fields that do not apply are left out.

    `reason` is our own name for what was found, where `attackType` has the vendor's; `matched` is the entry of the deny
    list, the mark of the detection, or the name of the custom rule; `attackTechniques` are MITRE's;
    `ancestry` are the programs that led to it, the nearest first; `incidentCategory` is there if it is an incident;
    `firstSeen` is there when several are shown as one.
    """

    id: str = msgspec.field(name="_id", default="")
    time: str
    type: str
    attack_type: str
    effect: str
    severity: str
    msg: str
    reason: str = ""
    matched: str = ""
    attack_techniques: tuple[str, ...] = ()
    incident_category: str = ""
    app_id: str = msgspec.field(name="appID")
    hostname: str
    profile_id: str
    image_name: str = ""
    container_name: str = ""
    rule_name: str = ""
    command: str = ""
    process_path: str = ""
    parent_path: str = ""
    ancestry: tuple[str, ...] = ()
    sha256: str = ""
    pid: int = 0
    user: str = ""
    domain: str = ""
    filepath: str = ""
    ip: str = ""
    port: int = 0
    protocol: str = ""
    count: int = 1
    first_seen: str = ""
    resource_id: str = msgspec.field(name="resourceID", default="")
    defender_id: str = msgspec.field(name="defenderID", default="")
    version: str = ""


def describe(
    audit: Audit, reporter: Reporter, custom: CustomText | None = None, *, scrub: Callable[[str], str] = str
) -> RuntimeAudit:
    """
    Return the audit as users see it, still without its id. Texts are cut to bounded lengths.

    `custom` is what the library says of the custom rule that matched, if one did. `scrub` takes secrets out of the
    texts that are put together here, before they are cut.
    """
    attack = attack_of(audit)
    found = RuntimeAudit(
        time=rfc3339(audit.time),
        type=attack.type,
        attack_type=attack.attack_type,
        effect=audit.effect.value,
        severity=attack.severity,
        msg=_cut(scrub(sentence(audit, attack))),
        reason=audit.reason.value,
        matched=_cut(audit.matched or ""),
        attack_techniques=attack.techniques,
        incident_category=attack.incident,
        ancestry=tuple(_cut(ancestor.path) for ancestor in audit.ancestry[:_MOST_ANCESTORS]),
        app_id=reporter.app_id,
        hostname=reporter.app_id,
        profile_id=f"{reporter.app_id}_{reporter.container}" if reporter.container else reporter.app_id,
        image_name=reporter.image or "",
        container_name=reporter.container or "",
        rule_name=_cut(audit.rule or ""),
        resource_id=reporter.task or "",
        defender_id=reporter.instance,
        version=reporter.version,
        **{"count": audit.count, **_fields(audit, scrub)},
    )
    if custom is None or audit.reason is not Reason.CUSTOM_RULE:
        return found
    return msgspec.structs.replace(
        found,
        msg=_cut(scrub(filled(custom.message, audit))) if custom.message else found.msg,
        attack_techniques=custom.techniques,
        incident_category=CUSTOM_INCIDENT if custom.incident else "",
    )


def _fields(audit: Audit, scrub: Callable[[str], str]) -> dict[str, Any]:
    """Return the fields that depend on the kind of event."""
    match audit.event:
        case ProcessEvent() as event:
            return {
                "command": _cut(scrub(shlex.join(event.arguments))),
                "process_path": _cut(event.path),
                "parent_path": _cut(event.parent_path),
                "sha256": event.sha256 or "",
                "pid": event.pid,
                "user": str(event.user),
            }
        case LookupEvent() as event:
            return {"domain": _cut(event.name), "process_path": _cut(event.path), "pid": event.pid}
        case ConnectionEvent() | ListenEvent() as event:
            return {
                "ip": _cut(event.address),
                "port": event.port,
                "protocol": event.protocol.value,
                "process_path": _cut(event.path),
                "pid": event.pid,
            }
        case FileEvent() as event:
            return {
                "filepath": _cut(event.file),
                "process_path": _cut(event.path),
                "pid": event.pid,
                "user": str(event.user),
            }
        case DefenderEvent() as event:
            return {"count": max(event.count, 1)}
        case RequestEvent():
            return {}


def rfc3339(milliseconds: int) -> str:
    """Return unix milliseconds as RFC 3339 in UTC, with milliseconds."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Return a second without its end; audits come in by the thousand of the same one."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
