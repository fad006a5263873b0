"""Images of our own, written without a base and without a daemon; the same input always gives the same bytes.

One directory (or tar) is an OCI layout and what `docker load` takes, at once.
Formats: OCI image spec 1.0, "Image Layout"; moby `image/tarexport`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bartizan.registry.errors import ImageError
from bartizan.registry.image import ImageConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

_EPOCH = "1970-01-01T00:00:00Z"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`."""

    target: str


@dataclass(frozen=True, slots=True)
class File:
    """One file of an image: absolute path, permission bits, and its bytes, a file to read, or a link."""

    path: str
    mode: int
    content: bytes | Path | Link


def write_image(out: Path, *, files: Iterable[File], config: ImageConfig, reference: str, architecture: str) -> str:
    """Write an image of one layer to `out` and return its manifest's digest.

    `out` becomes a tar when its name ends in `.tar` or `.tar.gz`, a layout directory otherwise (an old layout there is
    replaced). Files belong to root; parents are made with mode 0755. Raises `ImageError`; then `out` is as it was.
    """
    contents, digest = _layout(list(files), config, reference, architecture)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.name.endswith((".tar", ".tar.gz")):
            _write_tar(out, contents)
        else:
            _write_directory(out, contents)
    except OSError as cause:
        raise ImageError(f"image `{out}` cannot be written: {cause.strerror}") from None
    return digest


def defender_image(out: Path, *, binary: Path, architecture: str, reference: str, ca_bundle: Path | None = None) -> str:
    """Write the sidecar's image: the Defender, its volume, and a CA bundle if one is given. Raises `ImageError`."""
    files = [File("/usr/local/bin/defender", 0o755, binary)]
    if ca_bundle is not None:
        files.append(File("/etc/ssl/certs/ca-certificates.crt", 0o644, ca_bundle))
    config = ImageConfig(
        entrypoint=("/usr/local/bin/defender", "fargate", "sidecar"),
        env=("PATH=/usr/local/bin",),
        volumes=("/var/lib/bartizan",),
    )
    return write_image(out, files=files, config=config, reference=reference, architecture=architecture)


def _layout(files: list[File], config: ImageConfig, reference: str, architecture: str) -> tuple[dict[str, bytes], str]:
    layer_tar = _layer(files)
    layer = gzip.compress(layer_tar, compresslevel=6, mtime=0)
    about = _json(_configuration(config, architecture, "sha256:" + hashlib.sha256(layer_tar).hexdigest()))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, about),
            "layers": [_descriptor(_LAYER, layer)],
        }
    )
    listed = _descriptor(_MANIFEST, manifest) | {
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference},
    }
    docker = [{"Config": _blob(about), "RepoTags": [reference], "Layers": [_blob(layer)]}]
    contents = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [listed]}),
        "manifest.json": _json(docker),
    }
    contents |= {_blob(content): content for content in (about, manifest, layer)}
    return contents, str(listed["digest"])


def _layer(files: list[File]) -> bytes:
    buffer = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(files, key=lambda file: file.path):
            path = file.path.strip("/")
            if not file.path.startswith("/") or not path or ".." in path.split("/") or path in made:
                raise ImageError(f"`{file.path}` cannot be put into an image: give each absolute path once")
            _directories(tar, path, made)
            made.add(path)
            _add(tar, path, file)
    return buffer.getvalue()


def _directories(tar: tarfile.TarFile, path: str, made: set[str]) -> None:
    parts = path.split("/")[:-1]
    for length in range(1, len(parts) + 1):
        name = "/".join(parts[:length])
        if name not in made:
            made.add(name)
            entry = tarfile.TarInfo(name + "/")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)


def _add(tar: tarfile.TarFile, path: str, file: File) -> None:
    entry = tarfile.TarInfo(path)
    entry.mode = file.mode
    if isinstance(file.content, Link):
        entry.type, entry.linkname = tarfile.SYMTYPE, file.content.target
        tar.addfile(entry)
        return
    try:
        content = file.content.read_bytes() if isinstance(file.content, Path) else file.content
    except OSError as cause:
        raise ImageError(f"`{file.content!s}` cannot be read: {cause.strerror}") from None
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _configuration(config: ImageConfig, architecture: str, diff_id: str) -> dict[str, object]:
    run: dict[str, object] = {
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Env": list(config.env),
        "User": config.user,
        "WorkingDir": config.working_dir,
        "Volumes": {path: {} for path in config.volumes},
        "StopSignal": config.stop_signal,
        "Shell": list(config.shell),
        "OnBuild": list(config.on_build),
    }
    return {
        "architecture": architecture,
        "os": "linux",
        "created": _EPOCH,
        "config": {key: value for key, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": _EPOCH, "created_by": "bartizan"}],
    }


def _write_tar(out: Path, contents: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        made: set[str] = set()
        for name, content in sorted(contents.items()):
            _directories(tar, name, made)
            _add(tar, name, File(f"/{name}", 0o644, content))
    data = buffer.getvalue()
    if out.name.endswith(".gz"):
        data = gzip.compress(data, compresslevel=6, mtime=0)
    descriptor, partial = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        Path(partial).chmod(0o644)
        Path(partial).replace(out)
    finally:
        Path(partial).unlink(missing_ok=True)


def _write_directory(out: Path, contents: dict[str, bytes]) -> None:
    if out.exists() and not (out / "oci-layout").is_file() and any(out.iterdir()):
        raise ImageError(f"`{out}` exists and is no OCI layout: choose another place")
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        work.chmod(0o755)
        for name, content in contents.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out.exists():
            shutil.rmtree(out)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": "sha256:" + hashlib.sha256(content).hexdigest(), "size": len(content)}


def _blob(content: bytes) -> str:
    return "blobs/sha256/" + hashlib.sha256(content).hexdigest()


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
