"""`bartizan app-embedded embed`, as a user types it: real processes, no Console needed."""

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.registry.servers import ENTRYPOINT, HTPASSWD, LOGIN, basic, certificate, docker_registry, push_family

from bartizan.cli.images import registry_access
from bartizan.registry import ImageConfig, write_image
from bartizan.settings import read_client_settings

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


def embed(
    folder: Path, *words: str, defender: str = "amd64=defender-amd64", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Embed offline."""
    given = ["--bundle", "bundle.json", "--app-id", "shop:1", "--defender", defender]
    command = [*BARTIZAN, "embed", *given, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


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


def test_unprotect_and_verify_take_dockerfiles(folder: Path) -> None:
    """The original comes back byte for byte; `verify` tells a protected file from one that is not."""
    assert embed(folder, "Dockerfile").returncode == 0
    with zipfile.ZipFile(folder / "app_embedded_embed_shop_1.zip") as archive:
        (folder / "protected").write_bytes(archive.read("Dockerfile"))

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*BARTIZAN, *words], cwd=folder, capture_output=True, check=False)

    assert run("unprotect", "protected").stdout == DOCKERFILE.encode()
    assert b"line 3, ENTRYPOINT: starts the program under the Defender" in run("explain", "protected").stdout
    assert run("verify", "protected").returncode == 0
    assert run("verify", "Dockerfile").returncode == 1


@pytest.mark.parametrize(
    ("files_that_ignore", "warned"),
    [
        ({".dockerignore": "*\n!src\n"}, ".dockerignore"),
        ({".dockerignore": "*\n!bartizan/\n"}, ""),
        ({".dockerignore": "*\n", "Dockerfile.dockerignore": ".git\n"}, ""),
        ({"Dockerfile.dockerignore": "bartizan\n"}, "Dockerfile.dockerignore"),
    ],
)
def test_a_file_that_keeps_the_defender_out_is_warned_of(
    folder: Path, files_that_ignore: dict[str, str], warned: str
) -> None:
    """The Defender would not reach the builder: the file that says so is named, with the line that helps."""
    for name, rules in files_that_ignore.items():
        (folder / name).write_text(rules)

    done = embed(folder, "Dockerfile")

    assert done.returncode == 0, done.stderr
    assert ("add the line `!bartizan/`" in done.stderr) == bool(warned)
    assert f"`{warned}` keeps the Defender from the builder" in done.stderr or not warned


@pytest.mark.parametrize("option", ["--dry-run", "--diff"])
def test_looking_writes_nothing(folder: Path, option: str) -> None:
    """Neither `--dry-run` nor `--diff` leaves a file, and neither needs a Defender."""
    done = embed(folder, option, "Dockerfile", defender="amd64=nowhere")

    assert done.returncode == 0, done.stderr
    assert files(folder) == set()
    assert ("+++" in done.stdout) == (option == "--diff")
    assert json.loads((folder / "bundle.json").read_text())["bundle"] not in done.stdout + done.stderr


def test_the_report_for_programs_is_json(folder: Path) -> None:
    """Standard output holds the report and nothing else, and the report holds no secret."""
    done = embed(folder, "--format", "json", "Dockerfile")

    report = json.loads(done.stdout)
    assert (report["appId"], report["archive"]) == ("shop:1", "app_embedded_embed_shop_1.zip")
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
    assert "--image base:1=" in unknown.stderr
    assert known.returncode == 0, known.stderr
    with zipfile.ZipFile(folder / "app_embedded_embed_shop_1.zip") as archive:
        assert b"/entry.sh" in archive.read("Dockerfile")


def test_the_base_images_registry_is_asked_with_dockers_credentials(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`--extract-entrypoint` logs in as `docker pull` would, and the password shows nowhere."""
    home = tmp_path_factory.mktemp("registry")
    pem = certificate(home)
    (home / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(home / "htpasswd")}}
    with docker_registry(home, pem, auth=auth, push_headers=lambda _repository: basic(*LOGIN)) as registry:
        push_family(registry, "team/tool", home)
        (folder / "Dockerfile").write_text(f"FROM {registry.host}/team/tool:1\n")
        login = base64.b64encode(":".join(LOGIN).encode()).decode()
        (home / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
        environment = {**os.environ, "BARTIZAN_REGISTRY_CA_FILE": str(registry.ca)}

        refused = embed(folder, "--extract-entrypoint", "Dockerfile", environment=environment)
        done = embed(
            folder, "--extract-entrypoint", "Dockerfile", environment=environment | {"DOCKER_CONFIG": str(home)}
        )

    assert refused.returncode == 1
    assert f"{registry.host}/team/tool:1" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert ENTRYPOINT[0] in done.stderr
    assert LOGIN[1] not in done.stderr + done.stdout
    assert login not in done.stderr + done.stdout


def test_a_registrys_password_goes_to_that_registry_only() -> None:
    """The credential of the environment is not given to Docker Hub, nor to a registry whose name begins alike."""
    settings = read_client_settings(
        {
            "BARTIZAN_REGISTRY": "registry.test",
            "BARTIZAN_REGISTRY_USER": "ci",
            "BARTIZAN_REGISTRY_PASSWORD": SECRET,
            "DOCKER_CONFIG": "/nowhere",
        }
    )
    credentials = registry_access(settings).credentials

    own = credentials("registry.test")
    assert own is not None
    assert own.secret == SECRET
    assert [credentials(host) for host in ("docker.io", "registry.test.evil.test", "registry.test:444")] == [None] * 3


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
