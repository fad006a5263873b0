"""From an index or manifest to the one configuration that is wanted (pure but for the `fetch` that is passed in)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bartizan.registry.errors import ImageError
from bartizan.registry.image import checked_digest, parse_json
from bartizan.registry.platforms import Platform, choose, refuse_schema_1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LARGEST_MANIFEST = 4 << 20
"""The most bytes that a manifest or index may have; registries take no more (OCI, "Pushing Manifests")."""
LARGEST_CONFIG = 16 << 20
"""The most bytes that a configuration may have."""
_MOST_LAYERS = 512
_DEEPEST = 3
_MOST_FETCHED = 8


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one platform: its digest, and the digests of the configuration and the layers, lowest first."""

    digest: str
    config: str
    layers: tuple[str, ...]


def resolve(
    content: bytes, digest: str, *, media_type: str, wanted: Platform, fetch: Callable[[str], bytes], what: str
) -> Manifest:
    """Return the manifest for `wanted`: `content` itself, or one from the index that `content` is.

    `fetch` gives the bytes of a manifest by digest and has checked them. Indexes may be nested three deep, and eight
    manifests are fetched at most. A document that could be read as either kind is refused, since runtimes would differ
    about it (CVE-2021-41190). Raises `ImageError`.
    """
    budget = [_MOST_FETCHED]

    def descend(content: bytes, digest: str, media_type: str, depth: int) -> Manifest:
        document = parse_json(content, what)
        refuse_schema_1(document, media_type, what)
        if "manifests" in document and ("layers" in document or "config" in document):
            raise ImageError(f"{what} is an index and a manifest at once: which is meant cannot be told")
        if "manifests" not in document:
            return parse_manifest(document, digest, what)
        if depth == _DEEPEST:
            raise ImageError(f"{what} has indexes nested too deeply")
        failure: ImageError | None = None
        for entry in choose(document, wanted, what):
            budget[0] -= 1
            if budget[0] < 0:
                raise ImageError(f"{what} needs more than {_MOST_FETCHED} manifests to be read")
            try:
                return descend(fetch(entry.digest), entry.digest, "", depth + 1)
            except ImageError as cause:
                failure = failure or cause
        raise failure or ImageError(f"{what} lists nothing")

    return descend(content, digest, media_type, 0)


def parse_manifest(document: Mapping[str, object], digest: str, what: str) -> Manifest:
    """Parse an OCI or Docker (schema 2) manifest of an image. Raises `ImageError`."""
    config, layers = document.get("config"), document.get("layers")
    if not isinstance(config, dict) or not isinstance(layers, list):
        raise ImageError(f"{what} has no `config` and `layers`: it is no image manifest of schema 2")
    kind = config.get("mediaType")
    if isinstance(kind, str) and kind and not kind.endswith((".image.config.v1+json", ".container.image.v1+json")):
        raise ImageError(f"{what} is no image that can run: its configuration is `{kind[:100]}`")
    if len(layers) > _MOST_LAYERS:
        raise ImageError(f"{what} has {len(layers)} layers: at most {_MOST_LAYERS} are possible")
    listed = (entry.get("digest") if isinstance(entry, dict) else None for entry in layers)
    return Manifest(
        digest, checked_digest(config.get("digest"), what), tuple(checked_digest(item, what) for item in listed)
    )
