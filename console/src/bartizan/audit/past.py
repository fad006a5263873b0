"""
Events put together again from what is kept of them, to be judged anew (`defender policy test`).

What was not kept is unknown: of a write which operation it was, of a program start by which link it was called, and of
an observation its arguments and user. A condition that asks for those may come out otherwise than it would have.
"""

import ipaddress
import shlex
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from bartizan.audit.runtime_audit import RuntimeAudit, rfc3339
from bartizan.audit.wire import Observed, ObservedKind, Reason

_LISTENING = ("deniedListenPort", "listenPortNotAllowed")
_JUDGED = frozenset(reason.value for reason in Reason) - {"defender", "waas"}
_PROTOCOLS = ("tcp", "udp", "raw")
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Something that happened `count` times; `line` is how the Defender's program is asked, `what` is for people."""

    source: Literal["audit", "observation"]
    kind: str
    what: str
    by: str
    app_id: str
    image: str
    container: str
    count: int
    last: str
    line: bytes

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for what is alike."""
        return (self.source, self.app_id, self.image, self.container, self.line)


def past_audit(audit: RuntimeAudit) -> Past | None:
    """Return what an audit tells of an event, None for notices and for what no policy judges."""
    event = _event(audit) if audit.reason in _JUDGED else None
    if event is None:
        return None
    question: dict[str, Any] = {"happened": event, "reason": audit.reason, "ancestors": audit.ancestry}
    if audit.reason == "customRule":
        del question["reason"]
    return Past(
        source="audit",
        kind=event["kind"],
        what=audit.command or _what(event),
        by=audit.parent_path if event["kind"] == "process" else audit.process_path,
        app_id=audit.app_id,
        image=audit.image_name,
        container=audit.container_name,
        count=max(audit.count, 1),
        last=audit.time,
        line=_line(question),
    )


def past_observation(observed: Observed, *, app_id: str, image: str, container: str) -> Past | None:
    """Return what an observation tells of an event, None for one that cannot be read."""
    event = _observed(observed)
    if event is None:
        return None
    return Past(
        source="observation",
        kind=event["kind"],
        what=_what(event),
        by=observed.detail if observed.kind in (ObservedKind.PROCESS, ObservedKind.FILE) else "",
        app_id=app_id,
        image=image,
        container=container,
        count=observed.count,
        last=rfc3339(observed.last),
        line=_line({"happened": event}),
    )


def _event(audit: RuntimeAudit) -> dict[str, Any] | None:
    actor = {"pid": 0, "path": audit.process_path}
    if audit.filepath:
        return {"kind": "file", "operation": "write", "file": audit.filepath, **actor, "user": _number(audit.user)}
    if audit.domain:
        return {"kind": "lookup", "name": audit.domain, "recordType": "A", **actor}
    if audit.ip:
        return _network(audit, actor)
    return _started(audit) if audit.process_path else None


def _network(audit: RuntimeAudit, actor: dict[str, Any]) -> dict[str, Any] | None:
    if not _is_address(audit.ip):
        return None
    protocol = audit.protocol if audit.protocol in _PROTOCOLS else "tcp"
    end = {"protocol": protocol, "address": audit.ip, "port": audit.port, **actor}
    if audit.reason in _LISTENING:
        return {"kind": "listen", **end}
    return {"kind": "connection", **end, "resolver": False}


def _started(audit: RuntimeAudit) -> dict[str, Any]:
    return _process(
        audit.process_path,
        _words(audit.command) or [audit.process_path],
        parent=audit.parent_path,
        user=_number(audit.user),
        # The workload's first program is the only one that nothing in it has started.
        main=not audit.parent_path and not audit.ancestry,
        sha256=audit.sha256,
    )


def _observed(observed: Observed) -> dict[str, Any] | None:
    actor = {"pid": 0, "path": ""}
    match observed.kind:
        case ObservedKind.PROCESS:
            # The workload's first program is the only one without a known parent.
            parent = observed.detail
            return _process(observed.value, [observed.value], parent=parent, user=0, main=not parent, sha256="")
        case ObservedKind.NAME:
            return {"kind": "lookup", "name": observed.value, "recordType": "A", **actor}
        case ObservedKind.FILE:
            by = {"pid": 0, "path": observed.detail}
            return {"kind": "file", "operation": "write", "file": observed.value, **by, "user": 0}
        case ObservedKind.ADDRESS:
            end = _end(observed.detail) if _is_address(observed.value) else None
            return end and {"kind": "connection", "address": observed.value, **end, **actor, "resolver": False}
        case ObservedKind.LISTEN:
            end = _end(observed.value)
            return end and {"kind": "listen", "address": "0.0.0.0", **end, **actor}  # noqa: S104 - listened on by others


def _process(path: str, arguments: list[str], **known: Any) -> dict[str, Any]:  # noqa: ANN401 - as the event has them
    event = {
        "kind": "process",
        "path": path,
        "invoked": path,
        "arguments": arguments,
        "pid": 0,
        "parentPid": 0,
        "parentPath": known["parent"],
        "user": known["user"],
        "main": known["main"],
        "interpreted": False,
        "invokedIsExe": True,
    }
    return {**event, "sha256": known["sha256"]} if known["sha256"] else event


def _end(text: str) -> dict[str, Any] | None:
    """Return protocol and port of `tcp/443`."""
    protocol, _, port = text.partition("/")
    if protocol not in _PROTOCOLS or not (port.isascii() and port.isdigit()) or int(port[:6]) > _HIGHEST_PORT:
        return None
    return {"protocol": protocol, "port": int(port)}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        # It was cut within a quote.
        return command.split()


def _number(user: str) -> int:
    return int(user) if user.isascii() and user.isdigit() and int(user[:11]) < 1 << 32 else 0


def _what(event: dict[str, Any]) -> str:
    match event["kind"]:
        case "process":
            return str(event["path"])
        case "lookup":
            return str(event["name"])
        case "file":
            return str(event["file"])
        case "listen":
            return f"{event['protocol']}/{event['port']}"
        case _:
            return f"{event['address']} {event['protocol']}/{event['port']}"


def _line(question: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"event": question})
