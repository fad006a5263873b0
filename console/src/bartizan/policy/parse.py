"""
From the vendor's JSON to a policy, strictly.

What we cannot enforce is refused by name instead of being dropped in silence; the same fields at a value that asks for
nothing (`false`, empty, `disable`) are accepted, so that exported policies come in unchanged.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import msgspec

from bartizan.policy import entries
from bartizan.policy.defender_policy import DnsPolicy, Effect, NetworkPolicy, PortRange, ProcessPolicy
from bartizan.policy.model import ANY, Collection, Rule, RuntimePolicy

MOST_RULES = 1000
# A Defender gets all policies of its task (at most 16 workloads) in one frame of 1 MiB.
LARGEST_RESOLVED = 60_000
_MOST_PROBLEMS = 10
_HIGHEST_PORT = 65535
_SUPPORTED_EFFECTS = tuple(effect.value for effect in Effect)
_FOREIGN_SCOPE = ("hosts", "labels", "functions", "namespaces", "accountIDs", "clusters", "codeRepos")
_RULE_FIELDS = ("name", "notes", "disabled", "collections", "processes", "network", "dns", "filesystem")
# Set by the Console itself, whatever a client sends.
_BOOK_KEEPING = ("previousName", "owner", "modified")
_COLLECTION_NOTES = ("owner", "modified", "system", "prisma")


class PolicyError(ValueError):
    """A policy that was refused; `problems` names every reason, with its place."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        shown = "; ".join(problems[:_MOST_PROBLEMS])
        more = len(problems) - _MOST_PROBLEMS
        super().__init__(f"{shown}; and {more} more" if more > 0 else shown)


def parse_policy(data: bytes | str) -> RuntimePolicy:
    """
    Return the policy that the vendor's JSON document describes.

    Raises PolicyError with every problem found.
    """
    problems: list[str] = []
    document = _object(_load(data), "the policy", problems)
    items = _list(document.get("rules"), "rules", problems)
    if len(items) > MOST_RULES:
        problems.append(f"there are {len(items)} rules, at most {MOST_RULES} are possible")
        items = []
    _only(document, ("_id", "rules", "owner", "modified"), "", problems)
    rules = [_rule(item, f"rules[{index}]", problems) for index, item in enumerate(items)]
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            problems.append(f"the rule name `{rule.name}` is used twice")
        seen.add(rule.name)
    if problems:
        raise PolicyError(problems)
    return RuntimePolicy(rules=tuple(rules))


def parse_rule(data: bytes | str) -> Rule:
    """Return the one rule that the JSON document describes. Raises PolicyError with every problem found."""
    problems: list[str] = []
    rule = _rule(_load(data), "the rule", problems)
    if problems:
        raise PolicyError(problems)
    return rule


def parse_stored(data: bytes | str) -> RuntimePolicy:
    """Return a policy that this Console rendered itself, with the owners and times that it had set."""
    policy = parse_policy(data)
    documents = json.loads(data)["rules"]
    return RuntimePolicy(
        rules=tuple(
            dataclasses.replace(rule, owner=document["owner"], modified=document["modified"])
            for rule, document in zip(policy.rules, documents, strict=True)
        )
    )


