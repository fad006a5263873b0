"""
Scopes, from the vendor's JSON: the collections of a rule, and those that are kept by themselves.

A rule names a stored collection, or brings a scope of its own. The two never have one name and different scopes, so
that a name always means one thing: `bound` refuses it when a policy comes, the Console when a collection comes.
"""

import re
from collections.abc import Sequence
from typing import Any

from bartizan.policy import entries
from bartizan.policy.model import ANY, EVERYTHING, Collection, StoredCollections
from bartizan.policy.reading import Harmless, PolicyError, a_list, an_object, entries_of, entry, load, only, text

MOST_PATTERNS = 1000
_SCOPE = ("images", "containers", "appIDs", "labels", "accountIDs", "clusters")
_FOREIGN_SCOPE = ("hosts", "functions", "namespaces", "codeRepos")
_COLLECTION_NOTES = ("owner", "modified", "system", "prisma")
_KNOWN = ("name", "description", "color", *_SCOPE, *_FOREIGN_SCOPE, *_COLLECTION_NOTES)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_LONGEST_NAME = 128


def collections_of(document: dict[str, Any], place: str, problems: list[str]) -> tuple[Collection, ...]:
    """Return the scope of a rule; one without collections is for everything."""
    if document.get("collections") is None:
        return (EVERYTHING,)
    items = a_list(document["collections"], f"{place}: collections", problems)
    if not items:
        problems.append(f"{place}: no collection is given, so it could never match")
    return tuple(_of_rule(item, f"{place}: collections[{index}]", problems) for index, item in enumerate(items))


def parse_collection(data: bytes | str, *, name: str | None = None) -> Collection:
    """
    Return the collection of a JSON document, to be kept under its name (which `name` is, if that is given).

    Raises PolicyError with every problem found.
    """
    problems: list[str] = []
    document = an_object(load(data), "the collection", problems)
    given = document.get("name", name)
    if name is not None and given != name:
        problems.append(f"name: the collection is `{name}`, which cannot be changed; add a new one")
        given = name
    only(document, _KNOWN, "", problems)
    found = _collection(document, entry(given or "", "name", _name_to_keep, problems) or "", "", problems)
    if found.color and not _COLOR.fullmatch(found.color):
        problems.append("color: it has to be `#` and six hex digits, such as `#2a7de1`")
    if len(found.description.splitlines()) > 1:
        problems.append("description: it has to be one line")
    if problems:
        raise PolicyError(problems)
    return found


def parse_scope(data: bytes | str) -> Collection:
    """Return the scope of a JSON document that needs no name. Raises PolicyError with every problem found."""
    problems: list[str] = []
    document = an_object(load(data), "the collection", problems)
    only(document, _KNOWN, "", problems)
    found = _collection(document, "", "", problems)
    if problems:
        raise PolicyError(problems)
    return found


def bound(
    collections: Sequence[Collection], stored: StoredCollections, place: str, problems: list[str]
) -> tuple[Collection, ...]:
    """Return the scope of a rule with what is stored in place of names; what does not fit it is a problem."""
    for item in collections:
        kept = stored.get(item.name)
        if item.by_name and kept is None:
            problems.append(
                f"{place}: there is no collection `{item.name[:200]}`: add it first, or give its images, containers, "
                "appIDs, labels, accountIDs or clusters here"
            )
        elif kept is not None and not item.by_name and kept.scope != item.scope:
            problems.append(
                f"{place}: the stored collection `{item.name}` has another scope than is given here: give its name "
                "alone, or choose another name"
            )
    return refreshed(collections, stored)


def refreshed(collections: Sequence[Collection], stored: StoredCollections) -> tuple[Collection, ...]:
    """Return the scope of a rule with the stored collections as they are now; scopes of its own stay."""
    return tuple(stored.get(item.name, item) for item in collections)


def _of_rule(value: object, place: str, problems: list[str]) -> Collection:
    document = an_object(value, place, problems)
    name = entry(document.get("name", ""), f"{place}.name", entries.label, problems) or ""
    only(document, _KNOWN, f"{place}.", problems)
    if name != EVERYTHING.name and not any(key in document for key in (*_SCOPE, *_FOREIGN_SCOPE)):
        return Collection(name=name, by_name=True)
    found = _collection(document, name, f"{place}.", problems)
    if name == EVERYTHING.name and found.scope != EVERYTHING.scope:
        problems.append(Harmless(f"{place}: `All` is built in and means everything, choose another name"))
    return found


def _collection(document: dict[str, Any], name: str, place: str, problems: list[str]) -> Collection:
    problems.extend(
        f"{place}{key}: scope by {key} is not supported, only by {', '.join(_SCOPE)}"
        for key in _FOREIGN_SCOPE
        if document.get(key) not in (None, [], list(ANY))
    )
    return Collection(
        name=name,
        images=_patterns(document, "images", place, problems),
        containers=_patterns(document, "containers", place, problems),
        app_ids=_patterns(document, "appIDs", place, problems),
        labels=_patterns(document, "labels", place, problems),
        account_ids=_patterns(document, "accountIDs", place, problems),
        clusters=_patterns(document, "clusters", place, problems),
        description=text(document.get("description"), f"{place}description", problems),
        color=text(document.get("color"), f"{place}color", problems),
    )


def _patterns(document: dict[str, Any], key: str, place: str, problems: list[str]) -> tuple[str, ...]:
    patterns = entries_of(document.get(key), f"{place}{key}", entries.collection_pattern, problems)
    if len(patterns) > MOST_PATTERNS:
        problems.append(f"{place}{key}: there are {len(patterns)} patterns, at most {MOST_PATTERNS} are possible")
        return ANY
    if patterns and all(pattern.startswith("-") for pattern in patterns):
        problems.append(f"{place}{key}: it only excludes, put an inclusion such as `*` beside it")
    return patterns or ANY


def _name_to_keep(text: str) -> str:
    """Return a name that can stand in a path; raises ValueError with why not."""
    entries.label(text)
    if len(text) > _LONGEST_NAME:
        raise ValueError(f"it is longer than {_LONGEST_NAME} characters")
    if text.strip() != text or "/" in text or text in (".", ".."):
        raise ValueError("a name has no `/`, is not `.` or `..`, and neither begins nor ends with a space")
    if text.casefold() == EVERYTHING.name.casefold():
        raise ValueError("`All` is built in and means everything")
    return text
