"""Images that we write are read by us as they were meant, and are the same bytes each time."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.registry import File, ImageConfig, ImageError, Link, defender_image, open_image, unpack_layer, write_image

if TYPE_CHECKING:
    from pathlib import Path

WORDS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=3
).map(tuple)
CONFIG = ImageConfig(
    entrypoint=("/a",), cmd=("b",), env=("C=d",), user="e", working_dir="/f", volumes=("/g",), stop_signal="SIGINT"
)
FILES = [File("/bin/tool", 0o755, b"content"), File("/bin/alias", 0o777, Link("tool")), File("/etc/x", 0o600, b"")]


@pytest.mark.parametrize(("name", "source"), [("i", "oci:{}"), ("i.tar", "archive:{}"), ("i.tar.gz", "archive:{}:1.2")])
def test_what_is_written_is_opened_again(tmp_path: Path, name: str, source: str) -> None:
    """Directory, tar and compressed tar give back configuration, digest and files."""
    out = tmp_path / name
    digest = write_image(out, files=FILES, config=CONFIG, reference="our/tool:1.2", architecture="amd64")

    image = open_image(source.format(out))
    root = unpack_layer(image.layers[0], tmp_path / "cache")

    assert image.digest == digest
    assert image.config == ImageConfig(
        entrypoint=("/a",), cmd=("b",), env=("C=d",), user="e", working_dir="/f", volumes=("/g",), stop_signal="SIGINT",
        architecture="amd64",
    )  # fmt: skip
    assert (root / "bin/alias").read_bytes() == b"content"
    assert (root / "etc/x").stat().st_mode & 0o7777 == 0o600


@settings(max_examples=50, deadline=None)
@given(entrypoint=WORDS, cmd=WORDS, env=WORDS)
def test_any_configuration_makes_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, entrypoint: tuple[str, ...], cmd: tuple[str, ...], env: tuple[str, ...]
) -> None:
    """What is written as configuration is what is read."""
    config = ImageConfig(entrypoint=entrypoint, cmd=cmd, env=env, architecture="arm64")
    out = tmp_path_factory.mktemp("i") / "i.tar"
    write_image(out, files=[], config=config, reference="a:1", architecture="arm64")

    assert open_image(f"archive:{out}:1").config == config


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Order of the files, time and place leave no trace."""
    for name, files in (("a.tar", FILES), ("b.tar", FILES[::-1])):
        write_image(tmp_path / name, files=files, config=CONFIG, reference="x:1", architecture="amd64")

    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_the_archive_is_what_docker_load_takes(tmp_path: Path) -> None:
    """The tar has docker's manifest, and without the OCI index it still opens, by the other reader."""
    out = tmp_path / "a.tar"
    write_image(out, files=FILES, config=CONFIG, reference="our/tool:1", architecture="amd64")
    only_docker = tmp_path / "docker.tar"
    with tarfile.open(out) as whole, tarfile.open(only_docker, "w") as part:
        assert json.load(whole.extractfile("manifest.json") or io.BytesIO())[0]["RepoTags"] == ["our/tool:1"]
        for entry in whole:
            if entry.name not in {"index.json", "oci-layout"}:
                part.addfile(entry, whole.extractfile(entry))

    image = open_image(f"archive:{only_docker}:1")
    root = unpack_layer(image.layers[0], tmp_path / "cache")

    assert image.config.cmd == ("b",)
    assert (root / "bin/tool").read_bytes() == b"content"


def test_a_damaged_blob_is_refused(tmp_path: Path) -> None:
    """A configuration that was changed does not have its digest any more."""
    write_image(tmp_path / "i", files=[], config=CONFIG, reference="x:1", architecture="amd64")
    for blob in (tmp_path / "i/blobs/sha256").iterdir():
        blob.write_bytes(blob.read_bytes().replace(b'"/a"', b'"/z"'))

    with pytest.raises(ImageError, match="digest"):
        open_image(f"oci:{tmp_path / 'i'}")


def test_the_defender_image_is_binary_volume_and_entrypoint(tmp_path: Path) -> None:
    """The sidecar's image has the Defender as its only program, and its volume."""
    (tmp_path / "binary").write_bytes(b"\x7fELF")
    (tmp_path / "ca.pem").write_text("CA")
    out = tmp_path / "d.tar.gz"
    defender_image(
        out,
        binary=tmp_path / "binary",
        architecture="amd64",
        reference="bartizan/defender:1",
        ca_bundle=tmp_path / "ca.pem",
    )

    image = open_image(f"archive:{out}")
    root = unpack_layer(image.layers[0], tmp_path / "cache")

    assert image.config.entrypoint == ("/usr/local/bin/defender", "fargate", "sidecar")
    assert image.config.volumes == ("/var/lib/bartizan",)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert files == ["etc/ssl/certs/ca-certificates.crt", "usr/local/bin/defender"]
    assert (root / "usr/local/bin/defender").stat().st_mode & 0o7777 == 0o755


def test_a_directory_that_is_no_layout_is_not_replaced(tmp_path: Path) -> None:
    """Writing an image never removes somebody's files."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()

    with pytest.raises(ImageError, match="no OCI layout"):
        write_image(tmp_path / "mine", files=[], config=CONFIG, reference="x:1", architecture="amd64")

    assert (tmp_path / "mine" / "file").exists()
