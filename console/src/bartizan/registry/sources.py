"""One door to images: `oci:DIR[:tag]`, `archive:FILE[:tag]`, `dir:ROOTFS`, or a registry reference."""

from __future__ import annotations

import hashlib
import platform as machine
from pathlib import Path

from bartizan.registry.access import Access
from bartizan.registry.distribution import open_remote
from bartizan.registry.errors import ImageError
from bartizan.registry.image import Image, ImageConfig
from bartizan.registry.layout import open_archive, open_layout
from bartizan.registry.platforms import Platform, parse_platform


def open_image(source: str, *, access: Access | None = None, platform: Platform | None = None) -> Image:
    """Open the image that `source` names; layers are read only when they are unpacked. Raises `ImageError`.

    `access` says how a registry is reached: credentials, trusted CA, cache of blobs; it matters to registries only.
    `platform` is that of this machine unless another is given.
    """
    wanted = platform or parse_platform(machine.machine())
    kind, _, rest = source.partition(":")
    if kind == "dir":
        root = Path(rest).absolute()
        if not root.is_dir():
            raise ImageError(f"`{rest}` is no directory")
        digest = "sha256:" + hashlib.sha256(str(root).encode()).hexdigest()
        return Image(reference=source, config=ImageConfig(), layers=(), digest=digest, root=root)
    if kind == "oci":
        path, tag = split_tag(rest)
        return open_layout(path, tag, source, wanted)
    if kind == "archive":
        path, tag = split_tag(rest)
        return open_archive(path, tag, source, wanted)
    return open_remote(source.removeprefix("docker://"), access or Access(), wanted)


def split_tag(rest: str) -> tuple[Path, str | None]:
    """Split off a tag; a path that exists as it stands has none, though it may hold colons."""
    whole = Path(rest)
    if whole.exists() or ":" not in rest:
        return whole, None
    path, _, tag = rest.rpartition(":")
    return Path(path), tag
