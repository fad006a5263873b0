"""`bartizan app-embedded embed`, as a user types it: real processes, no Console needed."""

import base64
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from bartizan.registry import ImageConfig, write_image

BARTIZAN = [sys.executable, "-m", "bartizan.cli", "app-embedded"]
SECRET = "a-secret-that-must-not-show"
BUNDLE = {"v": 1, "id": "b1", "secret": SECRET, "pins": ["0" * 64], "addresses": ["wss://console.test:8084"]}
DOCKERFILE = '# the shop\r\nFROM debian:12\r\nENTRYPOINT ["/shop"]\r\n'
AMD64 = b"\x7fELF" + bytes(14) + b"\x3e\x00" + b"amd64"
ARM64 = b"\x7fELF" + bytes(14) + b"\xb7\x00" + b"arm64"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a Dockerfile, an install bundle and two Defenders."""
    text = base64.b64encode(json.dumps(BUNDLE).encode()).decode()
    (tmp_path / "bundle.json").write_text(json.dumps({"bundle": text}))
    (tmp_path / "Dockerfile").write_bytes(DOCKERFILE.encode())
    (tmp_path / "defender-amd64").write_bytes(AMD64)
    (tmp_path / "defender-arm64").write_bytes(ARM64)
    return tmp_path


def embed(folder: Path, *words: str, defender: str = "amd64=defender-amd64") -> subprocess.CompletedProcess[str]:
    """Embed offline."""
    given = ["--bundle", "bundle.json", "--app-id", "shop:1", "--defender", defender]
    command = [*BARTIZAN, "embed", *given, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def files(folder: Path) -> set[str]:
    """Name what is in the folder beside the input."""
    return {path.name for path in folder.iterdir()} - {"Dockerfile", "bundle.json", "defender-amd64", "defender-arm64"}


def defenders(path: Path) -> set[bytes]:
    """Return the Defenders that a ZIP brings."""
    found = set()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".tar"):
                with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as tar:
                    file = tar.extractfile("bartizan/defender")
                    assert file is not None
                    found.add(file.read())
    return found


def test_the_zip_has_the_vendors_name_and_all_that_is_needed(folder: Path) -> None:
    """The ZIP lies in the working directory under its usual name, readable by its owner only: it holds a secret."""
    done = embed(folder, "Dockerfile")

    assert done.returncode == 0, done.stderr
    assert files(folder) == {"app_embedded_embed_shop_1.zip"}
    path = folder / "app_embedded_embed_shop_1.zip"
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as archive:
        assert defenders(path) == {AMD64}
        assert b"/bartizan/defender" in archive.read("Dockerfile")
    assert "wrote app_embedded_embed_shop_1.zip" in done.stderr


def test_both_architectures(folder: Path) -> None:
    """Two Defenders given in one option are both in the ZIP; `--platform` takes one of them."""
    both = "amd64=defender-amd64,arm64=defender-arm64"
    assert embed(folder, "--output-file", "both.zip", "Dockerfile", defender=both).returncode == 0
    one = embed(folder, "--output-file", "one.zip", "--platform", "linux/arm64/v8", "Dockerfile", defender=both)
    assert one.returncode == 0, one.stderr

    assert defenders(folder / "both.zip") == {AMD64, ARM64}
    assert defenders(folder / "one.zip") == {ARM64}


@pytest.mark.parametrize("option", ["--dry-run", "--diff"])
def test_looking_writes_nothing(folder: Path, option: str) -> None:
    """Neither `--dry-run` nor `--diff` leaves a file, and neither needs a Defender."""
    done = embed(folder, option, "Dockerfile", defender="amd64=nowhere")

    assert done.returncode == 0, done.stderr
    assert files(folder) == set()
    assert ("+++" in done.stdout) == (option == "--diff")


def test_the_report_for_programs_is_json(folder: Path) -> None:
    """Standard output holds the report and nothing else, and the report holds no secret."""
    done = embed(folder, "--format", "json", "Dockerfile")

    assert json.loads(done.stdout)["archive"] == "app_embedded_embed_shop_1.zip"
    assert SECRET not in done.stdout
    assert json.loads((folder / "bundle.json").read_text())["bundle"] not in done.stdout + done.stderr


def test_the_base_image_is_asked_when_the_file_says_not_what_starts(folder: Path) -> None:
    """Without ENTRYPOINT and CMD the base image's own are started; when they are not known, that is said."""
    (folder / "Dockerfile").write_text("FROM base:1\nRUN true\n")
    config = ImageConfig(entrypoint=("/entry.sh",), cmd=("serve",))
    write_image(folder / "base", files=[], config=config, reference="base:1", architecture="amd64")

    unknown = embed(folder, "Dockerfile")
    known = embed(folder, "--image", "base:1=oci:base", "Dockerfile")

    assert unknown.returncode == 1
    assert "base:1" in unknown.stderr
    assert known.returncode == 0, known.stderr
    with zipfile.ZipFile(folder / "app_embedded_embed_shop_1.zip") as archive:
        assert b"/entry.sh" in archive.read("Dockerfile")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "`nowhere` cannot be read"),
        (("--target", "absent", "Dockerfile"), "absent"),
        (("--build-arg", "NAME", "Dockerfile"), "NAME=VALUE"),
        (("--platform", "windows/amd64", "Dockerfile"), "windows/amd64"),
        (("--platform", "linux/arm64", "Dockerfile"), "arm64"),
        (("--defender", "mips=x", "Dockerfile"), "ARCHITECTURE=FILE"),
        (("--defender", "amd64=nowhere", "Dockerfile"), "`nowhere` cannot be read"),
        (("--defender", "amd64=bundle.json", "Dockerfile"), "no Linux program for amd64"),
        (("--defender", "amd64=defender-arm64", "Dockerfile"), "no Linux program for amd64"),
        (("--data-folder", "relative", "Dockerfile"), "relative"),
        (("--output-file", "nowhere/out.zip", "Dockerfile"), "`nowhere/out.zip` cannot be written"),
        (("--bundle", "Dockerfile", "Dockerfile"), "install bundle"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(folder: Path, words: tuple[str, ...], said: str) -> None:
    """Whatever is wrong, the answer is exit code 1, one line that names it, and no file."""
    done = embed(folder, *words)

    assert done.returncode == 1
    assert done.stderr.startswith("bartizan: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr
    assert files(folder) == set()


def test_the_zip_can_go_to_standard_output(folder: Path) -> None:
    """`-` is a pipe: the ZIP and nothing else."""
    command = [*BARTIZAN, "embed", "--bundle", "bundle.json", "--app-id", "x", "--defender", "amd64=defender-amd64"]
    done = subprocess.run([*command, "--output-file", "-", "Dockerfile"], cwd=folder, capture_output=True, check=True)

    assert done.stdout.startswith(b"PK")
    assert files(folder) == set()
