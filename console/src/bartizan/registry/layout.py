"""Images from an OCI layout directory, and from tar archives of the OCI or the `docker save` form."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from bartizan.registry.errors import ImageError
from bartizan.registry.image import Image, Layer, checked_digest, diff_ids, parse_config, parse_json
from bartizan.registry.layers import open_compressed
from bartizan.registry.manifests import LARGEST_CONFIG, LARGEST_MANIFEST, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer as Buffer

    from bartizan.registry.platforms import Platform

_REFERENCE = "org.opencontainers.image.ref.name"

Blobs = Callable[[str], BinaryIO]
"""Opens the blob of a digest."""


def open_layout(directory: Path, tag: str | None, reference: str, platform: Platform) -> Image:
    """Open the image in an OCI layout; without `tag` the layout must hold just one. Raises `ImageError`."""

    def blob(digest: str) -> BinaryIO:
        return (directory / "blobs" / digest.replace(":", "/")).open("rb")

    try:
        index = _read((directory / "index.json").open("rb"), f"`{directory}`", LARGEST_MANIFEST)
    except OSError as cause:
        raise ImageError(f"`{directory}` is no OCI layout: {cause.strerror}") from None
    return _from_index(index, tag, reference, blob, platform)


def open_archive(path: Path, tag: str | None, reference: str, platform: Platform) -> Image:
    """Open the image in a tar archive: an OCI layout in a tar, or what `docker save` wrote. Raises `ImageError`."""

    def member(name: str) -> BinaryIO:
        tar = tarfile.open(path)  # noqa: SIM115 - closed with the reader, see _Member
        try:
            found = tar.extractfile(name)
            if found is None:
                raise KeyError(name)  # noqa: TRY301
        except KeyError:
            tar.close()
            raise ImageError(f"`{path}` holds no `{name}`") from None
        return cast("BinaryIO", io.BufferedReader(_Member(tar, found)))

    try:
        with tarfile.open(path) as tar:
            names = set(tar.getnames())
    except (OSError, tarfile.TarError, EOFError, ValueError) as cause:
        raise ImageError(f"`{path}` is no tar archive: {cause}") from None
    if "index.json" in names:
        return _from_index(
            _read(member("index.json"), f"`{path}`: index.json", LARGEST_MANIFEST),
            tag,
            reference,
            lambda digest: member("blobs/" + digest.replace(":", "/")),
            platform,
        )
    listed = _read(member("manifest.json"), f"`{path}`: manifest.json", LARGEST_MANIFEST)
    return _from_docker(listed, tag, reference, member)


def _from_index(content: bytes, tag: str | None, reference: str, blob: Blobs, platform: Platform) -> Image:
    what = f"the index of `{reference}`"
    named = _named(parse_json(content, what), tag, what)
    if named is not None:
        content = _verified(blob, named, what, LARGEST_MANIFEST)
    manifest = resolve(
        content,
        named or "sha256:" + hashlib.sha256(content).hexdigest(),
        media_type="",
        wanted=platform,
        fetch=lambda digest: _verified(blob, digest, f"the manifest of `{reference}`", LARGEST_MANIFEST),
        what=what,
    )
    about = f"the configuration of `{reference}`"
    return Image(
        reference=reference,
        config=parse_config(_verified(blob, manifest.config, about, LARGEST_CONFIG), about),
        layers=tuple(Layer(item, lambda item=item: blob(item)) for item in manifest.layers),  # type: ignore[misc]
        digest=manifest.digest,
        named=named or manifest.digest,
    )


def _named(index: Mapping[str, object], tag: str | None, what: str) -> str | None:
    """Return the digest of the entry with a tag, or of the only entry; None without tag among several."""
    listed = index.get("manifests")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if tag is None:
        return checked_digest(entries[0].get("digest"), what) if len(entries) == 1 else None
    for entry in entries:
        about = entry.get("annotations")
        name = about.get(_REFERENCE) if isinstance(about, dict) else None
        if isinstance(name, str) and (name == tag or name.endswith(f":{tag}")):
            return checked_digest(entry.get("digest"), what)
    raise ImageError(f"{what} has no image tagged `{tag}`")


def _verified(blob: Blobs, digest: str, what: str, most: int) -> bytes:
    """Return the bytes of a small blob, whose digest holds. Raises `ImageError`."""
    try:
        content = _read(blob(digest), what, most)
    except OSError as cause:
        raise ImageError(f"{what} cannot be read: {cause.strerror}") from None
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise ImageError(f"{what} does not have the digest `{digest}` it is listed with")
    return content


def _from_docker(content: bytes, tag: str | None, reference: str, member: Callable[[str], BinaryIO]) -> Image:
    what = f"the manifest of `{reference}`"
    listed = parse_json(b'{"images":' + content + b"}", what).get("images")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if tag is not None:
        entries = [
            entry for entry in entries if any(str(name).endswith(f":{tag}") for name in entry.get("RepoTags") or [])
        ]
    if len(entries) != 1:
        raise ImageError(f"`{reference}` holds {len(entries)} images that fit: name one with `:TAG`")
    config = _read(member(str(entries[0].get("Config"))), what, LARGEST_CONFIG)
    names = [str(name) for name in entries[0].get("Layers") or []]
    digests = diff_ids(config, what)
    if len(names) != len(digests):
        raise ImageError(f"{what} lists {len(names)} layers, its configuration {len(digests)}")
    layers = tuple(
        Layer(digest, lambda name=name: open_compressed(member(name)))  # type: ignore[misc]
        for name, digest in zip(names, digests, strict=True)
    )
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    return Image(reference=reference, config=parse_config(config, what), layers=layers, digest=digest)


class _Member(io.RawIOBase):
    """One file of a tar; each has the archive open for itself, so that layers may be read in any order."""

    def __init__(self, tar: tarfile.TarFile, content: IO[bytes]) -> None:
        self._tar = tar
        self._content = content

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        chunk = self._content.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()

    def close(self) -> None:
        self._content.close()
        self._tar.close()
        super().close()


def _read(stream: BinaryIO, what: str, most: int) -> bytes:
    with stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ImageError(f"{what} has more than {most} bytes")
    return content
