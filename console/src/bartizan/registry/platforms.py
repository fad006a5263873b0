"""Which manifest of an index is meant (pure): OCI image spec "Image Index", and Docker's manifest lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bartizan.registry.errors import ImageError
from bartizan.registry.image import checked_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}
_PLAIN_VARIANT = {"amd64": "v1", "arm64": "v8", "arm": "v7"}
_WORD = re.compile(r"[a-z0-9_.-]{1,32}")
_MOST_ENTRIES = 1024


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on. An empty `variant` is the usual one of the architecture."""

    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        """Return it as Docker writes it."""
        return "/".join(filter(None, ("linux", self.architecture, self.variant)))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One line of an index: where it leads, and for what it is said to be."""

    digest: str
    is_index: bool
    is_attestation: bool
    operating_system: str
    architecture: str
    variant: str

    @property
    def platform(self) -> str:
        """The platform in words, empty when the line has none."""
        return "/".join(filter(None, (self.operating_system, self.architecture, self.variant)))


def parse_platform(text: str) -> Platform:
    """Read `amd64`, `arm64`, `arm64/v8`, `linux/amd64`, or ECS's `X86_64` and `ARM64`; empty means amd64.

    Raises `ImageError` for another operating system than linux.
    """
    parts = text.lower().split("/") if text else ["amd64"]
    if parts[0] == "linux" and len(parts) > 1:
        parts = parts[1:]
    if len(parts) > 2 or not all(map(_WORD.fullmatch, parts)) or parts[0] in {"windows", "darwin", "linux"}:  # noqa: PLR2004
        raise ImageError(f"platform `{text}` is not understood: write it like `linux/amd64` or `linux/arm64`")
    architecture = _ALIASES.get(parts[0], parts[0])
    variant = parts[1] if len(parts) > 1 else ""
    return Platform(architecture, "" if variant == _PLAIN_VARIANT.get(architecture) else variant)


def choose(index: Mapping[str, object], wanted: Platform, what: str) -> tuple[Descriptor, ...]:
    """Return the lines of an index to look at, best first: the manifest for `wanted`, or the indexes it may be in.

    Attestations (`unknown/unknown`) are no images. Raises `ImageError` with the platforms there are.
    """
    entries = [entry for entry in descriptors(index, what) if not entry.is_attestation]
    fitting = [entry for entry in entries if _fits(entry, wanted)]
    if fitting:
        return (min(fitting, key=lambda entry: _distance(entry, wanted)),)
    open_ended = [entry for entry in entries if not entry.platform]
    nested = [entry for entry in open_ended if entry.is_index]
    if nested:
        return tuple(nested)
    if len(entries) == 1 and open_ended:
        return (open_ended[0],)
    raise missing(what, wanted, [entry.platform or "unknown" for entry in entries])


def missing(what: str, wanted: Platform, there: list[str]) -> ImageError:
    """Return the error for a platform that an image does not have."""
    listed = ", ".join(f"`{name}`" for name in sorted(set(there))[:20]) or "none"
    return ImageError(f"{what} has no image for `{wanted}`: it has {listed}")


def descriptors(index: Mapping[str, object], what: str) -> list[Descriptor]:
    """Parse the lines of an index. Raises `ImageError`."""
    listed = index.get("manifests")
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ImageError(f"{what} has `manifests` that are not a list of objects")
    if len(listed) > _MOST_ENTRIES:
        raise ImageError(f"{what} lists {len(listed)} manifests: at most {_MOST_ENTRIES} are read")
    return [_descriptor(entry, what) for entry in listed]


def refuse_schema_1(manifest: Mapping[str, object], media_type: str, what: str) -> None:
    """Refuse the manifest format of before 2017, whose configuration is no blob of its own. Raises `ImageError`."""
    if manifest.get("schemaVersion") == 1 or media_type in _SCHEMA_1 or manifest.get("mediaType") in _SCHEMA_1:
        raise ImageError(
            f"{what} has the old schema 1, which registries and runtimes have given up: pull it and push it again"
        )


def _descriptor(entry: Mapping[str, object], what: str) -> Descriptor:
    about = entry.get("platform")
    about = about if isinstance(about, dict) else {}
    notes = entry.get("annotations")
    kind = notes.get("vnd.docker.reference.type") if isinstance(notes, dict) else None
    words = [_word(about.get(key)) for key in ("os", "architecture", "variant")]
    return Descriptor(
        digest=checked_digest(entry.get("digest"), what),
        is_index=entry.get("mediaType") in INDEX_TYPES,
        is_attestation=kind == "attestation-manifest" or words[:2] == ["unknown", "unknown"],
        operating_system=words[0],
        architecture=words[1],
        variant=words[2],
    )


def _word(value: object) -> str:
    """Keep a word of a platform only if it is one; anything else is as good as absent and safe to be shown."""
    return value.lower() if isinstance(value, str) and _WORD.fullmatch(value.lower()) else ""


def _fits(entry: Descriptor, wanted: Platform) -> bool:
    if entry.operating_system != "linux" or entry.architecture != wanted.architecture:
        return False
    return entry.is_index or _distance(entry, wanted) < len(_VARIANTS)


_VARIANTS = ("", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9")


def _distance(entry: Descriptor, wanted: Platform) -> int:
    """Tell how far an entry's variant is from the wanted one; one that asks for more than is wanted is out of reach."""
    usual = _PLAIN_VARIANT.get(wanted.architecture, "")
    has, wants = entry.variant or usual, wanted.variant or usual
    if has == wants:
        return 0
    if has in _VARIANTS and wants in _VARIANTS and _VARIANTS.index(has) < _VARIANTS.index(wants):
        return _VARIANTS.index(wants) - _VARIANTS.index(has)
    return len(_VARIANTS)
