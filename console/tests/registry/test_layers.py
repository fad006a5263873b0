"""Layers are hostile: nothing they hold may reach outside their directory."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.registry import ImageError, Layer, Limits, unpack_layer
from bartizan.registry.layers import unpack

Entry = tuple[str, bytes, str, bytes]
"""name, tar type, link target, content"""

NAMES = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "c", ".wh.a", ".wh..wh..opq", ".wh."]), min_size=1, max_size=4
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)


def tar(*entries: Entry, pax: dict[str, str] | None = None) -> bytes:
    """Make a tar stream of hand-made entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, target, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, 0o755
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            info.pax_headers = pax or {}
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def layer(content: bytes) -> Layer:
    """Make a layer with a true digest."""
    return Layer("sha256:" + hashlib.sha256(content).hexdigest(), lambda: io.BytesIO(content))


def file(name: str, content: bytes = b"x") -> Entry:
    """Describe a regular file."""
    return name, tarfile.REGTYPE, "", content


def link(name: str, target: str) -> Entry:
    """Describe a symbolic link."""
    return name, tarfile.SYMTYPE, target, b""


def names(directory: Path) -> list[str]:
    """Return the sorted names in a directory."""
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(
    "entries",
    [
        [file("../escaped")],
        [file("/escaped")],
        [file("a/../../escaped")],
        [link("a", ".."), file("a/escaped")],
        [link("a", "/"), ("a/b", tarfile.DIRTYPE, "", b"")],
        [("stolen", tarfile.LNKTYPE, "../outside/secret", b"")],
        [link("a", "../outside"), ("stolen", tarfile.LNKTYPE, "a/secret", b"")],
        [link("a", "../outside"), ("a/.wh.secret", tarfile.REGTYPE, "", b"")],
        [link("a", "../outside"), ("a/.wh..wh..opq", tarfile.REGTYPE, "", b"")],
        [("d/.wh...", tarfile.REGTYPE, "", b"")],
    ],
)
def test_a_layer_that_would_escape_is_refused(tmp_path: Path, entries: list[Entry]) -> None:
    """`..`, absolute names, and links as parents are refused; what is outside stays, and the cache stays empty."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("kept")

    with pytest.raises(ImageError):
        unpack_layer(layer(tar(*entries)), tmp_path / "cache")

    assert (outside / "secret").read_text() == "kept"
    assert list((tmp_path / "cache" / "layers").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "outside"]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    """A file with the name of an earlier link replaces the link; what it points to is not touched."""
    outside = tmp_path / "secret"
    outside.write_text("kept")

    root = unpack_layer(layer(tar(link("a", str(outside)), file("a", b"new"))), tmp_path / "cache")

    assert outside.read_text() == "kept"
    assert not (root / "a").is_symlink()
    assert (root / "a").read_bytes() == b"new"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAMES, KINDS, st.sampled_from(["..", "/", "a", "../..", "b/a"]), st.just(b"x")), max_size=8))
def test_no_layer_writes_outside_its_root(raw: list[tuple[list[str], bytes, str, bytes]]) -> None:
    """Whatever a layer holds, the directory around its root has nothing new afterwards."""
    entries = [("/".join(parts), kind, target, content) for parts, kind, target, content in raw]
    with tempfile.TemporaryDirectory() as name:
        around = Path(name)
        (around / "a").write_text("kept")
        (around / "root").mkdir()
        with contextlib.suppress(ImageError):
            unpack(io.BytesIO(tar(*entries)), around / "root", limits=Limits(), what="the layer")
        assert names(around) == ["a", "root"]
        about = (around / "a").stat()
        assert (about.st_nlink, stat.S_IMODE(about.st_mode)) == (1, 0o644)
        assert (around / "a").read_text() == "kept"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2048), st.integers(0, 1023), st.booleans())
def test_broken_streams_are_refused_with_our_own_error(noise: bytes, at: int, packed: bool) -> None:  # noqa: FBT001
    """Bytes that are no tar, or a damaged one, give an `ImageError` or nothing, never another exception."""
    good = bytearray(tar(file("a"), link("b", "a")))
    good[at : at + len(noise)] = noise
    content = gzip.compress(bytes(good)) if packed else bytes(good)
    with tempfile.TemporaryDirectory() as name:
        try:
            unpack(io.BytesIO(content), Path(name), limits=Limits(size=1 << 20), what="the layer")
        except ImageError as error:
            assert "\n" not in str(error)  # noqa: PT017 - no error is right as well


def test_whiteouts_take_the_form_of_overlayfs(tmp_path: Path) -> None:
    """A whiteout is a device 0/0, an opaque directory carries the attribute, and the markers themselves are gone."""
    root = unpack_layer(
        layer(tar(("d", tarfile.DIRTYPE, "", b""), file("d/.wh..wh..opq"), file(".wh.gone"))), tmp_path / "cache"
    )

    about = (root / "gone").lstat()
    assert (stat.S_ISCHR(about.st_mode), about.st_rdev) == (True, 0)
    assert os.getxattr(root / "d", "trusted.overlay.opaque") == b"y"
    assert names(root) == ["d", "gone"]
    assert names(root / "d") == []


def test_file_capabilities_survive(tmp_path: Path) -> None:
    """`security.capability` of a file is kept, as `ping` and its like need it."""
    value = bytes.fromhex("0100000200200000000000000000000000000000")
    content = tar(file("ping"), pax={"SCHILY.xattr.security.capability": value.decode("utf-8", "surrogateescape")})

    root = unpack_layer(layer(content), tmp_path / "cache")

    assert os.getxattr(root / "ping", "security.capability") == value


def test_hard_links_share_their_file(tmp_path: Path) -> None:
    """A hard link within the layer is the same file."""
    root = unpack_layer(layer(tar(file("a"), ("b", tarfile.LNKTYPE, "a", b""))), tmp_path / "cache")

    assert (root / "a").stat().st_ino == (root / "b").stat().st_ino


@pytest.mark.parametrize("limits", [Limits(size=999), Limits(entries=1)])
def test_a_layer_over_a_limit_is_refused_and_leaves_nothing(tmp_path: Path, limits: Limits) -> None:
    """A layer with more bytes or entries than allowed is refused, and the cache has nothing of it."""
    content = gzip.compress(tar(file("a", bytes(1000)), file("b")))

    with pytest.raises(ImageError, match="more than"):
        unpack_layer(layer(content), tmp_path, limits=limits)

    assert list((tmp_path / "layers").iterdir()) == []


def test_a_giant_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A pax header that claims gigabytes is refused by its size, so that it cannot fill the memory."""
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 4 << 30
    content = info.tobuf(format=tarfile.GNU_FORMAT) + bytes(10240)

    with pytest.raises(ImageError, match="too long"):
        unpack_layer(layer(content), tmp_path)


def test_a_layer_with_another_digest_is_refused(tmp_path: Path) -> None:
    """Bytes that do not have the digest are never parsed."""
    false = Layer("sha256:" + "0" * 64, lambda: io.BytesIO(tar(file("a"))))

    with pytest.raises(ImageError, match="digest"):
        unpack_layer(false, tmp_path)
