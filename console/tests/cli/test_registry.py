"""`bartizan registry`, as a user types it, against a real Console."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.channel.running import ConsoleUnderTest, running_console
from tests.registry.servers import certificate

SECRET = "tr0ub4dor-that-must-not-show"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console with an administrator."""
    with running_console(tmp_path_factory.mktemp("console") / "data") as running:
        running.sign_up()
        yield running


@pytest.fixture(autouse=True)
def _nothing_afterwards(console: ConsoleUnderTest) -> Iterator[None]:
    """Remove registries and credentials after each test."""
    yield
    with console.client() as client:
        client.put("/settings/registry", json={"specifications": []})
        for item in client.get("/credentials").json():
            assert client.delete(f"/credentials/{item['_id']}").status_code == 200


def bartizan(console: ConsoleUnderTest, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command with the administrator's token in the environment."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(sys.path),
        "BARTIZAN_ADDRESS": f"https://localhost:{console.running.api_port}",
        "BARTIZAN_CA_FILE": str(console.running.ca_file),
        "BARTIZAN_TOKEN": console.token,
    }
    command = [sys.executable, "-m", "bartizan.cli", "registry", *words]
    return subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=False)


def test_a_secret_comes_from_standard_input(console: ConsoleUnderTest) -> None:
    """It is kept without the line break of `echo`, listed without the secret, and removed."""
    done = bartizan(
        console, "credential", "add", "shop", "--account", "robot", "--registry", "https://registry.test",
        stdin=SECRET + "\n",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "credential `shop` is kept\n")
    listed = bartizan(console, "credential", "list")
    head, line = (text.split() for text in listed.stdout.splitlines())
    assert head == ["NAME", "TYPE", "ACCOUNT", "REGISTRY", "DESCRIPTION"]
    assert line == ["shop", "basic", "robot", "https://registry.test"]
    assert bartizan(console, "credential", "rotate-key").stderr == "1 secrets are sealed with a new key\n"
    assert bartizan(console, "credential", "delete", "shop").returncode == 0
    assert bartizan(console, "credential", "list").stdout == ""


def test_a_secret_comes_from_a_file(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Tokens go where the API wants them; an empty file is refused."""
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "empty").write_text("\n")
    file = ("--secret-file", str(tmp_path / "token"))
    assert bartizan(console, "credential", "add", "art", "--type", "jfrog", *file).returncode == 0
    empty = bartizan(console, "credential", "add", "x", "--secret-file", str(tmp_path / "empty"))
    assert empty.returncode == 1
    assert "holds no secret" in empty.stderr


def test_two_secrets_are_one_too_many(console: ConsoleUnderTest) -> None:
    """The error does not repeat them."""
    done = bartizan(console, "credential", "add", "x", "--secret", SECRET, "--secret-file", "-", stdin="other")
    assert done.returncode == 1
    assert "not both" in done.stderr
    assert SECRET not in done.stderr


def test_a_refusal_has_the_consoles_words_and_no_secret(console: ConsoleUnderTest) -> None:
    """What the Console says is what the user sees."""
    done = bartizan(console, "credential", "add", "x", "--account", "a:b", stdin=SECRET)
    assert done.returncode == 1
    assert "`accountID`" in done.stderr
    assert SECRET not in done.stderr


def test_a_registry_is_made_known(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """With credential and authority; the credential is then in use."""
    pem = certificate(tmp_path).read_text()
    (tmp_path / "ca.pem").write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    assert bartizan(console, "credential", "add", "shop", "--account", "robot", stdin=SECRET).returncode == 0
    done = bartizan(
        console, "add", "https://registry.test", "--credential", "shop", "--ca-cert", str(tmp_path / "ca.pem")
    )
    assert (done.returncode, done.stderr) == (0, "registry `https://registry.test` is known\n")
    assert bartizan(console, "list").stdout.splitlines()[1].split() == ["https://registry.test", "2", "*", "shop"]
    refused = bartizan(console, "credential", "delete", "shop")
    assert refused.returncode == 1
    assert "in use by settings of registry `registry.test`" in refused.stderr
    assert bartizan(console, "delete", "https://registry.test").returncode == 0
    assert bartizan(console, "list").stdout == ""
    assert bartizan(console, "delete", "https://registry.test").returncode == 1
