"""Rules for what is replaced before a request is logged: by a pattern, or at a place of the request."""

from typing import Any

from bartizan.policy.entries import label
from bartizan.policy.firewall.fields import Shape, checked, choice, flag, ignored, several, text
from bartizan.policy.firewall.model import ScrubbingRule
from bartizan.policy.firewall.patterns import expression
from bartizan.policy.firewall.protections import LOCATIONS
from bartizan.policy.reading import PolicyError, load

MOST_RULES = 100
_rule = Shape(
    fields={
        "name": checked(label, longest=256),
        "type": choice("pattern", "location"),
        "pattern": text(longest=1024),
        "location": choice(*LOCATIONS),
        "key": text(longest=1024),
        "keyPattern": flag(),
        "placeholder": text(longest=256),
        "disabled": flag(),
        "notes": text(lines=True),
        "owner": ignored,
        "modified": ignored,
        "previousName": ignored,
    },
    needed=("name", "type", "placeholder"),
)
_rules = several(_rule, most=MOST_RULES)


def parse_scrubbing(data: bytes | str) -> tuple[ScrubbingRule, ...]:
    """Return the rules of a JSON list. Raises PolicyError with every problem found."""
    problems: list[str] = []
    documents = _rules(load(data), "", problems)
    for index, document in enumerate(documents):
        _check(document, f"[{index}]", problems)
    names = [document["name"] for document in documents]
    problems.extend(f"the name `{name}` is used twice" for name in sorted({n for n in names if names.count(n) > 1}))
    if problems:
        raise PolicyError(problems)
    return tuple(
        ScrubbingRule(
            name=document["name"],
            kind=document["type"],
            placeholder=document["placeholder"],
            pattern=document["pattern"],
            location=document["location"],
            key=document["key"],
            key_pattern=document["keyPattern"],
            disabled=document["disabled"],
            notes=document["notes"],
        )
        for document in documents
    )


def scrubbing_document(rules: tuple[ScrubbingRule, ...]) -> list[dict[str, Any]]:
    """Return the JSON list of the rules; `parse_scrubbing` reads it back to an equal value."""
    return [
        {
            "name": rule.name,
            "type": rule.kind,
            "pattern": rule.pattern,
            "location": rule.location,
            "key": rule.key,
            "keyPattern": rule.key_pattern,
            "placeholder": rule.placeholder,
            "disabled": rule.disabled,
            "notes": rule.notes,
        }
        for rule in rules
    ]


def _check(document: dict[str, Any], place: str, problems: list[str]) -> None:
    if document["type"] == "pattern":
        checked(expression)(document["pattern"], f"{place}.pattern", problems)
        return
    if document["type"] == "location" and not document["location"]:
        problems.append(f"{place}.location: it is missing")
    if document["keyPattern"]:
        checked(expression)(document["key"], f"{place}.key", problems)
