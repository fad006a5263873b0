"""The ZIP that a protected Dockerfile is given out in."""

import io
import tarfile
import zipfile

import pytest
from tests.embed_dockerfile.samples import protected

from bartizan.embed import EmbedError
from bartizan.embed.dockerfile import defender_tar, write_archive

_TEXT = 'FROM scratch\nENTRYPOINT ["/app"]\n'
_BINARIES = {"amd64": b"\x7fELF amd64" * 1000, "arm64": b"\x7fELF arm64" * 1000}


def test_the_archive_has_all_that_the_build_needs() -> None:
    """Dockerfile, README and a tar file per platform are in it, for each platform in play only."""
    protection = protected(_TEXT)
    with zipfile.ZipFile(io.BytesIO(write_archive(protection, binaries=_BINARIES))) as archive:
        assert archive.namelist() == [
            "Dockerfile",
            "README.md",
            "bartizan/defender-amd64.tar",
            "bartizan/defender-arm64.tar",
        ]
        assert archive.read("Dockerfile").decode() == protection.text
        assert "TARGETARCH=arm64" in archive.read("README.md").decode()
    only = write_archive(protected(_TEXT, architecture="arm64"), binaries=_BINARIES)
    with zipfile.ZipFile(io.BytesIO(only)) as archive:
        assert archive.namelist()[2:] == ["bartizan/defender-arm64.tar"]
        assert "protect the file anew for another platform" in archive.read("README.md").decode()


def test_the_modes_are_in_the_tar_file() -> None:
    """The Defender is executable and root's; anyone may write beside it, and nobody but root may take it away."""
    archive = zipfile.ZipFile(io.BytesIO(write_archive(protected(_TEXT, data_folder="/opt/d"), binaries=_BINARIES)))
    with tarfile.open(fileobj=io.BytesIO(archive.read("bartizan/defender-amd64.tar"))) as tar:
        folder, program = tar.getmembers()
        assert (folder.name, folder.isdir(), folder.mode, folder.uid, folder.gid) == ("opt/d", True, 0o1777, 0, 0)
        assert (program.name, program.isfile(), program.mode) == ("opt/d/defender", True, 0o755)
        assert (program.uid, program.gid, program.mtime) == (0, 0, 0)
        content = tar.extractfile(program)
        assert content is not None
        assert content.read() == _BINARIES["amd64"]


def test_folders_above_the_data_folder_are_not_in_the_tar_file() -> None:
    """Folders that the image may have keep their modes."""
    with tarfile.open(fileobj=io.BytesIO(defender_tar(b"x", data_folder="/usr/local/b/"))) as tar:
        assert tar.getnames() == ["usr/local/b", "usr/local/b/defender"]


def test_the_same_input_makes_the_same_bytes() -> None:
    """Two archives of one protection are equal."""
    assert write_archive(protected(_TEXT), binaries=_BINARIES) == write_archive(protected(_TEXT), binaries=_BINARIES)


def test_the_files_can_be_read_after_unpacking() -> None:
    """Entries are plain files that their owner may write and all may read, made by Unix."""
    archive = zipfile.ZipFile(io.BytesIO(write_archive(protected(_TEXT), binaries=_BINARIES)))
    assert {(info.external_attr >> 16, info.create_system) for info in archive.infolist()} == {(0o100644, 3)}


def test_a_missing_defender_is_named() -> None:
    """An archive without what the Dockerfile adds is not made."""
    with pytest.raises(EmbedError, match="there is no Defender for `arm64` here"):
        write_archive(protected(_TEXT), binaries={"amd64": b"x"})
