"""Images from an OCI layout directory, and from tar archives of the OCI or the `docker save` form."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from bartizan.registry.errors import ImageError
from bartizan.registry.image import Image, Layer, checked_digest, diff_ids, parse_config, parse_json
from bartizan.registry.layers import open_compressed

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer as Buffer

LARGEST_DOCUMENT = 8 << 20
"""The most bytes that a manifest, index or configuration may have."""
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_REFERENCE = "org.opencontainers.image.ref.name"
_MOST_LAYERS = 512

Blobs = Callable[[str], BinaryIO]
"""Opens the blob of a digest."""


def open_layout(directory: Path, tag: str | None, reference: str) -> Image:
    """Open the image in an OCI layout; without `tag` the layout must hold just one. Raises `ImageError`."""
    try:
        index = (directory / "index.json").read_bytes()
    except OSError as cause:
        raise ImageError(f"`{directory}` is no OCI layout: {cause.strerror}") from None

    def blob(digest: str) -> BinaryIO:
        return (directory / "blobs" / digest.replace(":", "/")).open("rb")

    return _from_index(index, tag, reference, blob)


def open_archive(path: Path, tag: str | None, reference: str) -> Image:
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
            _read(member("index.json"), f"{path}: index.json"),
            tag,
            reference,
            lambda digest: member("blobs/" + digest.replace(":", "/")),
        )
    return _from_docker(_read(member("manifest.json"), f"{path}: manifest.json"), tag, reference, member)


def choose_manifest(index: Mapping[str, object], what: str) -> Mapping[str, object]:
    """Return the descriptor of an index that fits this machine. Raises `ImageError`."""
    wanted = _ARCHITECTURES.get(platform.machine(), platform.machine())
    listed = index.get("manifests")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    for entry in entries:
        about = entry.get("platform")
        if isinstance(about, dict) and about.get("architecture") == wanted and about.get("os") == "linux":
            return entry
    if len(entries) == 1 and not entries[0].get("platform"):
        return entries[0]
    raise ImageError(f"{what} has no manifest for linux/{wanted}")


def from_manifest(content: bytes, *, reference: str, digest: str, blob: Blobs) -> Image:
    """Build the image of an OCI or Docker (schema 2) manifest; `blob` opens what it lists. Raises `ImageError`."""
    what = f"the manifest of `{reference}`"
    manifest = parse_json(content, what)
    listed = manifest.get("layers")
    config = manifest.get("config")
    if not isinstance(config, dict) or not isinstance(listed, list):
        raise ImageError(f"{what} has no `config` and `layers`: it is no image manifest of schema 2")
    if len(listed) > _MOST_LAYERS:
        raise ImageError(f"{what} has {len(listed)} layers: at most {_MOST_LAYERS} are possible")
    config_digest = checked_digest(config.get("digest"), what)
    about = read_verified(blob, config_digest, f"the configuration of `{reference}`")
    layers = [checked_digest(entry.get("digest") if isinstance(entry, dict) else None, what) for entry in listed]
    return Image(
        reference=reference,
        config=parse_config(about, f"the configuration of `{reference}`"),
        layers=tuple(Layer(item, lambda item=item: blob(item)) for item in layers),  # type: ignore[misc]
        digest=digest,
    )


def read_verified(blob: Blobs, digest: str, what: str) -> bytes:
    """Return the bytes of a small blob, whose digest holds. Raises `ImageError`."""
    try:
        content = _read(blob(digest), what)
    except OSError as cause:
        raise ImageError(f"{what} cannot be read: {cause.strerror}") from None
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise ImageError(f"{what} does not have the digest `{digest}` it is listed with")
    return content


def _from_index(content: bytes, tag: str | None, reference: str, blob: Blobs) -> Image:
    what = f"the index of `{reference}`"
    entry = _tagged(parse_json(content, what), tag, what)
    for _ in range(3):  # an index may list an index; more nesting than this is nonsense
        digest = checked_digest(entry.get("digest"), what)
        manifest = read_verified(blob, digest, f"the manifest of `{reference}`")
        document = parse_json(manifest, what)
        if "manifests" not in document:
            return from_manifest(manifest, reference=reference, digest=digest, blob=blob)
        entry = choose_manifest(document, what)
    raise ImageError(f"{what} is nested too deeply")


def _tagged(index: Mapping[str, object], tag: str | None, what: str) -> Mapping[str, object]:
    listed = index.get("manifests")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if tag is None:
        return entries[0] if len(entries) == 1 else choose_manifest(index, what)
    for entry in entries:
        about = entry.get("annotations")
        name = about.get(_REFERENCE) if isinstance(about, dict) else None
        if isinstance(name, str) and (name == tag or name.endswith(f":{tag}")):
            return entry
    raise ImageError(f"{what} has no image tagged `{tag}`")


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
    config = _read(member(str(entries[0].get("Config"))), what)
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


def _read(stream: BinaryIO, what: str) -> bytes:
    with stream:
        content = stream.read(LARGEST_DOCUMENT + 1)
    if len(content) > LARGEST_DOCUMENT:
        raise ImageError(f"{what} has more than {LARGEST_DOCUMENT} bytes")
    return content
