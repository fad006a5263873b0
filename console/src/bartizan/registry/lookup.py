"""Looking an image up: its configuration and digests, from manifests and the configuration alone, never from layers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bartizan.registry.distribution import Session
from bartizan.registry.errors import ImageError
from bartizan.registry.image import ImageConfig, parse_config
from bartizan.registry.inspected import read_inspected
from bartizan.registry.layout import open_archive, open_layout
from bartizan.registry.platforms import Platform, missing, parse_platform
from bartizan.registry.reference import parse_reference
from bartizan.registry.sources import split_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bartizan.registry.access import Access

Origin = Literal["registry", "layout", "archive", "inspect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """What was found out about an image.

    `digest` is of what the reference names, an index or a manifest: what a reference is pinned to. `manifest_digest` is
    of the manifest for `architecture`; both are None where no registry has been asked and none would know them.
    """

    reference: str
    config: ImageConfig
    digest: str | None
    manifest_digest: str | None
    architecture: str
    origin: Origin


def look_up(reference: str, *, access: Access, architecture: str = "amd64") -> LookUp:
    """Look an image up in its registry. Raises `ImageError`.

    `architecture` is what `parse_platform` reads: `amd64`, `linux/arm64/v8`, or ECS's `X86_64` and `ARM64`. A file is
    never opened, whatever the reference says; that is for `look_up_source`.
    """
    wanted = parse_platform(architecture)
    with Session(parse_reference(reference), access) as session:
        digest, manifest = session.find(wanted)
        config = parse_config(session.config(manifest.config), f"the configuration of `{reference}`")
    return _checked(reference, config, wanted, digest, manifest.digest, "registry")


def look_up_source(source: str, *, access: Access, architecture: str = "amd64", name: str | None = None) -> LookUp:
    """Look an image up where its user says that it is. Raises `ImageError`.

    `source` is `oci:DIR[:TAG]`, `archive:FILE[:TAG]`, `inspect:FILE` (what `docker image inspect` printed) or a
    reference, perhaps with `docker://`. `name` is the reference that the image goes by; in the output of inspect it
    picks one of several. Only for what the user of this machine wrote: it opens files.
    """
    wanted = parse_platform(architecture)
    kind, colon, rest = source.partition(":")
    if not colon or kind not in {"oci", "archive", "inspect"}:
        return look_up(source.removeprefix("docker://"), access=access, architecture=architecture)
    if kind == "inspect":
        found = read_inspected(Path(rest), name=name, wanted=wanted)
        return _checked(name or source, found.config, wanted, found.digest, None, "inspect")
    path, tag = split_tag(rest)
    opened = (open_layout if kind == "oci" else open_archive)(path, tag, source, wanted)
    manifest_digest = opened.digest if opened.named is not None else None
    origin: Origin = "layout" if kind == "oci" else "archive"
    return _checked(name or source, opened.config, wanted, opened.named, manifest_digest, origin)


def look_up_all(
    references: Iterable[str], *, access: Access, architecture: str = "amd64", at_once: int = 8
) -> dict[str, LookUp | ImageError]:
    """Look several images up, at most `at_once` of them at a time; each gets its answer or its own error.

    The order is that of `references`; each is looked up once, however often it is given.
    """
    wanted = list(dict.fromkeys(references))

    def one(reference: str) -> LookUp | ImageError:
        try:
            return look_up(reference, access=access, architecture=architecture)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(wanted))), thread_name_prefix="look-up") as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def _checked(
    reference: str,
    config: ImageConfig,
    wanted: Platform,
    digest: str | None,
    manifest_digest: str | None,
    origin: Origin,
) -> LookUp:
    """Make sure that an image without an index is for the wanted architecture, where it says for which it is."""
    architecture = config.architecture.lower()
    if architecture and architecture != wanted.architecture:
        raise missing(f"image `{reference}`", wanted, [f"linux/{architecture}"])
    return LookUp(
        reference=reference,
        config=config,
        digest=digest,
        manifest_digest=manifest_digest,
        architecture=wanted.architecture,
        origin=origin,
    )
