"""An image as Bartizan sees it: configuration and layers, wherever they come from (pure but for `Layer.open`)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from bartizan.registry.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The run-time part of an image's configuration (OCI image spec, "Image Configuration")."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()
    architecture: str = ""
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: `open` gives the bytes whose SHA-256 is `digest`: a tar stream, perhaps gzip-compressed."""

    digest: str
    open: Callable[[], BinaryIO] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An opened image. Either `layers` (lowest first) or, for a plain directory, `root` holds its files.

    `digest` is that of the manifest, or of the configuration where there is no manifest; `named` is the digest of what
    the tag names, which may be an index, and None where no registry would know it.
    """

    reference: str
    config: ImageConfig
    layers: tuple[Layer, ...]
    digest: str
    root: Path | None = None
    named: str | None = None


def checked_digest(value: object, what: str) -> str:
    """Return `value` if it is a well-formed SHA-256 digest; raises `ImageError` otherwise."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ImageError(f"{what} has digest `{value}`: only `sha256:` with 64 hexadecimal digits is understood")
    return value


def parse_json(content: bytes, what: str) -> Mapping[str, object]:
    """Decode a JSON object; raises `ImageError`."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise ImageError(f"{what} is not JSON: {cause}") from None
    if not isinstance(document, dict):
        raise ImageError(f"{what} is not a JSON object")
    return document


def parse_config(content: bytes, what: str) -> ImageConfig:
    """Parse an OCI or Docker image configuration; absent and null fields are empty. Raises `ImageError`."""
    document = parse_json(content, what)
    operating_system = document.get("os")
    if operating_system not in (None, "", "linux"):
        raise ImageError(f"{what} is for `{operating_system}`: only linux images can run")
    run = document.get("config")
    return run_config(run if isinstance(run, dict) else {}, document, what)


def run_config(run: Mapping[str, object], about: Mapping[str, object], what: str) -> ImageConfig:
    """Parse the `config` object of a configuration; `about` has the architecture. Raises `ImageError`."""
    volumes = run.get("Volumes") or {}
    if not isinstance(volumes, dict):
        raise ImageError(f"{what} has `Volumes` that is not an object")
    return ImageConfig(
        entrypoint=_words(run, "Entrypoint", what),
        cmd=_words(run, "Cmd", what),
        env=_words(run, "Env", what),
        user=_text(run, "User", what),
        working_dir=_text(run, "WorkingDir", what),
        volumes=tuple(sorted(str(path) for path in volumes)),
        stop_signal=_text(run, "StopSignal", what),
        shell=_words(run, "Shell", what),
        on_build=_words(run, "OnBuild", what),
        architecture=_text(about, "architecture", what),
        variant=_text(about, "variant", what),
    )


def diff_ids(content: bytes, what: str) -> tuple[str, ...]:
    """Return the digests of the uncompressed layers that a configuration lists. Raises `ImageError`."""
    rootfs = parse_json(content, what).get("rootfs")
    listed = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    return tuple(checked_digest(item, what) for item in (listed if isinstance(listed, list) else []))


def _words(raw: Mapping[str, object], key: str, what: str) -> tuple[str, ...]:
    value = raw.get(key) or []
    if not isinstance(value, list) or not all(isinstance(word, str) and "\0" not in word for word in value):
        raise ImageError(f"{what} has `{key}` that is not a list of strings")
    return tuple(value)


def _text(raw: Mapping[str, object], key: str, what: str) -> str:
    value = raw.get(key) or ""
    if not isinstance(value, str) or "\0" in value:
        raise ImageError(f"{what} has `{key}` that is not a string")
    return value
