"""The scope of a rule, from the vendor's JSON: collections of images, containers and App IDs."""

from typing import Any

from bartizan.policy import entries
from bartizan.policy.model import ANY, Collection
from bartizan.policy.reading import a_list, an_object, entries_of, entry, only, text

_FOREIGN_SCOPE = ("hosts", "labels", "functions", "namespaces", "accountIDs", "clusters", "codeRepos")
_COLLECTION_NOTES = ("owner", "modified", "system", "prisma")


def collections_of(document: dict[str, Any], place: str, problems: list[str]) -> tuple[Collection, ...]:
    """Return the scope of a rule; one without collections is for everything."""
    if document.get("collections") is None:
        return (Collection(name="All"),)
    items = a_list(document["collections"], f"{place}: collections", problems)
    if not items:
        problems.append(f"{place}: no collection is given, so it could never match")
    return tuple(_collection(item, f"{place}: collections[{index}]", problems) for index, item in enumerate(items))


def _collection(value: object, place: str, problems: list[str]) -> Collection:
    document = an_object(value, place, problems)
    name = entry(document.get("name", ""), f"{place}.name", entries.label, problems) or ""
    scope = ("images", "containers", "appIDs")
    if name != "All" and name and not any(key in document for key in (*scope, *_FOREIGN_SCOPE)):
        problems.append(f"{place}: collection `{name}` is not stored here, give its images, containers or appIDs")
    problems.extend(
        f"{place}.{key}: scope by {key} is not supported, only by {', '.join(scope)}"
        for key in _FOREIGN_SCOPE
        if document.get(key) not in (None, [], list(ANY))
    )
    known = ("name", "description", "color", *scope, *_FOREIGN_SCOPE, *_COLLECTION_NOTES)
    only(document, known, f"{place}.", problems)
    return Collection(
        name=name,
        images=_patterns(document, "images", place, problems),
        containers=_patterns(document, "containers", place, problems),
        app_ids=_patterns(document, "appIDs", place, problems),
        description=text(document.get("description"), f"{place}.description", problems),
        color=text(document.get("color"), f"{place}.color", problems),
    )


def _patterns(document: dict[str, Any], key: str, place: str, problems: list[str]) -> tuple[str, ...]:
    patterns = entries_of(document.get(key), f"{place}.{key}", entries.collection_pattern, problems)
    if patterns and all(pattern.startswith("-") for pattern in patterns):
        problems.append(f"{place}.{key}: it only excludes, put an inclusion such as `*` beside it")
    return patterns or ANY
