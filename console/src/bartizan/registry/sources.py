"""One door to images: `oci:DIR[:tag]`, `archive:FILE[:tag]`, `dir:ROOTFS`, or a registry reference."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bartizan.registry.distribution import Access, open_remote
from bartizan.registry.errors import ImageError
from bartizan.registry.image import Image, ImageConfig
from bartizan.registry.layout import open_archive, open_layout


def open_image(source: str, *, access: Access | None = None) -> Image:
    """Open the image that `source` names; layers are read only when they are unpacked. Raises `ImageError`.

    `access` says how a registry is reached: credentials, trusted CA, cache of blobs; it matters to registries only.
    """
    kind, _, rest = source.partition(":")
    if kind == "dir":
        root = Path(rest).absolute()
        if not root.is_dir():
            raise ImageError(f"`{rest}` is no directory")
        digest = "sha256:" + hashlib.sha256(str(root).encode()).hexdigest()
        return Image(reference=source, config=ImageConfig(), layers=(), digest=digest, root=root)
    if kind == "oci":
        path, tag = _split(rest)
        return open_layout(path, tag, source)
    if kind == "archive":
        path, tag = _split(rest)
        return open_archive(path, tag, source)
    return open_remote(source.removeprefix("docker://"), access or Access())


def _split(rest: str) -> tuple[Path, str | None]:
    """Split off a tag; a path that exists as it stands has none, though it may hold colons."""
    whole = Path(rest)
    if whole.exists() or ":" not in rest:
        return whole, None
    path, _, tag = rest.rpartition(":")
    return Path(path), tag
