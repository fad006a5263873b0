"""
Whether a workload lies in a collection.

Patterns are case-insensitive, `*` matches any run of characters, a leading `-` excludes and is looked at first.
Source: the vendor's rule order and pattern matching page (`docs/reference` names the differences).
"""

from collections.abc import Iterable, Sequence

from bartizan.policy.model import Collection, Workload

_HUB = "docker.io/"
_HUB_LIBRARY = "docker.io/library/"


def covers(collection: Collection, workload: Workload) -> bool:
    """Return whether the workload lies in the collection: every field must match."""
    return (
        not collection.by_name
        and _field_matches(collection.images, image_names(workload.image))
        and _field_matches(collection.containers, _one(workload.container))
        and _field_matches(collection.app_ids, _one(workload.app_id))
        and _field_matches(collection.labels, workload.labels or ("",))
        and _field_matches(collection.account_ids, _one(workload.account_id))
        and _field_matches(collection.clusters, _one(workload.cluster))
    )


def glob_matches(pattern: str, text: str) -> bool:
    """Return whether `text` matches `pattern`, where `*` is any run of characters; linear in both, no backtracking."""
    pieces = pattern.split("*")
    if len(pieces) == 1:
        return pattern == text
    first, *middle, last = pieces
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def image_names(image: str | None) -> tuple[str, ...]:
    """
    Return the spellings under which an image is known: `nginx` is also `docker.io/library/nginx`.

    Source: Docker's reference grammar; a first path component without `.`, `:` and other than `localhost` is no host.
    """
    if image is None:
        return ("",)
    for prefix in (_HUB_LIBRARY, _HUB):
        if image.startswith(prefix):
            return (image, image[len(prefix) :])
    head, slash, _ = image.partition("/")
    if not slash:
        return (image, _HUB_LIBRARY + image)
    if "." in head or ":" in head or head == "localhost":
        return (image,)
    return (image, _HUB + image)


def _one(value: str | None) -> tuple[str, ...]:
    return (value or "",)


def _field_matches(patterns: Sequence[str], names: Iterable[str]) -> bool:
    folded = [name.casefold() for name in names]
    excluded = [pattern[1:].casefold() for pattern in patterns if pattern.startswith("-")]
    included = [pattern.casefold() for pattern in patterns if not pattern.startswith("-")]
    if any(glob_matches(pattern, name) for pattern in excluded for name in folded):
        return False
    return any(glob_matches(pattern, name) for pattern in included for name in folded)
