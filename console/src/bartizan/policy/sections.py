"""The sections of a rule, from the vendor's JSON."""

from collections.abc import Mapping
from typing import Any

from bartizan.policy import entries
from bartizan.policy.checks import FILE_CHECKS, PROCESS_CHECKS, Asked, Check
from bartizan.policy.defender_policy import (
    CustomEffect,
    Detection,
    DnsPolicy,
    Effect,
    FilePolicy,
    NetworkPolicy,
    PortRange,
    ProcessPolicy,
)
from bartizan.policy.model import Action, Attachment
from bartizan.policy.reading import a_list, an_object, effect, effect_of, entries_of, flag, only

_HIGHEST_PORT = 65535
UNRESOLVED_PRIVATE = "checkUnresolvedPrivate"
"""Our own field of `network`: `unresolvedAddress` also finds private addresses."""
MOST_CUSTOM = 100
HIGHEST_ID = 2**31 - 1


def processes(value: object, place: str, problems: list[str]) -> tuple[ProcessPolicy, frozenset[Check]]:
    """Return the lists for program starts, and the fields that ask for detections."""
    document = an_object(value or {}, place, problems)
    checks = _checks(document, PROCESS_CHECKS, place, problems)
    only(document, ("effect", "whitelist", "blacklist", *_names(PROCESS_CHECKS)), f"{place}.", problems)
    policy = ProcessPolicy(
        effect=effect_of(document, place, problems),
        allow=entries_of(document.get("whitelist"), f"{place}.whitelist", entries.process_entry, problems),
        deny=entries_of(document.get("blacklist"), f"{place}.blacklist", entries.process_entry, problems),
    )
    return policy, checks


def files(value: object, place: str, problems: list[str]) -> tuple[FilePolicy, frozenset[Check]]:
    """Return the lists for writes, and the fields that ask for detections."""
    document = an_object(value or {}, place, problems)
    checks = _checks(document, FILE_CHECKS, place, problems)
    only(document, ("effect", "whitelist", "blacklist", *_names(FILE_CHECKS)), f"{place}.", problems)
    policy = FilePolicy(
        effect=effect_of(document, place, problems),
        allow=entries_of(document.get("whitelist"), f"{place}.whitelist", entries.file_entry, problems),
        deny=entries_of(document.get("blacklist"), f"{place}.blacklist", entries.file_entry, problems),
    )
    return policy, checks


def dns(value: object, place: str, problems: list[str]) -> DnsPolicy:
    """Return the lists for look-ups."""
    document = an_object(value or {}, place, problems)
    only(document, ("effect", "whitelist", "blacklist"), f"{place}.", problems)
    return DnsPolicy(
        effect=effect_of(document, place, problems),
        allow=entries_of(document.get("whitelist"), f"{place}.whitelist", entries.domain_entry, problems),
        deny=entries_of(document.get("blacklist"), f"{place}.blacklist", entries.domain_entry, problems),
    )


def network(value: object, place: str, problems: list[str]) -> NetworkPolicy:
    """Return the lists for connections and listening ports, and our own field on private addresses."""
    document = an_object(value or {}, place, problems)
    addresses, ports = ("whitelistIPs", "blacklistIPs"), ("whitelistOutboundPorts", "blacklistOutboundPorts")
    listening = ("whitelistListeningPorts", "blacklistListeningPorts")
    only(document, ("effect", *addresses, *ports, *listening, UNRESOLVED_PRIVATE), f"{place}.", problems)
    allow, deny = (
        entries_of(document.get(name), f"{place}.{name}", entries.address_entry, problems) for name in addresses
    )
    allow_ports, deny_ports, allow_listen, deny_listen = (
        _ports(document.get(name), f"{place}.{name}", problems) for name in (*ports, *listening)
    )
    return NetworkPolicy(
        effect=effect_of(document, place, problems),
        allow_addresses=allow,
        deny_addresses=deny,
        allow_ports=allow_ports,
        deny_ports=deny_ports,
        allow_listen_ports=allow_listen,
        deny_listen_ports=deny_listen,
        unresolved_private=flag(document.get(UNRESOLVED_PRIVATE), f"{place}.{UNRESOLVED_PRIVATE}", problems),
    )


def detections(value: object, place: str, problems: list[str]) -> dict[Detection, Effect]:
    """Return our own field: the effect of each detection that is asked for by its name."""
    found = {}
    for name, wanted in an_object(value or {}, place, problems).items():
        try:
            detection = Detection(name)
        except ValueError:
            problems.append(
                f"{place}.{name}: there is no such detection, the names are in docs/reference/detections.md"
            )
            continue
        chosen = effect(wanted, f"{place}.{name}", Effect, problems)
        if chosen is not None:
            found[detection] = chosen
    return found


def attachments(value: object, place: str, problems: list[str]) -> tuple[Attachment, ...]:
    """Return the custom rules of the library that a rule refers to, in the order in which they are tried."""
    items = a_list(value, place, problems)
    if len(items) > MOST_CUSTOM:
        problems.append(f"{place}: there are {len(items)}, at most {MOST_CUSTOM} are possible")
        return ()
    found: dict[int, Attachment] = {}
    for index, item in enumerate(items):
        attachment = _attachment(an_object(item, f"{place}[{index}]", problems), f"{place}[{index}]", problems)
        if attachment is None:
            continue
        if attachment.id in found:
            problems.append(f"{place}[{index}]: custom rule {attachment.id} is attached already")
        found[attachment.id] = attachment
    return tuple(found.values())


def _attachment(document: dict[str, Any], place: str, problems: list[str]) -> Attachment | None:
    only(document, ("_id", "effect", "action"), f"{place}.", problems)
    number = document.get("_id")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= HIGHEST_ID:
        problems.append(f"{place}._id: it has to be the number of a custom rule")
        return None
    wanted = document.get("effect")
    chosen = None if wanted == "disable" else effect(wanted, f"{place}.effect", CustomEffect, problems)
    action = effect(document.get("action") or "audit", f"{place}.action", Action, problems) or Action.AUDIT
    return Attachment(id=number, effect=chosen, action=action)


def _checks(
    document: dict[str, Any], fields: Mapping[Check, Asked], place: str, problems: list[str]
) -> frozenset[Check]:
    asking = set()
    for check, asked in fields.items():
        given = document.get(check.value)
        if given is not None and flag(given, f"{place}.{check.value}", problems) is asked.when:
            asking.add(check)
    return frozenset(asking)


def _names(fields: Mapping[Check, Asked]) -> tuple[str, ...]:
    return tuple(check.value for check in fields)


def _ports(value: object, place: str, problems: list[str]) -> tuple[PortRange, ...]:
    found = []
    denies = ".blacklist" in place
    for index, item in enumerate(a_list(value, place, problems)):
        where = f"{place}[{index}]"
        if not isinstance(item, dict):
            problems.append(f'{where}: it has to be an object, such as {{"start": 443, "end": 443}}')
            continue
        only(item, ("start", "end", "deny"), f"{where}.", problems)
        if flag(item.get("deny"), f"{where}.deny", problems) and not denies:
            problems.append(f"{where}.deny: this list allows; to deny these ports put them in the list `blacklist…`")
        start, end = _port(item.get("start")), _port(item.get("end", item.get("start")))
        if start is None or end is None:
            problems.append(f"{where}: `start` and `end` have to be ports, whole numbers from 1 to {_HIGHEST_PORT}")
        elif start > end:
            problems.append(f"{where}: `start` {start} is above `end` {end}: give them in order")
        else:
            found.append(PortRange(start=start, end=end))
    return tuple(found)


def _port(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _HIGHEST_PORT:
        return value
    return None
