"""The root file system of one container: its image's layers, with a writable one of its own above them."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from bartizan.registry import Image, unpack_layer
from bartizan.runtask.command import run_command
from bartizan.runtask.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST_ACCOUNT_FILE = 1 << 20


def image_directories(image: Image, cache: Path) -> list[Path]:
    """Return the directories that make up an image, lowest first, unpacking what is missing. Raises `ImageError`."""
    if image.root is not None:
        return [image.root]
    return [unpack_layer(layer, cache) for layer in image.layers]


async def mount_root(home: Path, layers: Sequence[Path]) -> Path:
    """Make the root of a container under `home` and return it; where overlayfs cannot be used, layers are copied."""
    root = home / "root"
    for directory in (root, home / "upper", home / "work"):
        directory.mkdir(mode=0o755)
    (home / "empty").mkdir()
    # Short names, relative to the working directory: mount(2) takes no more than a page of options.
    names = []
    for index, layer in enumerate(reversed(layers)):
        (home / f"l{index}").symlink_to(layer.absolute())
        names.append(f"l{index}")
    options = f"lowerdir={':'.join([*names, 'empty'])},upperdir=upper,workdir=work"
    try:
        await run_command("mount", "-t", "overlay", "overlay", "-o", options, "root", cwd=str(home))
    except TaskError:
        for layer in layers:
            await _copy_layer(layer, root)
    root.chmod(0o755)
    return root


async def unmount_below(home: Path) -> None:
    """Unmount everything below `home`, deepest first."""
    for point in _mount_points(home):
        await run_command("umount", "--lazy", "--no-canonicalize", point)


def _mount_points(home: Path) -> list[str]:
    prefix = str(home.resolve()) + "/"
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [_unescape(line.split()[4]) for line in table]
    return sorted((point for point in points if point.startswith(prefix)), key=len, reverse=True)


async def copy_up(root: Path, path: str, volume: Path) -> None:
    """Fill an empty volume with what the image has at `path`, as Docker does; links on the way are not followed."""
    source = root
    for part in path.strip("/").split("/"):
        source = source / part
        if source.is_symlink() or not source.is_dir():
            return
    if not os.listdir(volume):  # noqa: PTH208 - one call, no generator left open
        await run_command("cp", "-a", f"{source}/.", str(volume))


def account_files(root: Path) -> tuple[str, str]:
    """Return the texts of the image's `/etc/passwd` and `/etc/group`, empty where they are no files."""
    return _account_file(root, "passwd"), _account_file(root, "group")


def _account_file(root: Path, name: str) -> str:
    if (root / "etc").is_symlink():
        return ""
    try:
        descriptor = os.open(root / "etc" / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return ""
        return stream.read(_LARGEST_ACCOUNT_FILE).decode(errors="replace")


async def _copy_layer(layer: Path, root: Path) -> None:
    """Lay one layer over `root`: remove what its whiteouts hide, then copy the rest."""
    for directory, folders, files in os.walk(layer):
        here = Path(directory)
        target = root / here.relative_to(layer)
        if _opaque(here) and target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        for name in [*folders, *files]:
            _make_way(here / name, target / name)
    await run_command("cp", "-a", f"{layer}/.", str(root))
    for directory, _, files in os.walk(layer):
        for name in files:
            if _is_whiteout(Path(directory, name)):
                (root / Path(directory, name).relative_to(layer)).unlink(missing_ok=True)


def _make_way(new: Path, old: Path) -> None:
    both_directories = new.is_dir() and not new.is_symlink() and old.is_dir() and not old.is_symlink()
    if both_directories or not os.path.lexists(old):
        return
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old)
    else:
        old.unlink()


def _is_whiteout(path: Path) -> bool:
    about = path.lstat()
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == 0


def _opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def _unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo (proc(5))."""
    for escape, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, plain)
    return text
