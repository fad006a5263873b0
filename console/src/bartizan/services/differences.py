"""What changed between two documents, as people want to read it: by place, with secrets left out. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_DIFFERENCES = 200
REDACTED = "[redacted]"
_LONGEST_TEXT = 2000
_DEEPEST = 12
_SECRET = re.compile(r"passw|secret|token|passphrase|private|apikey|signingkey|authorization|webhook", re.IGNORECASE)
# A name that ends like this says which secret, not the secret itself.
_NAMES_ONE = re.compile(r"(?:id|name|type|field)$", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]{1,500}@")
_IDENTITIES = ("_id", "id", "name", "username", "groupName", "registry")
_BOOK_KEEPING = frozenset(("lastModified", "modified", "lastUsed", "lastLogin", "lastHit", "matches", "hits"))
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place that changed; None is what is not there."""

    path: str
    before: Any = None
    after: Any = None


def differences(before: object, after: object) -> list[Difference]:
    """
    Return what changed between two decoded JSON documents, at most `MOST_DIFFERENCES`.

    Members of lists that have a name are the same member wherever they stand; book-keeping is no change.
    """
    found: list[Difference] = []
    for item in _compared("", before, after, 0):
        found.append(item)
        if len(found) >= MOST_DIFFERENCES:
            break
    return found


def without_secrets(value: object, *, secret: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Return decoded JSON with the values of all names that sound secret, and the users of URLs, blanked out."""
    if isinstance(value, dict):
        return {
            str(name): without_secrets(item, secret=secret or _sounds_secret(str(name))) for name, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item, secret=secret) for item in value]
    if secret and value not in (None, "", False, True):
        return REDACTED
    if isinstance(value, str):
        return _USER_INFO.sub(f"{REDACTED}@", value[:_LONGEST_TEXT])
    return value


def _sounds_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and _NAMES_ONE.search(name) is None


def _compared(path: str, before: object, after: object, depth: int) -> Iterator[Difference]:
    if before == after:
        return
    if depth < _DEEPEST and isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after} - _BOOK_KEEPING, key=str):
            old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
            yield from _compared(f"{path}.{name}" if path else str(name), old, new, depth + 1)
        return
    olds, news = _named(before), _named(after)
    if depth < _DEEPEST and olds is not None and news is not None:
        if list(olds) != list(news) and olds.keys() == news.keys():
            yield Difference(path=f"{path}[order]", before=list(olds), after=list(news))
        for name in dict.fromkeys((*olds, *news)):
            yield from _compared(f"{path}[{name}]", olds.get(name, _ABSENT), news.get(name, _ABSENT), depth + 1)
        return
    yield Difference(path=path, before=_shown(before), after=_shown(after))


def _named(value: object) -> dict[str, Any] | None:
    """Return the members of a list by their names, or None if it has members without, or two of one name."""
    if value is _ABSENT:
        return None
    if not isinstance(value, list):
        return None
    found: dict[str, Any] = {}
    for member in value:
        if not isinstance(member, dict):
            return None
        name = next((str(member[key]) for key in _IDENTITIES if member.get(key)), None)
        if name is None or name in found:
            return None
        found[name] = member
    return found


def _shown(value: object) -> Any:  # noqa: ANN401 - JSON
    return None if value is _ABSENT else value
