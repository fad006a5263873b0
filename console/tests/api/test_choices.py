"""What can be chosen of a protection: the API and the command line give the same bytes for the same choices."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest, running_console
from tests.registry.servers import HTPASSWD, LOGIN, basic, certificate, docker_registry

from bartizan.embed.limits import LARGEST_DEFINITION, LARGEST_LINES
from bartizan.registry import File, ImageConfig, write_image
from bartizan.services.embedding import TaskEmbedder

TASK = {
    "family": "shop",
    "executionRoleArn": "arn:aws:iam::1:role/shop",
    "containerDefinitions": [
        {"name": name, "image": f"{name}:1", "entryPoint": [f"/{name}"], "portMappings": [{"containerPort": port}]}
        for name, port in (("web", 8080), ("worker", 81))
    ],
    "networkMode": "awsvpc",
}
SECRET = "arn:aws:secretsmanager:eu-central-1:1:secret:bundle"
DOCKERFILE = 'FROM debian:12\nENTRYPOINT ["/usr/bin/app", "serve"]\n'


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console with the real transform."""
    directory = tmp_path_factory.mktemp("console")
    binary = directory / "defender"
    binary.write_bytes(b"\x7fELF" + bytes(14) + b"\x3e\x00" + bytes(range(256)) * 300)
    with running_console(directory / "data", embedder=TaskEmbedder(), defender_amd64=binary) as running:
        running.sign_up()
        yield running


def bartizan(console: ConsoleUnderTest, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command against the Console."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARTIZAN_")}
    environment["BARTIZAN_ADDRESS"] = console.url.removesuffix("/api/v1")
    environment["BARTIZAN_CA_FILE"] = str(console.running.ca_file)
    environment |= {"BARTIZAN_USER": USER, "BARTIZAN_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "bartizan.cli", "app-embedded", *words, "--console-host", "localhost"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def protect(console: ConsoleUnderTest, path: str, body: dict[str, Any], **query: Any) -> httpx.Response:
    """Send a definition."""
    with console.client() as client:
        return client.post(
            f"/defenders/{path}", params={"consoleaddr": "localhost", **query}, content=json.dumps(body, indent=2)
        )


@pytest.mark.parametrize("path", ["fargate.json", "fargate.yaml"])
@pytest.mark.parametrize(
    ("query", "words", "shown"),
    [
        ({"compat": "web"}, ["--compat", "web"], '"compat"'),
        ({"compat": ["web", "worker"]}, ["--compat", "web", "--compat", "worker"], '"compat"'),
        ({"allow32bit": "true"}, ["--allow-32bit"], "DEFENDER_ALLOW_32BIT"),
        ({"waasPorts": "80:8080"}, ["--waas-port", "80:8080"], "DEFENDER_WAAS_PORTS"),
        ({"waasPorts": ["80:8080", "82:81"]}, ["--waas-port", "80:8080,82:81"], '"80:8080,82:81"'),
        ({"installBundleSecret": SECRET}, ["--install-bundle-secret", SECRET], SECRET),
        (
            {"compat": "web", "allow32bit": "true", "installBundleSecret": SECRET, "filesystemMonitoring": "true"},
            ["--compat", "web", "--allow-32bit", "--install-bundle-secret", SECRET, "--filesystem-monitoring"],
            SECRET,
        ),
    ],
)
def test_a_definition_is_the_same_either_way(
    console: ConsoleUnderTest, tmp_path: Path, path: str, query: dict[str, Any], words: list[str], shown: str
) -> None:
    """The same choices give the same definition, and they are in it; without them they are not."""
    (tmp_path / "task.json").write_text(json.dumps(TASK, indent=2))
    done = bartizan(console, tmp_path, "generate-fargate-task", *words, "--output-file", "out.json", "task.json")
    assert done.returncode == 0, done.stderr

    answer = protect(console, path, TASK, **query)

    assert answer.status_code == 200, answer.text
    assert answer.content == (tmp_path / "out.json").read_bytes()
    assert shown in answer.text
    assert shown not in protect(console, path, TASK).text


def test_a_bundle_by_reference_is_in_neither_definition_nor_warning(console: ConsoleUnderTest) -> None:
    """With the ARN of a secret nothing of the bundle is in the answer, and nobody is warned that it could be read."""
    answer = protect(console, "fargate.json", TASK, installBundleSecret=SECRET)
    plain = protect(console, "fargate.json", TASK)

    assert console.bundle()["secret"] not in answer.text
    assert '"name": "INSTALL_BUNDLE"' in answer.text
    assert not any("install bundle" in warning for warning in json.loads(answer.headers.get("bartizan-warnings", "[]")))
    assert any("install bundle" in warning for warning in json.loads(plain.headers["bartizan-warnings"]))


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"compat": "nobody"}, "no container is called `nobody`: the task has `web` and `worker`"),
        ({"installBundleSecret": "bundle"}, "`bundle` is not the ARN of a secret"),
        ({"allow32bit": "perhaps"}, "allow32bit"),
        ({"findPrivileged": "perhaps"}, "findPrivileged"),
        ({"waasPorts": "80"}, "`80` is no pair of ports"),
        ({"waasPorts": "80:99"}, "no container maps port 99 of `80:99`"),
    ],
)
def test_choices_that_cannot_be_met_are_refused(console: ConsoleUnderTest, query: dict[str, str], named: str) -> None:
    """What cannot be done is refused with the user's own word."""
    answer = protect(console, "fargate.json", TASK, **query)

    assert answer.status_code in {400, 422}
    assert named in answer.json()["err"]


