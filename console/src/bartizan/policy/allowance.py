"""
From what a rule stopped to the rule that lets just that happen.

Pure. Nothing is made wider than what was stopped: an entry is the very program, name, address, port or file. Where an
entry of a deny list stands for more than that, or a detection objected, the list stays as it is, and a custom rule with
the effect `allow`, which is asked before everything else, speaks of exactly this.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from posixpath import basename
from typing import Any

import msgspec

from bartizan.policy import entries
from bartizan.policy.custom import check_script
from bartizan.policy.defender_policy import CustomEffect, CustomKind, PortRange
from bartizan.policy.model import Attachment, CustomDefinition, Library, Rule
from bartizan.policy.resolve import LARGEST_RESOLVED, resolved_size
from bartizan.policy.script_tokens import ScriptError, quoted
from bartizan.policy.sections import HIGHEST_ID, MOST_CUSTOM
from bartizan.policy.suggest import in_writable_folder

_LONGEST_SUBJECT = 120


class NotAllowableError(ValueError):
    """Nothing in the rule can let this happen, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """
    What a rule objected to. What does not apply, or is not known, is empty.

    `matched` is the entry of the deny list, the mark of the detection, or the name of the custom rule.
    """

    reason: str
    program: str = ""
    parent: str = ""
    arguments: tuple[str, ...] = ()
    sha256: str = ""
    domain: str = ""
    file: str = ""
    address: str = ""
    port: int | None = None
    matched: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An entry that comes into a list of the rule, or goes."""

    field: str
    entry: str
    added: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The rule as it lets this happen, what changed in it, and the custom rule that it needs, if it does."""

    rule: Rule
    changes: tuple[Change, ...]
    custom: CustomDefinition | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _List:
    """One list of a rule: where it is, its name for users, and how an entry of it is made of what was stopped."""

    section: str
    attribute: str
    field: str
    entry: Callable[[Stopped], str | PortRange]


def _literal(text: str) -> str:
    if any(char in text for char in "*?"):
        raise NotAllowableError(f"`{text}` has a wildcard in its name: as an entry it would allow more than itself")
    return text


def _program(stopped: Stopped) -> str:
    if in_writable_folder(stopped.program) and stopped.sha256:
        return f"sha256:{stopped.sha256}"
    return entries.process_entry(_literal(stopped.program))


def _port(stopped: Stopped) -> PortRange:
    if not stopped.port:
        raise NotAllowableError("the event tells no port")
    return PortRange(start=stopped.port, end=stopped.port)


def _name(stopped: Stopped) -> str:
    return entries.domain_entry(_literal(stopped.domain))


def _address(stopped: Stopped) -> str:
    return entries.address_entry(stopped.address)


def _file(stopped: Stopped) -> str:
    return entries.file_entry(_literal(stopped.file))


_ALLOW = {
    "process": _List("processes", "allow", "processes.whitelist", _program),
    "name": _List("dns", "allow", "dns.whitelist", _name),
    "address": _List("network", "allow_addresses", "network.whitelistIPs", _address),
    "port": _List("network", "allow_ports", "network.whitelistOutboundPorts", _port),
    "listen": _List("network", "allow_listen_ports", "network.whitelistListeningPorts", _port),
    "file": _List("files", "allow", "filesystem.whitelist", _file),
}
_DENY = {
    "process": _List("processes", "deny", "processes.blacklist", _program),
    "name": _List("dns", "deny", "dns.blacklist", _name),
    "address": _List("network", "deny_addresses", "network.blacklistIPs", _address),
    "port": _List("network", "deny_ports", "network.blacklistOutboundPorts", _port),
    "listen": _List("network", "deny_listen_ports", "network.blacklistListeningPorts", _port),
    "file": _List("files", "deny", "filesystem.blacklist", _file),
}
_NOT_ALLOWED = {
    "processNotAllowed": "process",
    "nameNotAllowed": "name",
    "addressNotAllowed": "address",
    "portNotAllowed": "port",
    "listenPortNotAllowed": "listen",
    "fileNotAllowed": "file",
}
_DENIED = {
    "deniedProcess": "process",
    "deniedName": "name",
    "deniedAddress": "address",
    "deniedPort": "port",
    "deniedListenPort": "listen",
    "deniedFile": "file",
}
_NEVER = {
    "tampering": "attacks on the Defender are reported whatever a rule says",
    "defender": "it is a notice of the Defender about itself: nothing was stopped",
    "injectedProcess": "a process from outside cannot be told from an attacker's: change the detection's effect",
    "portScan": "a scan is of many connections: change the detection's effect in the rule",
    "rawSocket": "a raw socket has no destination yet: change the detection's effect in the rule",
}


def allowance(stopped: Stopped, rule: Rule, library: Library, *, note: str = "") -> Allowance:
    """
    Return the rule that lets just this happen; `note` describes the custom rule, if one is made.

    Raises NotAllowableError when nothing in a rule can, or the rule does already.
    """
    if stopped.reason in _NEVER:
        raise NotAllowableError(_NEVER[stopped.reason])
    try:
        if (kind := _NOT_ALLOWED.get(stopped.reason)) is not None:
            found = _listed(stopped, rule, kind)
        elif (kind := _DENIED.get(stopped.reason)) is not None and _is_itself(stopped, rule, kind):
            found = _undenied(stopped, rule, kind)
        else:
            found = _excepted(stopped, rule, library, note)
    except NotAllowableError:
        raise
    except ValueError as error:
        raise NotAllowableError(str(error)) from None
    if resolved_size(found.rule, library) > LARGEST_RESOLVED:
        raise NotAllowableError(f"the rule would become larger than {LARGEST_RESOLVED} bytes")
    return found


