"""Custom rules of the library, from and to the vendor's JSON."""

import re
from typing import Any

from bartizan.policy import entries
from bartizan.policy.custom import FIELDS, check_script
from bartizan.policy.defender_policy import CustomKind
from bartizan.policy.model import CustomDefinition
from bartizan.policy.reading import PolicyError, an_object, entries_of, entry, load, only, text
from bartizan.policy.script_tokens import ScriptError
from bartizan.policy.sections import HIGHEST_ID

_MOST_NAMED = 32
_LONGEST_MESSAGE = 1000
_TECHNIQUE = re.compile(r"[A-Za-z0-9.]{1,64}")
_VULNERABILITY = re.compile(r"[A-Za-z0-9:._-]{1,64}")
MACRO = re.compile(r"%((?:proc|file|net)\.[a-z0-9_]+)")
"""A field's name in a message, which its value replaces."""
_FIELDS = ("_id", "name", "type", "message", "script", "description", "minVersion", "attackTechniques", "vulnIDs")
# Set by the Console itself, whatever a client sends.
_BOOK_KEEPING = ("owner", "modified")


def parse_custom_rule(data: bytes | str, *, number: int) -> CustomDefinition:
    """
    Return the custom rule of this number that the vendor's JSON document describes.

    Raises PolicyError with every problem found; what is wrong with the script comes with its column.
    """
    problems: list[str] = []
    document = an_object(load(data), "the rule", problems)
    only(document, (*_FIELDS, *_BOOK_KEEPING), "", problems)
    if not 0 <= number <= HIGHEST_ID:
        problems.append(f"_id: numbers of custom rules go up to {HIGHEST_ID}")
    given = document.get("_id")
    if given is not None and (isinstance(given, bool) or given != number):
        problems.append(f"_id: it is another one than the {number} of the path")
    kind = _kind(document.get("type"), problems)
    rule = CustomDefinition(
        id=number,
        name=entry(document.get("name", ""), "name", entries.label, problems) or "",
        kind=kind or CustomKind.PROCESSES,
        script=_script(document.get("script"), kind, problems),
        message=_message(document.get("message"), kind, problems),
        description=text(document.get("description"), "description", problems),
        min_version=text(document.get("minVersion"), "minVersion", problems),
        techniques=_named(document.get("attackTechniques"), "attackTechniques", _TECHNIQUE, problems),
        vulnerabilities=_named(document.get("vulnIDs"), "vulnIDs", _VULNERABILITY, problems),
    )
    if problems:
        raise PolicyError(problems)
    return rule


def custom_rule_document(rule: CustomDefinition) -> dict[str, Any]:
    """Return the JSON document of a custom rule; `parse_custom_rule` reads it back to an equal value, but for owner."""
    return {
        "_id": rule.id,
        "name": rule.name,
        "type": rule.kind.value,
        "message": rule.message,
        "script": rule.script,
        "description": rule.description,
        "minVersion": rule.min_version,
        "attackTechniques": list(rule.techniques),
        "owner": rule.owner,
        "vulnIDs": list(rule.vulnerabilities),
    }


def _kind(value: object, problems: list[str]) -> CustomKind | None:
    possible = [kind.value for kind in CustomKind]
    if value in possible:
        return CustomKind(value)
    problems.append(f"type: `{value}` is not possible, only {', '.join(possible)}")
    return None


def _script(value: object, kind: CustomKind | None, problems: list[str]) -> str:
    if not isinstance(value, str) or not value.strip():
        problems.append('script: it has to be a condition, such as `proc.name = "sh"`')
        return ""
    if value.encode(errors="replace").decode() != value:
        problems.append("script: it holds half a character")
        return ""
    if kind is not None:
        try:
            check_script(value, kind)
        except ScriptError as error:
            problems.append(f"script: {error}")
    return value


def _message(value: object, kind: CustomKind | None, problems: list[str]) -> str:
    found = text(value, "message", problems)
    if len(found) > _LONGEST_MESSAGE or not found.isprintable():
        problems.append(f"message: it has to be one line of at most {_LONGEST_MESSAGE} characters")
    fields = FIELDS[kind] if kind is not None else None
    problems.extend(
        f"message: there is no field `{name}` for `%{name}` to stand for"
        for name in dict.fromkeys(MACRO.findall(found))
        if fields is not None and name not in fields
    )
    return found


def _named(value: object, place: str, shape: re.Pattern[str], problems: list[str]) -> tuple[str, ...]:
    def read(item: str) -> str:
        if not shape.fullmatch(item):
            raise ValueError("it is no name of one")
        return item

    found = entries_of(value, place, read, problems)
    if len(found) > _MOST_NAMED:
        problems.append(f"{place}: there are {len(found)}, at most {_MOST_NAMED} are possible")
    return found
