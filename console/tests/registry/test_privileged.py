"""Programs of an image that gain rights are found through all of its layers."""

import contextlib
import hashlib
import io
import tarfile
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.registry import Image, ImageConfig, ImageError, Layer, Limits, PrivilegedFile, privileged_files


def layer(*entries: tarfile.TarInfo) -> Layer:
    """Return a layer with entries of no content."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    found = content.getvalue()
    return Layer("sha256:" + hashlib.sha256(found).hexdigest(), lambda: io.BytesIO(found))


def entry(
    name: str, mode: int = 0o755, *, kind: bytes = tarfile.REGTYPE, link: str = "", pax: Mapping[str, str] | None = None
) -> tarfile.TarInfo:
    """Return one entry of a layer."""
    made = tarfile.TarInfo(name)
    made.mode, made.type, made.linkname, made.pax_headers = mode, kind, link, dict(pax or {})
    return made


def found(*layers: Layer) -> dict[str, str]:
    """Return what is found, by path."""
    image = Image(reference="x", config=ImageConfig(), layers=layers, digest="sha256:" + "0" * 64)
    return {file.path: file.by for file in privileged_files(image)}


SUDO = entry("usr/bin/sudo", 0o4755)


def test_each_way_to_gain_rights_is_found() -> None:
    """Setuid, setgid with the group's right to execute, file capabilities; nothing of folders, links, plain files."""
    capable = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
    assert found(
        layer(
            SUDO,
            entry("usr/bin/wall", 0o2755),
            entry("srv/locked", 0o2644),
            entry("usr/sbin/caddy", pax=capable),
            entry("var/mail", 0o2775, kind=tarfile.DIRTYPE),
            entry("bin/sh"),
            entry("usr/bin/sudoedit", kind=tarfile.LNKTYPE, link="usr/bin/sudo"),
            entry("usr/bin/link", kind=tarfile.SYMTYPE, link="sudo"),
        )
    ) == {
        "/usr/bin/sudo": "setuid",
        "/usr/bin/sudoedit": "setuid",
        "/usr/bin/wall": "setgid",
        "/usr/sbin/caddy": "capabilities",
    }


@pytest.mark.parametrize(
    "above",
    [
        entry("usr/bin/.wh.sudo"),
        entry("usr/bin/.wh..wh..opq"),
        entry("usr/.wh.bin"),
        entry("usr/bin/sudo", 0o755),
        entry("usr/bin", kind=tarfile.SYMTYPE, link="/bin"),
    ],
    ids=["removed", "opaque", "folder-removed", "without-the-bit", "folder-replaced"],
)
def test_a_higher_layer_takes_away(above: tarfile.TarInfo) -> None:
    """What a layer removes or replaces is not there any more."""
    assert found(layer(SUDO), layer(above)) == {}


def test_an_opaque_folder_keeps_what_its_own_layer_brings() -> None:
    """The marker speaks of lower layers, wherever it stands in its own."""
    anew = entry("usr/bin/doas", 0o4755)
    assert found(layer(SUDO), layer(anew, entry("usr/bin/.wh..wh..opq"))) == {"/usr/bin/doas": "setuid"}


def test_what_every_base_image_has_is_told_apart() -> None:
    """A report that names `su` for every image is read by nobody."""
    assert PrivilegedFile("/bin/su", "setuid").is_stock
    assert not PrivilegedFile("/usr/bin/sudo", "setuid").is_stock


def test_hostile_layers_are_refused() -> None:
    """A wrong digest, a path that leads out, more than the limits allow: one error each."""
    image = Image(reference="x", config=ImageConfig(), layers=(layer(SUDO, SUDO),), digest="sha256:" + "0" * 64)
    with pytest.raises(ImageError, match="more than 1 entries"):
        privileged_files(image, limits=Limits(entries=1))
    with pytest.raises(ImageError, match="would leave"):
        found(layer(entry("../etc/passwd", 0o4755)))
    forged = Layer("sha256:" + "1" * 64, layer(SUDO).open)
    with pytest.raises(ImageError, match="digest"):
        found(forged)


@given(content=st.binary(max_size=4096))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Whatever a layer holds, it is read or refused with `ImageError`."""
    one = Layer("sha256:" + hashlib.sha256(content).hexdigest(), lambda: io.BytesIO(content))
    with contextlib.suppress(ImageError):
        assert found(one) == {}