@pytest.mark.parametrize(
    ("fields", "words", "shown"),
    [
        ({"compat": True}, ["--compat"], "DEFENDER_TIER=compat"),
        ({"allow32bit": True}, ["--allow-32bit"], "DEFENDER_ALLOW_32BIT=true"),
        ({"waasPorts": ["80:8080"]}, ["--waas-port", "80:8080"], "DEFENDER_WAAS_PORTS=80:8080"),
        (
            {"compat": True, "allow32bit": True, "failMode": "closed"},
            ["--compat", "--allow-32bit", "--fail-mode", "closed"],
            "DEFENDER_TIER=compat",
        ),
    ],
)
def test_a_dockerfile_is_the_same_either_way(
    console: ConsoleUnderTest, tmp_path: Path, fields: dict[str, Any], words: list[str], shown: str
) -> None:
    """The same choices give the same archive, and they are in its Dockerfile."""
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    done = bartizan(console, tmp_path, "embed", "--app-id", "shop", *words, "--output-file", "out.zip", "Dockerfile")
    assert done.returncode == 0, done.stderr

    body = {"appID": "shop", "consoleAddr": "localhost", "dataFolder": "/bartizan/", "dockerfile": DOCKERFILE}
    with console.client() as client:
        answer = client.post("/defenders/app-embedded", json={**body, **fields})

    assert answer.status_code == 200, answer.text
    assert answer.content == (tmp_path / "out.zip").read_bytes()
    assert shown in zipfile.ZipFile(io.BytesIO(answer.content)).read("Dockerfile").decode()


