"""The commands that embed, as a user types them: real processes, no Console needed."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bartizan.registry import File, ImageConfig, write_image

BARTIZAN = [sys.executable, "-m", "bartizan.cli", "app-embedded"]
SECRET = "a-secret-that-must-not-show"
BUNDLE = {"v": 1, "id": "b1", "secret": SECRET, "pins": ["0" * 64], "addresses": ["wss://console.test:8084"]}
DEFINITION = {"family": "shop", "containerDefinitions": [{"name": "web", "image": "nginx", "entryPoint": ["/http"]}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a task definition and an install bundle."""
    text = base64.b64encode(json.dumps(BUNDLE).encode()).decode()
    (tmp_path / "bundle.json").write_text(json.dumps({"bundle": text}))
    (tmp_path / "task.json").write_text(json.dumps(DEFINITION, indent=2))
    return tmp_path


def bartizan(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    return subprocess.run([*BARTIZAN, *words], cwd=folder, capture_output=True, text=True, check=False)


def generate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Protect a definition offline."""
    return bartizan(folder, "generate-fargate-task", "--bundle", "bundle.json", *words)


def test_the_definition_goes_to_output_and_the_report_to_standard_error(folder: Path) -> None:
    """Standard output holds the protected definition and nothing else."""
    done = generate(folder, "task.json")

    assert done.returncode == 0
    assert [c["name"] for c in json.loads(done.stdout)["containerDefinitions"]] == ["web", "BartizanDefender"]
    assert "shop: protected" in done.stderr


def test_unprotect_gives_the_file_back(folder: Path) -> None:
    """What was protected comes back byte for byte, line ends included."""
    original = (folder / "task.json").read_bytes().replace(b"\n", b"\r\n")
    (folder / "task.json").write_bytes(original)

    assert generate(folder, "--output-file", "out.json", "task.json").returncode == 0
    assert bartizan(folder, "unprotect", "--output-file", "back.json", "out.json").returncode == 0

    assert (folder / "back.json").read_bytes() == original


def test_protecting_again_changes_nothing(folder: Path) -> None:
    """A second run gives the same bytes."""
    generate(folder, "--output-file", "once.json", "task.json")
    generate(folder, "--output-file", "twice.json", "once.json")

    assert (folder / "once.json").read_bytes() == (folder / "twice.json").read_bytes()


def test_a_refusal_is_one_line_and_leaves_the_output_alone(folder: Path) -> None:
    """Bad input ends with 1, one line with the place, and an output file that is as it was."""
    (folder / "task.json").write_text('{"family": "x",\n  "family": "y"}')
    (folder / "out.json").write_text("precious")

    done = generate(folder, "--output-file", "out.json", "task.json")

    assert done.returncode == 1
    assert done.stderr.startswith("bartizan: `task.json` is not protected: line 2, column 3")
    assert done.stderr.count("\n") == 1
    assert (folder / "out.json").read_text() == "precious"


def test_a_missing_entrypoint_names_every_container(folder: Path) -> None:
    """A container whose image is not known is named, with what to do."""
    containers = [{"name": name, "image": "nginx"} for name in ("one", "two")]
    (folder / "task.json").write_text(json.dumps({"family": "x", "containerDefinitions": containers}))

    done = generate(folder, "task.json")

    assert done.returncode == 1
    assert "`one`" in done.stderr
    assert "`two`" in done.stderr


def test_an_image_gives_the_entrypoint(folder: Path) -> None:
    """With `--image` the entrypoint and command come from the image, and the report says so."""
    config = ImageConfig(entrypoint=("/entry",), cmd=("serve", "--port=1"))
    write_image(folder / "layout", files=[], config=config, reference="nginx", architecture="amd64")
    (folder / "task.json").write_text('{"family":"x","containerDefinitions":[{"name":"web","image":"nginx"}]}')

    done = generate(folder, "--image", "nginx=oci:layout", "task.json")

    web = json.loads(done.stdout)["containerDefinitions"][0]
    assert web["entryPoint"][-1] == "/entry"
    assert web["command"] == ["serve", "--port=1"]
    assert "oci:layout" in done.stderr


def test_programs_that_gain_rights_are_named_and_can_be_let(folder: Path) -> None:
    """An image with a setuid program is warned of; `--compat` lets its container have it and ends the warning."""
    files = [File("/usr/bin/sudo", 0o4755, b""), File("/bin/su", 0o4755, b"")]
    write_image(folder / "nginx", files=files, config=ImageConfig(), reference="nginx", architecture="arm64")
    known = ("--image", f"nginx=oci:{folder / 'nginx'}")

    warned, chosen = generate(folder, *known, "task.json"), generate(folder, *known, "--compat", "web", "task.json")

    assert "`web` has programs that gain rights" in warned.stderr
    assert "/usr/bin/sudo (setuid); if" in warned.stderr
    assert "DEFENDER_TIER" not in warned.stdout
    assert "gain rights" not in chosen.stderr
    web, _ = json.loads(chosen.stdout)["containerDefinitions"]
    assert {"name": "DEFENDER_TIER", "value": "compat"} in web["environment"]
    assert "DEFENDER_ALLOW_32BIT" not in chosen.stdout
    narrow = json.loads(generate(folder, *known, "--allow-32bit", "task.json").stdout)["containerDefinitions"]
    assert {"name": "DEFENDER_ALLOW_32BIT", "value": "true"} in narrow[0]["environment"]
    assert generate(folder, *known, "--compat", "nobody", "task.json").returncode == 1


def test_a_port_moves_behind_the_firewall(folder: Path) -> None:
    """`--waas-port` moves the mapping and says so; a port that nobody maps is refused, and nothing is written."""
    task = json.loads((folder / "task.json").read_text())
    for container in task["containerDefinitions"]:
        container |= {"entryPoint": ["/entry"], "portMappings": [{"containerPort": 8080}]}
    (folder / "task.json").write_text(json.dumps({**task, "networkMode": "awsvpc"}))

    done = generate(folder, "--waas-port", "80:8080", "task.json")
    refused = generate(folder, "--waas-port", "80:8081", "--output-file", "out.json", "task.json")

    web, sidecar = json.loads(done.stdout)["containerDefinitions"]
    assert "portMappings" not in web
    assert sidecar["portMappings"] == [{"containerPort": 80}]
    assert "port 8080 of `web` stands behind the firewall" in done.stderr
    assert "no container maps port 8081 of `80:8081`" in refused.stderr
    assert not (folder / "out.json").exists()


def test_diff_prints_what_would_change_and_writes_nothing(folder: Path) -> None:
    """`--diff` is a dry run."""
    done = generate(folder, "--diff", "--output-file", "out.json", "task.json")

    assert '+      "entryPoint"' in done.stdout or '+        "/var/lib/bartizan/defender"' in done.stdout
    assert not (folder / "out.json").exists()


def test_a_bundle_by_reference_stays_out_of_the_definition(folder: Path) -> None:
    """With a secret's ARN neither the bundle nor its secret is in the output."""
    arn = "arn:aws:secretsmanager:eu-west-1:112233445566:secret:bartizan"
    (folder / "task.json").write_text(json.dumps(DEFINITION | {"executionRoleArn": "arn:aws:iam::112233445566:role/r"}))

    done = generate(folder, "--install-bundle-secret", arn, "task.json")

    assert arn in done.stdout
    assert SECRET not in done.stdout + done.stderr
    assert json.loads((folder / "bundle.json").read_text())["bundle"] not in done.stdout


def test_verify_tells_protected_from_unprotected(folder: Path) -> None:
    """The gate of a pipeline: 0 for a protected definition, 1 and a reason for an unprotected or altered one."""
    generate(folder, "--output-file", "out.json", "task.json")
    altered = (folder / "out.json").read_text().replace("/var/lib/bartizan/defender", "/bin/sh", 1)
    (folder / "altered.json").write_text(altered)

    assert bartizan(folder, "verify", "out.json").returncode == 0
    for name in ("task.json", "altered.json"):
        done = bartizan(folder, "verify", name)
        assert done.returncode == 1
        assert done.stderr


def test_unwritable_output_is_one_line_and_leaves_nothing(folder: Path) -> None:
    """An output folder that is not there is named, and nothing is left behind."""
    done = generate(folder, "--output-file", "nowhere/out.json", "task.json")

    assert done.returncode == 1
    assert "`nowhere/out.json` cannot be written" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "task.json"]


def test_cloudformation_is_refused_in_words(folder: Path) -> None:
    """What is not there yet says so."""
    done = generate(folder, "--cloud-formation", "task.json")

    assert done.returncode == 1
    assert "CloudFormation" in done.stderr


def test_bad_usage_ends_with_two(folder: Path) -> None:
    """An unknown option is a usage error, not a failure."""
    assert generate(folder, "--no-such-option", "task.json").returncode == 2


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"family":"x"}', "\ufeff{}", '{"containerDefinitions":[]}'])
def test_no_input_ever_gives_a_traceback(folder: Path, content: str) -> None:
    """Whatever the file holds, the answer is one line."""
    (folder / "task.json").write_text(content)

    done = generate(folder, "task.json")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
