"""What `docker image inspect` or `podman image inspect` printed, read as an image's configuration, without a daemon.

The fields are those of Docker Engine's `ImageInspect`; `skopeo inspect --config`, which prints the configuration as the
registry has it, is understood too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bartizan.registry.errors import ImageError
from bartizan.registry.image import ImageConfig, checked_digest, run_config
from bartizan.registry.manifests import LARGEST_CONFIG
from bartizan.registry.platforms import Platform, missing, parse_platform
from bartizan.registry.reference import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inspected:
    """An image as it was inspected; `digest` is the one it was pulled by, None for an image that never was."""

    config: ImageConfig
    digest: str | None


def read_inspected(path: Path, *, name: str | None, wanted: Platform) -> Inspected:
    """Read a file with the output. Raises `ImageError`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_CONFIG + 1)
    except OSError as cause:
        raise ImageError(f"`{path}` cannot be read: {cause.strerror}") from None
    if len(content) > LARGEST_CONFIG:
        raise ImageError(f"`{path}` has more than {LARGEST_CONFIG} bytes")
    return parse_inspected(content, what=f"`{path}`", name=name, wanted=wanted)


def parse_inspected(content: bytes, *, what: str, name: str | None, wanted: Platform) -> Inspected:
    """Find an image in the output: a list, or one object, in UTF-8 or, as PowerShell writes it, UTF-16 with a mark.

    Of several images the one whose tags or digests are `name` is meant, and then the one for `wanted`; what is left
    must be one. Raises `ImageError`.
    """
    images = _images(content, what)
    named = [image for image in images if name is not None and _goes_by(image, name)]
    candidates = named or images
    fitting = [image for image in candidates if _is_for(image, wanted)]
    if not fitting:
        raise missing(what, wanted, [f"linux/{_architecture(image)}" for image in candidates])
    if len(fitting) > 1:
        raise ImageError(f"{what} holds {len(fitting)} images that fit: inspect the one that is meant")
    return Inspected(_config(fitting[0], what), _digest(fitting[0], name, what))


def _images(content: bytes, what: str) -> list[Mapping[str, object]]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise ImageError(f"{what} is not the output of `docker image inspect`: it is not JSON: {cause}") from None
    listed = document if isinstance(document, list) else [document]
    if not listed or not all(isinstance(item, dict) for item in listed):
        raise ImageError(f"{what} is not the output of `docker image inspect`: it holds no image")
    for item in listed:
        if "State" in item:
            raise ImageError(
                f"{what} describes a container, whose entrypoint may be its own: use `docker image inspect`"
            )
        if not isinstance(item.get("Config", item.get("config")), dict):
            raise ImageError(f"{what} is not the output of `docker image inspect`: an image in it has no `Config`")
    return listed


def _config(image: Mapping[str, object], what: str) -> ImageConfig:
    system = image.get("Os", image.get("os"))
    if system not in (None, "", "linux"):
        raise ImageError(f"{what} is for another system than linux, which alone can run")
    run = image.get("Config", image.get("config"))
    about = {"architecture": _architecture(image), "variant": image.get("Variant", image.get("variant"))}
    return run_config(run if isinstance(run, dict) else {}, about, what)


def _architecture(image: Mapping[str, object]) -> str:
    found = image.get("Architecture", image.get("architecture"))
    return found if isinstance(found, str) else ""


def _is_for(image: Mapping[str, object], wanted: Platform) -> bool:
    try:
        return not _architecture(image) or parse_platform(_architecture(image)).architecture == wanted.architecture
    except ImageError:
        return False


def _goes_by(image: Mapping[str, object], name: str) -> bool:
    """Tell whether a reference means the image: same repository, and the same digest or else the same tag."""
    try:
        wanted = parse_reference(name)
    except ImageError:
        return False
    for known in _names(image):
        same = (known.registry, known.repository) == (wanted.registry, wanted.repository)
        if same and (known.digest == wanted.digest if wanted.digest else not known.digest and known.tag == wanted.tag):
            return True
    return False


def _digest(image: Mapping[str, object], name: str | None, what: str) -> str | None:
    """Return the digest for the repository that is meant; another repository's may not exist in it."""
    if isinstance(image.get("Digest"), str) and image["Digest"]:
        return checked_digest(image["Digest"], what)
    known = [item for item in _names(image, "RepoDigests") if item.digest]
    if name is not None and _goes_by(image, name):
        wanted = parse_reference(name)
        known = [item for item in known if (item.registry, item.repository) == (wanted.registry, wanted.repository)]
    found = {item.digest for item in known}
    return found.pop() if len(found) == 1 else None


def _names(image: Mapping[str, object], *keys: str) -> list[Reference]:
    listed: list[object] = []
    for key in keys or ("RepoTags", "RepoDigests"):
        value = image.get(key)
        listed += value if isinstance(value, list) else []
    found = []
    for item in listed:
        try:
            found.append(parse_reference(str(item)))
        except ImageError:  # `<none>:<none>`
            continue
    return found