def _listed(stopped: Stopped, rule: Rule, kind: str) -> Allowance:
    """Put it on the allow list that it was not on."""
    where = _ALLOW[kind]
    entry = where.entry(stopped)
    present = _entries(rule, where)
    if not present:
        raise NotAllowableError(f"`{where.field}` is empty by now, so it stops nothing; an entry would stop all else")
    if entry in present:
        raise NotAllowableError(f"`{_text(entry)}` is in `{where.field}` already")
    changed = _with(rule, where, (*present, entry))
    change = Change(field=where.field, entry=_text(entry), added=True)
    return Allowance(rule=changed, changes=(change,), warnings=_warnings(stopped, entry))


def _is_itself(stopped: Stopped, rule: Rule, kind: str) -> bool:
    """Return whether the deny list's entry is for this alone, so that without it nothing else is let through."""
    entry = _DENY[kind].entry(stopped)
    return entry in _entries(rule, _DENY[kind]) and stopped.matched in ("", _text(entry))


def _undenied(stopped: Stopped, rule: Rule, kind: str) -> Allowance:
    """Take the entry for this off the deny list; where there is an allow list, it has to be on that."""
    where, allowing = _DENY[kind], _ALLOW[kind]
    entry = where.entry(stopped)
    changed = _with(rule, where, tuple(each for each in _entries(rule, where) if each != entry))
    changes = [Change(field=where.field, entry=_text(entry), added=False)]
    present = _entries(rule, allowing)
    if present and entry not in present:
        changed = _with(changed, allowing, (*present, entry))
        changes.append(Change(field=allowing.field, entry=_text(entry), added=True))
    return Allowance(rule=changed, changes=tuple(changes), warnings=_warnings(stopped, entry))


def _excepted(stopped: Stopped, rule: Rule, library: Library, note: str) -> Allowance:
    """Make a custom rule that allows it, before all others of the rule."""
    if len(rule.custom) >= MOST_CUSTOM:
        raise NotAllowableError(f"the rule has {MOST_CUSTOM} custom rules, no more are possible")
    kind, subject, terms = _condition(stopped)
    script = " and ".join(terms)
    try:
        check_script(script, kind)
    except ScriptError as error:
        raise NotAllowableError(f"no condition can be made of it: {error}") from None
    definition = CustomDefinition(
        id=_free(library),
        name=_new_name(f"allow {subject[:_LONGEST_SUBJECT]} in {rule.name[:_LONGEST_SUBJECT]}", library),
        kind=kind,
        script=script,
        description=note,
    )
    attached = Attachment(id=definition.id, effect=CustomEffect.ALLOW)
    return Allowance(
        rule=replace(rule, custom=(attached, *rule.custom)),
        changes=(Change(field="customRules", entry=definition.name, added=True),),
        custom=definition,
        warnings=_warnings(stopped, stopped.program),
    )


def _condition(stopped: Stopped) -> tuple[CustomKind, str, list[str]]:
    """Return the kind of the custom rule, what it is about, and the terms that together mean just this."""
    terms = [f"proc.path = {quoted(stopped.program)}"] if stopped.program else []
    if stopped.reason in ("deniedListenPort", "listenPortNotAllowed"):
        raise NotAllowableError("an entry for more ports than this one denies it: change that entry in the rule")
    if stopped.file:
        return CustomKind.FILESYSTEM, stopped.file, [f"file.path = {quoted(stopped.file)}", *terms]
    if stopped.domain:
        return CustomKind.NETWORK_OUTGOING, stopped.domain, [f"net.domain = {quoted(stopped.domain)}", *terms]
    if stopped.address:
        there = [f"net.outgoing_ip = {quoted(_address(stopped))}"]
        if stopped.port:
            there.append(f"net.outgoing_port = {stopped.port}")
        return CustomKind.NETWORK_OUTGOING, stopped.address, [*there, *terms]
    if not stopped.program:
        raise NotAllowableError("the event does not tell what was stopped")
    if stopped.parent:
        terms.append(f"proc.ppath = {quoted(stopped.parent)}")
    if stopped.reason not in _DENIED and stopped.arguments:
        terms.append(f"proc.cmdline = {quoted(' '.join(stopped.arguments))}")
    return CustomKind.PROCESSES, basename(stopped.program), terms


def _warnings(stopped: Stopped, entry: object) -> tuple[str, ...]:
    if entry == stopped.program and in_writable_folder(stopped.program):
        return (f"`{stopped.program}` is where anybody can put a program: whoever can write there can run theirs",)
    return ()


def _entries(rule: Rule, where: _List) -> tuple[Any, ...]:
    return tuple(getattr(getattr(rule, where.section), where.attribute))


def _with(rule: Rule, where: _List, items: tuple[Any, ...]) -> Rule:
    section = msgspec.structs.replace(getattr(rule, where.section), **{where.attribute: items})
    return replace(rule, **{where.section: section})


def _text(entry: str | PortRange) -> str:
    if isinstance(entry, str):
        return entry
    return str(entry.start) if entry.start == entry.end else f"{entry.start}-{entry.end}"


def _free(library: Library) -> int:
    number = max(library, default=0) + 1
    return number if number <= HIGHEST_ID else next(each for each in range(1, HIGHEST_ID) if each not in library)


def _new_name(name: str, library: Library) -> str:
    taken = {rule.name for rule in library.values()}
    readable = "".join(char if char.isprintable() else "?" for char in name).strip()
    return next(
        each for each in (readable, *(f"{readable} ({number})" for number in range(2, 2000))) if each not in taken
    )
