"""What an audit says to people, in a sentence."""

import ipaddress
import re
import shlex
from posixpath import basename, dirname

from bartizan.audit.attacks import Attack
from bartizan.audit.wire import (
    Audit,
    AuditEffect,
    ConnectionEvent,
    DefenderEvent,
    FileEvent,
    FileOperation,
    ListenEvent,
    LookupEvent,
    ProcessEvent,
    RequestEvent,
)

_MOST_NAMED = 6
_OPERATIONS = {
    FileOperation.CREATE: "creation of",
    FileOperation.WRITE: "writing to",
    FileOperation.RENAME: "renaming of",
    FileOperation.REMOVE: "removal of",
    FileOperation.ATTRIBUTES: "a change to the attributes of",
}
# RFC 1918, RFC 6598, loopback, link-local, RFC 4193: what `net.private_subnet` means to the Defender.
_INSIDE = [
    ipaddress.ip_network(block)
    for block in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fe80::/10",
        "fc00::/7",
    )
]
_MACRO = re.compile(r"%((?:proc|file|net)\.[a-z0-9_]+)")


def sentence(audit: Audit, attack: Attack) -> str:
    """
    Return what happened, what was done about it and why.

    It holds no process ids, so that the same attack always gives the same text.
    """
    done = "was prevented" if audit.effect is AuditEffect.PREVENT else "was seen"
    match audit.event:
        case DefenderEvent() as event:
            return f"{attack.why}: {event.detail}" if event.detail else attack.why
        case RequestEvent() as event:
            return event.message
        case ProcessEvent() as event:
            origin = f" from {event.parent_path}" if event.parent_path else ""
            program = event.path if event.invoked in ("", event.path) else f"{event.invoked} ({event.path})"
            command = shlex.join(event.arguments)
            return f"{program} launched{origin} {done}: {attack.why}{_above(audit)}. Full command: {command}"
        case LookupEvent() as event:
            what = f"look-up of {event.name} ({event.record_type}){_by(event.path)}"
        case ConnectionEvent() as event:
            address = f"[{event.address}]" if ":" in event.address else event.address
            what = f"{event.protocol.value} connection to {address}:{event.port}{_by(event.path)}"
        case ListenEvent() as event:
            what = f"listening on {event.protocol.value} port {event.port}{_by(event.path)}"
        case FileEvent() as event:
            what = f"{_OPERATIONS[event.operation]} {event.file}{_by(event.path)}"
    return f"{what} {done}: {attack.why}{_above(audit)}"


def filled(message: str, audit: Audit) -> str:
    """Return a custom rule's message with the values of the fields that it names; what is not known stays as it is."""
    values = field_values(audit)
    return _MACRO.sub(lambda found: values.get(found.group(1), found.group()), message)


def field_values(audit: Audit) -> dict[str, str]:
    """Return the fields of custom rules that an audit tells, as texts."""
    ancestors = [ancestor.path for ancestor in audit.ancestry]
    values = {"proc.ancestors": ", ".join(ancestors)}
    parent = ancestors[0] if ancestors else ""
    match audit.event:
        case ProcessEvent() as event:
            parent = event.parent_path or parent
            values["proc.cmdline"] = shlex.join(event.arguments)
            values["proc.args"] = values["proc.cmdline"]
            values["proc.sha256"] = event.sha256 or ""
        case LookupEvent() as event:
            values["net.domain"] = event.name
        case ConnectionEvent() | ListenEvent() as event:
            values["net.outgoing_port"] = str(event.port)
            values["net.outgoing_ip"] = event.address
            values["net.private_subnet"] = _private(event.address)
        case FileEvent() as event:
            values["file.path"] = event.file
            values["file.dir"] = dirname(event.file)
            values["file.operation"] = event.operation.value
        case DefenderEvent() | RequestEvent():
            return values
    if isinstance(audit.event, ProcessEvent | FileEvent):
        values["proc.user"] = str(audit.event.user)
    path = audit.event.path
    return values | {
        "proc.path": path,
        "proc.name": basename(path),
        "proc.ppath": parent,
        "proc.pname": basename(parent),
    }


def _private(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    inside = any(found.version == network.version and found in network for network in _INSIDE)
    return "true" if inside else "false"


def _above(audit: Audit) -> str:
    """Return the programs above it, but for a parent that the sentence has named already."""
    paths = [ancestor.path for ancestor in audit.ancestry]
    if isinstance(audit.event, ProcessEvent) and paths and paths[0] == audit.event.parent_path:
        paths = paths[1:]
    if not paths:
        return ""
    more = ["…"] if len(paths) > _MOST_NAMED else []
    return f"; under {', '.join(paths[:_MOST_NAMED] + more)}"


def _by(path: str) -> str:
    return f" by {path}" if path else ""