def _load(data: bytes | str) -> object:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(key for index, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:index]))
            raise PolicyError([f"the key `{twice}` is given twice in one object"])
        return found

    def refuse(word: str) -> None:
        raise PolicyError([f"`{word}` is no JSON value"])

    try:
        return json.loads(data, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise PolicyError([f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}"]) from None
    except UnicodeDecodeError as error:
        raise PolicyError([f"not UTF-8: byte {error.start}"]) from None
    except RecursionError:
        raise PolicyError(["nested too deeply"]) from None
    except PolicyError:
        raise
    except ValueError:
        raise PolicyError(["a number is too long"]) from None


def _rule(value: object, place: str, problems: list[str]) -> Rule:
    document = _object(value, place, problems)
    name = _entry(document.get("name", ""), f"{place}.name", entries.label, problems) or ""
    place = f"rule `{name}`" if name else place
    _only(document, (*_RULE_FIELDS, *_BOOK_KEEPING), f"{place}: ", problems)
    filesystem = _object(document.get("filesystem") or {}, f"{place}: filesystem", problems)
    _only(filesystem, (), f"{place}: filesystem.", problems)
    rule = Rule(
        name=name,
        collections=_collections(document, place, problems),
        processes=_processes(document.get("processes"), f"{place}: processes", problems),
        dns=_dns(document.get("dns"), f"{place}: dns", problems),
        network=_network(document.get("network"), f"{place}: network", problems),
        disabled=_flag(document.get("disabled"), f"{place}: disabled", problems),
        notes=_text(document.get("notes"), f"{place}: notes", problems),
    )
    size = len(msgspec.json.encode((rule.name, rule.processes, rule.dns, rule.network)))
    if size > LARGEST_RESOLVED:
        problems.append(f"{place}: its lists take {size} bytes, at most {LARGEST_RESOLVED} are possible")
    return rule


def _collections(document: dict[str, Any], place: str, problems: list[str]) -> tuple[Collection, ...]:
    if document.get("collections") is None:
        return (Collection(name="All"),)
    items = _list(document["collections"], f"{place}: collections", problems)
    if not items:
        problems.append(f"{place}: no collection is given, so it could never match")
    return tuple(_collection(item, f"{place}: collections[{index}]", problems) for index, item in enumerate(items))


def _collection(value: object, place: str, problems: list[str]) -> Collection:
    document = _object(value, place, problems)
    name = _entry(document.get("name", ""), f"{place}.name", entries.label, problems) or ""
    scope = ("images", "containers", "appIDs")
    if name != "All" and name and not any(key in document for key in (*scope, *_FOREIGN_SCOPE)):
        problems.append(f"{place}: collection `{name}` is not stored here, give its images, containers or appIDs")
    problems.extend(
        f"{place}.{key}: scope by {key} is not supported, only by {', '.join(scope)}"
        for key in _FOREIGN_SCOPE
        if document.get(key) not in (None, [], list(ANY))
    )
    known = ("name", "description", "color", *scope, *_FOREIGN_SCOPE, *_COLLECTION_NOTES)
    _only(document, known, f"{place}.", problems)
    return Collection(
        name=name,
        images=_patterns(document, "images", place, problems),
        containers=_patterns(document, "containers", place, problems),
        app_ids=_patterns(document, "appIDs", place, problems),
        description=_text(document.get("description"), f"{place}.description", problems),
        color=_text(document.get("color"), f"{place}.color", problems),
    )


def _patterns(document: dict[str, Any], key: str, place: str, problems: list[str]) -> tuple[str, ...]:
    patterns = _entries(document.get(key), f"{place}.{key}", entries.collection_pattern, problems)
    if patterns and all(pattern.startswith("-") for pattern in patterns):
        problems.append(f"{place}.{key}: it only excludes, put an inclusion such as `*` beside it")
    return patterns or ANY


def _processes(value: object, place: str, problems: list[str]) -> ProcessPolicy:
    document = _object(value or {}, place, problems)
    # `skipModified` asks for fewer audits of a check that we do not have: nothing to refuse.
    _only(document, ("effect", "whitelist", "blacklist", "skipModified"), f"{place}.", problems)
    return ProcessPolicy(
        effect=_effect(document, place, problems),
        allow=_entries(document.get("whitelist"), f"{place}.whitelist", entries.process_entry, problems),
        deny=_entries(document.get("blacklist"), f"{place}.blacklist", entries.process_entry, problems),
    )


def _dns(value: object, place: str, problems: list[str]) -> DnsPolicy:
    document = _object(value or {}, place, problems)
    _only(document, ("effect", "whitelist", "blacklist"), f"{place}.", problems)
    return DnsPolicy(
        effect=_effect(document, place, problems),
        allow=_entries(document.get("whitelist"), f"{place}.whitelist", entries.domain_entry, problems),
        deny=_entries(document.get("blacklist"), f"{place}.blacklist", entries.domain_entry, problems),
    )


def _network(value: object, place: str, problems: list[str]) -> NetworkPolicy:
    document = _object(value or {}, place, problems)
    lists = ("whitelistIPs", "blacklistIPs", "whitelistOutboundPorts", "blacklistOutboundPorts")
    _only(document, ("effect", *lists), f"{place}.", problems)
    return NetworkPolicy(
        effect=_effect(document, place, problems),
        allow_addresses=_entries(document.get(lists[0]), f"{place}.{lists[0]}", entries.address_entry, problems),
        deny_addresses=_entries(document.get(lists[1]), f"{place}.{lists[1]}", entries.address_entry, problems),
        allow_ports=_ports(document.get(lists[2]), f"{place}.{lists[2]}", problems),
        deny_ports=_ports(document.get(lists[3]), f"{place}.{lists[3]}", problems),
    )


def _ports(value: object, place: str, problems: list[str]) -> tuple[PortRange, ...]:
    found = []
    for index, item in enumerate(_list(value, place, problems)):
        document = _object(item, f"{place}[{index}]", problems)
        _only(document, ("start", "end", "deny"), f"{place}[{index}].", problems)
        start, end = _port(document.get("start")), _port(document.get("end", document.get("start")))
        if start is None or end is None or start > end:
            problems.append(f"{place}[{index}]: `start` and `end` have to be ports from 1 to {_HIGHEST_PORT}, in order")
            continue
        found.append(PortRange(start=start, end=end))
    return tuple(found)


def _port(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _HIGHEST_PORT:
        return value
    return None


def _effect(document: dict[str, Any], place: str, problems: list[str]) -> Effect:
    value = document.get("effect") or "disable"
    if value in _SUPPORTED_EFFECTS:
        return Effect(value)
    hint = ", use `prevent`" if value == "block" else ""
    problems.append(f"{place}.effect: `{value}` is not possible, only {', '.join(_SUPPORTED_EFFECTS)}{hint}")
    return Effect.DISABLE


def _only(document: dict[str, Any], known: tuple[str, ...], prefix: str, problems: list[str]) -> None:
    for key, value in document.items():
        if key not in known and not _asks_for_nothing(value):
            problems.append(f"{prefix}{key}: this is not supported yet, leave it out, empty or disabled")


def _asks_for_nothing(value: object) -> bool:
    return value is None or value is False or value in ("", "disable") or value in ([], {})


def _entries(value: object, place: str, read: Callable[[str], str], problems: list[str]) -> tuple[str, ...]:
    items = _list(value, place, problems)
    found = (_entry(item, f"{place}[{index}]", read, problems) for index, item in enumerate(items))
    return tuple(dict.fromkeys(item for item in found if item is not None))


def _entry(value: object, place: str, read: Callable[[str], str], problems: list[str]) -> str | None:
    if not isinstance(value, str):
        problems.append(f"{place}: it has to be a string")
        return None
    try:
        return read(value)
    except ValueError as error:
        problems.append(f"{place}: {error}")
        return None


def _object(value: object, place: str, problems: list[str]) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    problems.append(f"{place}: it has to be an object")
    return {}


def _list(value: object, place: str, problems: list[str]) -> list[Any]:
    if value is None or isinstance(value, list):
        return value or []
    problems.append(f"{place}: it has to be a list")
    return []


def _flag(value: object, place: str, problems: list[str]) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    problems.append(f"{place}: it has to be true or false")
    return False


def _text(value: object, place: str, problems: list[str]) -> str:
    if value is None or (isinstance(value, str) and len(value) <= 10_000):  # noqa: PLR2004 - notes are for people
        return value or ""
    problems.append(f"{place}: it has to be a string of at most 10000 characters")
    return ""
