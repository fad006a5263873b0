"""Layers unpacked into a cache, each into its own directory in overlayfs form.

A layer is hostile input: nothing in it may write outside its directory, and its size is bounded before it is written.
A whiteout becomes a character device 0/0 and an opaque directory gets `trusted.overlay.opaque`, so that the directories
can be stacked as they are (kernel `Documentation/filesystems/overlayfs.rst`; OCI image spec, "Layer
Filesystem Changeset").
Device nodes of an image are left out: containers get their own `/dev`.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from bartizan.registry.errors import ImageError

if TYPE_CHECKING:
    from bartizan.registry.image import Layer

_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
CAPABILITY = "security.capability"
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one layer may hold once unpacked."""

    size: int = 16 << 30
    entries: int = 1_000_000


def unpack_layer(layer: Layer, cache: Path, *, limits: Limits | None = None) -> Path:
    """Return the directory that holds the files of `layer`, unpacking it into `cache` unless that was done before.

    The digest is checked before the first byte is parsed. Raises `ImageError`; then nothing is left in the cache.
    """
    home = cache / "layers"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = home / layer.digest.removeprefix("sha256:")
    if done.is_dir():
        return done
    check_digest(layer)
    work = Path(tempfile.mkdtemp(prefix=".partial-", dir=home))
    try:
        work.chmod(0o755)
        with layer.open() as raw:
            unpack(raw, work, limits=limits or Limits(), what=f"layer `{layer.digest[:19]}`")
        with contextlib.suppress(FileExistsError, OSError):
            work.rename(done)
        if not done.is_dir():
            raise ImageError(f"layer `{layer.digest[:19]}` cannot be put into `{home}`")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return done


def unpack(raw: BinaryIO, root: Path, *, limits: Limits, what: str) -> None:
    """Unpack the tar stream `raw` (plain or gzip) under `root`, an empty directory. Raises `ImageError`."""
    try:
        with open_compressed(raw) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=Entry) as tar:
            _Unpacking(root, limits).entries(tar)
    except ImageError as cause:
        raise ImageError(f"{what}: {cause}") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError) as cause:
        raise ImageError(f"{what} cannot be unpacked: {cause}") from None


def open_compressed(raw: BinaryIO) -> BinaryIO:
    """Return the uncompressed stream of `raw`, a seekable stream at its start. Raises `ImageError` for zstd."""
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast("BinaryIO", _Gunzip(raw))
    if magic == b"\x28\xb5\x2f\xfd":
        raise ImageError("the layer is compressed with zstd: push the image with gzip compression")
    return raw


def check_digest(layer: Layer) -> None:
    """Raise `ImageError` when the bytes of a layer are not those that its digest promises."""
    digest = hashlib.sha256()
    with layer.open() as raw:
        while chunk := raw.read(_CHUNK):
            digest.update(chunk)
    if f"sha256:{digest.hexdigest()}" != layer.digest:
        raise ImageError(f"a layer does not have the digest `{layer.digest}` it is listed with: fetch the image again")


class _Gunzip(gzip.GzipFile):
    """A gzip reader that closes what it reads from."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._raw = raw

    def close(self) -> None:
        super().close()
        self._raw.close()


class Entry(tarfile.TarInfo):
    """A tar header that refuses to have more than a sane amount of header data read into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one header; raises `ImageError` for one that announces too much."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in _HEADERS and not 0 <= entry.size <= _LONGEST_HEADER:
            raise ImageError(f"a tar header of {entry.size} bytes is too long")
        return entry


