"""Which programs of an image gain rights when they are started: setuid, setgid, file capabilities.

Under `no_new_privs`, which every seccomp filter of an unprivileged process needs, they gain none (prctl(2)): what needs
them has to run in the compat tier.
"""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from bartizan.registry.errors import ImageError
from bartizan.registry.layers import (
    CAPABILITY,
    OPAQUE,
    WHITEOUT,
    Entry,
    Limits,
    check_digest,
    open_compressed,
    parts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bartizan.registry.image import Image, Layer

_SETUID, _SETGID = 0o4000, 0o2000
# What base images bring and hardly any application calls: account and terminal tools of shadow, util-linux and PAM.
_STOCK = frozenset(
    {
        *("chage", "chfn", "chsh", "expiry", "gpasswd", "newgrp", "newgidmap", "newuidmap", "passwd", "su"),
        *("mount", "umount", "wall", "write", "write.ul", "bbsuid", "utempter", "ssh-agent"),
        *("unix_chkpwd", "pam_extrausers_chkpwd", "pam_timestamp_check"),
    }
)


@dataclass(frozen=True, slots=True)
class PrivilegedFile:
    """A program that gains rights: its absolute path, and by what (`setuid`, `setgid`, `capabilities`)."""

    path: str
    by: str

    @property
    def is_stock(self) -> bool:
        """Whether nearly every base image has it, and hardly any application needs it."""
        return self.path.rpartition("/")[2] in _STOCK


def privileged_files(image: Image, *, limits: Limits | None = None) -> tuple[PrivilegedFile, ...]:
    """Return the programs of an image that gain rights, by path. Layers are read, not unpacked.

    Raises `ImageError` for layers that cannot be read or are larger than `limits`.
    """
    found: dict[tuple[str, ...], str] = {}
    for layer in image.layers:
        _stack(found, layer, limits or Limits())
    return tuple(PrivilegedFile("/" + "/".join(path), by) for path, by in sorted(found.items()))


def _stack(found: dict[tuple[str, ...], str], layer: Layer, limits: Limits) -> None:
    """Put one more layer onto what was found beneath it (OCI image spec, "Layer Filesystem Changeset")."""
    check_digest(layer)
    what = f"layer `{layer.digest[:19]}`"
    beneath = dict(found)
    try:
        with layer.open() as raw, open_compressed(raw) as stream:
            for entry in _entries(stream, limits):
                _entry(found, beneath, entry)
    except ImageError as cause:
        raise ImageError(f"{what}: {cause}") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError) as cause:
        raise ImageError(f"{what} cannot be read: {cause}") from None


def _entries(stream: BinaryIO, limits: Limits) -> Iterable[tarfile.TarInfo]:
    size = 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=Entry) as tar:
        for count, entry in enumerate(tar, 1):
            size += max(entry.size, 0) if entry.isreg() else 0
            if count > limits.entries or size > limits.size:
                raise ImageError(f"more than {limits.entries} entries or {limits.size} bytes")
            yield entry
            tar.members.clear()  # type: ignore[attr-defined]  # else a layer of a million files costs a gigabyte of memory


def _entry(found: dict[tuple[str, ...], str], beneath: dict[tuple[str, ...], str], entry: tarfile.TarInfo) -> None:
    path = parts_of(entry.name)
    if not path:
        return
    *folder, name = path
    if name == OPAQUE:
        _remove(found, tuple(folder), only=beneath)
    elif name.startswith(WHITEOUT):
        _remove(found, (*folder, name.removeprefix(WHITEOUT)), only=beneath)
    elif entry.islnk():
        by = found.get(parts_of(entry.linkname))
        _remove(found, path)
        if by is not None:
            found[path] = by
    elif not entry.isdir():
        _remove(found, path)
        if entry.isreg() and (by := _by(entry)):
            found[path] = by


def _remove(
    found: dict[tuple[str, ...], str], path: tuple[str, ...], *, only: dict[tuple[str, ...], str] | None = None
) -> None:
    """Forget a path and all beneath it; with `only`, what lower layers brought and this one did not bring anew."""
    for other in [other for other in found if other[: len(path)] == path]:
        if only is None or only.get(other) == found[other]:
            del found[other]


def _by(entry: tarfile.TarInfo) -> str:
    if f"SCHILY.xattr.{CAPABILITY}" in entry.pax_headers:
        return "capabilities"
    if entry.mode & _SETUID:
        return "setuid"
    # Without the group's right to execute, the bit means mandatory locking (inode(7)).
    return "setgid" if entry.mode & _SETGID and entry.mode & 0o010 else ""