def test_the_console_looks_through_images(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """With `findPrivileged` images with programs that gain rights are warned of, until some have the compat tier."""
    pem = certificate(tmp_path)
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    files = [File("/usr/bin/sudo", 0o4755, b"x"), File("/usr/bin/su", 0o4755, b"x")]
    write_image(tmp_path / "i", files=files, config=ImageConfig(), reference="tool:1", architecture="arm64")
    with docker_registry(tmp_path, pem, auth=auth, push_headers=lambda _repository: basic(*LOGIN)) as registry:
        registry.push("team/tool", "1", tmp_path / "i")
        authority = pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :]
        url = f"https://{registry.host}"
        secret = {"_id": "ci", "type": "basic", "accountID": LOGIN[0], "secret": {"plain": LOGIN[1]}, "url": url}
        specification = {"version": "2", "registry": url, "caCert": authority, "credentialID": "ci"}
        with console.client() as client:
            assert client.post("/credentials", json=secret).status_code == 200
            assert client.post("/settings/registry", json=specification).status_code == 200
        container = {"name": "web", "image": f"{registry.host}/team/tool:1", "entryPoint": ["/web"]}
        task = {"family": "shop", "containerDefinitions": [container]}
        missing = {**task, "containerDefinitions": [{**container, "image": f"{registry.host}/team/none:1"}]}

        plain = protect(console, "fargate.json", task)
        found = protect(console, "fargate.json", task, findPrivileged="true")
        chosen = protect(console, "fargate.json", task, findPrivileged="true", compat="web")
        refused = protect(console, "fargate.json", missing, findPrivileged="true")

    assert found.content == plain.content
    warnings = json.loads(found.headers["bartizan-warnings"])
    found_in = "`web` has programs that gain rights, and under the Defender they do not: /usr/bin/sudo (setuid); "
    assert any(warning.startswith(found_in) for warning in warnings)
    assert not any("/usr/bin/su " in warning for warning in warnings)
    assert all("gain rights" not in answer.headers.get("bartizan-warnings", "") for answer in (plain, chosen))
    assert refused.status_code == 400
    assert "team/none:1` of container `web`" in refused.json()["err"]


@pytest.mark.parametrize("more", [0, 1])
def test_a_definition_may_be_as_large_either_way(console: ConsoleUnderTest, tmp_path: Path, more: int) -> None:
    """Command line and API take a definition of the largest size, and neither takes one more byte."""
    text = json.dumps(TASK).encode()
    text += b" " * (LARGEST_DEFINITION - len(text) + more)
    (tmp_path / "task.json").write_bytes(text)

    done = bartizan(console, tmp_path, "generate-fargate-task", "--output-file", "out.json", "task.json")
    with console.client() as client:
        answer = client.post("/defenders/fargate.json", params={"consoleaddr": "localhost"}, content=text)
        in_chunks = client.post(
            "/defenders/fargate.yaml",
            params={"consoleaddr": "localhost"},
            content=(text[start : start + 65536] for start in range(0, len(text), 65536)),
        )

    if more:
        assert (done.returncode, answer.status_code, in_chunks.status_code) == (1, 413, 413)
        assert f"{LARGEST_DEFINITION:,} bytes" in done.stderr
        assert str(LARGEST_DEFINITION) in answer.json()["err"]
    else:
        assert (done.returncode, answer.status_code, in_chunks.status_code) == (0, 200, 200), done.stderr
        assert answer.content == in_chunks.content == (tmp_path / "out.json").read_bytes()


@pytest.mark.parametrize("filling", ["x", '"'])
@pytest.mark.parametrize("more", [0, 1])
def test_a_dockerfile_may_be_as_large_either_way(
    console: ConsoleUnderTest, tmp_path: Path, more: int, filling: str
) -> None:
    """Command line and API take a Dockerfile of the largest size, however JSON writes it, and neither one more byte."""
    line = f"# {filling * 1021}\n"
    lines, rest = divmod(LARGEST_LINES + more - len(DOCKERFILE), len(line))
    text = line * lines + "\n" * rest + DOCKERFILE
    assert len(text) == LARGEST_LINES + more
    (tmp_path / "Dockerfile").write_text(text)

    done = bartizan(console, tmp_path, "embed", "--app-id", "shop", "--output-file", "out.zip", "Dockerfile")
    body = {"appID": "shop", "consoleAddr": "localhost", "dataFolder": "/bartizan/", "dockerfile": text}
    with console.client() as client:
        answer = client.post("/defenders/app-embedded", json=body)

    assert (done.returncode, answer.status_code) == ((1, 413) if more else (0, 200)), done.stderr
    if more:
        assert f"{LARGEST_LINES:,} bytes" in done.stderr
        assert f"{LARGEST_LINES:,} bytes" in answer.json()["err"]
    else:
        assert answer.content == (tmp_path / "out.zip").read_bytes()
