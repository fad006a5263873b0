"""The Defender inside of archives: every reader finds it, and the archive comes back byte for byte."""

import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.embed import EmbedError
from bartizan.embed.cloud_foundry import defender_in, with_defender, without_defender

_NAMES = st.sampled_from(["a", "META-INF/MANIFEST.MF", "é", "x/defender", "defender2"])


def archive(files: dict[str, bytes], comment: bytes = b"") -> bytes:
    """Return a ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.comment = comment
        for name, content in files.items():
            made.writestr(name, content)
    return buffer.getvalue()


@given(st.dictionaries(_NAMES, st.binary(max_size=40), max_size=4), st.binary(max_size=30), st.binary(), st.binary())
def test_it_goes_in_and_out(files: dict[str, bytes], comment: bytes, program: bytes, newer: bytes) -> None:
    """The archive's own files stay, a newer Defender takes the place of the older, and cutting gives the input back."""
    given_archive = archive(files, comment.replace(b"PK", b""))
    held = with_defender(with_defender(given_archive, program), newer)

    with zipfile.ZipFile(io.BytesIO(held)) as made:
        assert made.testzip() is None
        assert {name: made.read(name) for name in made.namelist()} == {**files, "defender": newer}
        assert len(made.namelist()) == len(files) + 1
    assert held == with_defender(given_archive, newer)
    assert defender_in(held) == newer
    assert without_defender(held) == given_archive


def test_other_tools_unpack_it_executable(tmp_path: Path) -> None:
    """Info-ZIP's unzip, which stagers use, unpacks it with a mode that can be executed."""
    path = tmp_path / "app.jar"
    path.write_bytes(with_defender(archive({"a": b"b"}), b"#!/bin/sh\necho started\n"))
    subprocess.run(["unzip", "-q", path, "-d", tmp_path / "out"], check=True)

    assert (tmp_path / "out" / "a").read_bytes() == b"b"
    assert subprocess.run([tmp_path / "out" / "defender"], check=True, capture_output=True).stdout == b"started\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is no ZIP file"),
        (b"PK\x05\x06", "it is no ZIP file"),
        (archive({"a": b"b"})[:-1], "it is no ZIP file"),
        (archive({"a": b"b"}) + b"x", "no plain ZIP file"),
        (b"#!/bin/sh\n" + archive({"a": b"b"}), "no plain ZIP file"),
        (archive({"defender": b"mine"}), "a file `defender` of its own"),
        (archive({"a": b"b"}).replace(b"PK\x01\x02", b"PK\x01\x03"), "central directory is damaged"),
    ],
)
def test_what_is_no_plain_archive_is_refused(data: bytes, words: str) -> None:
    """What we cannot read, or would have to overwrite, is refused in words."""
    with pytest.raises(EmbedError, match=words):
        with_defender(data, b"x")


@given(st.binary(), st.integers(0, 200), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, byte: int) -> None:
    """Damaged archives and noise raise EmbedError or give an answer, nothing else."""
    held = bytearray(with_defender(archive({"a": b"b"}), b"program"))
    held[at % len(held)] = byte
    for data in (noise, bytes(held), bytes(held[: at % len(held)])):
        for entry in (without_defender, defender_in, lambda data: with_defender(data, b"x")):
            try:
                entry(data)
            except EmbedError as error:
                assert error.message  # noqa: PT017 - any of them may raise, none has to