class _Unpacking:
    """One layer on its way to disk; `size` and `count` are what it used of its limits."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._limits = limits
        self._size = 0
        self._count = 0

    def entries(self, tar: tarfile.TarFile) -> None:
        for entry in tar:
            self._count += 1
            if self._count > self._limits.entries:
                raise ImageError(f"more than {self._limits.entries} entries")
            self._size += max(entry.size, 0) if entry.isreg() else 0
            if self._size > self._limits.size:
                raise ImageError(f"more than {self._limits.size} bytes unpacked")
            self._entry(tar, entry)
            tar.members.clear()  # type: ignore[attr-defined]  # else a layer of a million files costs a gigabyte of memory

    def _entry(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        parts = parts_of(entry.name)
        if not parts:
            if entry.isdir():
                self._attributes(self._root, entry)
            return
        parent = self._parent(parts[:-1])
        name = parts[-1]
        if name == OPAQUE:
            os.setxattr(parent, "trusted.overlay.opaque", b"y")
        elif name.startswith(WHITEOUT):
            self._whiteout(parent, name.removeprefix(WHITEOUT))
        elif entry.isdir():
            self._directory(entry, parent / name)
        else:
            _remove(parent / name)
            self._leaf(tar, entry, parent / name)

    def _directory(self, entry: tarfile.TarInfo, target: Path) -> None:
        if _kind(target) != stat.S_IFDIR:
            _remove(target)
            target.mkdir()
        self._attributes(target, entry)

    def _leaf(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
        if entry.isreg():
            self._file(tar, entry, target)
        elif entry.issym():
            target.symlink_to(entry.linkname)
            os.lchown(target, entry.uid, entry.gid)
        elif entry.islnk():
            self._link(entry, target)
        elif entry.isfifo():
            os.mkfifo(target)
            self._attributes(target, entry)

    def _file(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
        source = tar.extractfile(entry)
        if source is None:
            raise ImageError(f"`{entry.name}` has no content")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with source, os.fdopen(os.open(target, flags, 0o600), "wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
        self._attributes(target, entry)

    def _link(self, entry: tarfile.TarInfo, target: Path) -> None:
        parts = parts_of(entry.linkname)
        if not parts:
            raise ImageError(f"`{entry.name}` is a hard link to the root")
        origin = self._parent(parts[:-1], create=False) / parts[-1]
        if _kind(origin) not in {stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO}:
            raise ImageError(f"`{entry.name}` is a hard link to `{entry.linkname}`, which is no file of this layer")
        os.link(origin, target, follow_symlinks=False)

    def _parent(self, parts: tuple[str, ...], *, create: bool = True) -> Path:
        """Return the directory `parts` under the root; a link on the way is refused, as it may point anywhere."""
        path = self._root
        for part in parts:
            path = path / part
            kind = _kind(path)
            if kind == stat.S_IFLNK:
                raise ImageError(f"`{'/'.join(parts)}` passes through the link `{part}`")
            if kind == stat.S_IFDIR:
                continue
            if not create:
                raise ImageError(f"`{'/'.join(parts)}` is no directory of this layer")
            _remove(path)
            path.mkdir(mode=0o755)
        return path

    def _whiteout(self, parent: Path, name: str) -> None:
        if name in {"", ".", ".."}:
            raise ImageError(f"whiteout of `{name}` makes no sense")
        _remove(parent / name)
        os.mknod(parent / name, stat.S_IFCHR, os.makedev(0, 0))

    def _attributes(self, target: Path, entry: tarfile.TarInfo) -> None:
        os.chown(target, entry.uid, entry.gid)
        target.chmod(entry.mode & 0o7777)
        value = entry.pax_headers.get(f"SCHILY.xattr.{CAPABILITY}")
        if value is not None and entry.isreg():
            os.setxattr(target, CAPABILITY, value.encode("utf-8", "surrogateescape"))
        if entry.isreg():
            os.utime(target, (entry.mtime, entry.mtime))


def parts_of(name: str) -> tuple[str, ...]:
    """Return the parts of the path of a tar entry; raises `ImageError` for one that leads out of the image."""
    if "\0" in name:
        raise ImageError("a name holds NUL")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts or name.startswith("/"):
        raise ImageError(f"`{name}` would leave the image's root")
    return parts


def _kind(path: Path) -> int:
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    kind = _kind(path)
    if kind == stat.S_IFDIR:
        shutil.rmtree(path)
    elif kind:
        path.unlink()
