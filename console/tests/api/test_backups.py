"""Backups of a real Console, and the Console that comes of one."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.channel.running import ConsoleUnderTest, running_console

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def client(console: ConsoleUnderTest) -> Iterator[httpx.Client]:
    """Ask as the administrator."""
    with console.client() as opened:
        yield opened


def bartizan(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command line in a process of its own; return its exit code and what it says is wrong."""
    command = [sys.executable, "-m", "bartizan.cli", *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_console_comes_back_from_its_backup(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """With the keys it is the same Console: its users, policies and authority; Defenders would not notice."""
    console.put_policy({"name": "kept"})
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    environment = {"BARTIZAN_ADDRESS": console.url.removesuffix("/api/v1"), "BARTIZAN_TOKEN": console.token}
    environment["BARTIZAN_CA_FILE"] = str(console.running.ca_file)
    file, data = str(tmp_path / "console.backup"), str(tmp_path / "data")
    given = ["--passphrase-file", str(tmp_path / "passphrase")]
    assert bartizan("backup", "--output-file", file, *given, **environment) == (0, "")
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert bartizan("restore", file, "--data-dir", data, *given) == (0, "")
    code, told = bartizan("restore", file, "--data-dir", data, *given)
    assert code == 1
    assert "--replace" in told
    with running_console(Path(data)) as second:
        assert second.running.ca_pin == console.running.ca_pin
        assert second.running.setup_token is None
        second.log_in()
        with second.client() as client:
            rules = client.get("/policies/runtime/app-embedded").json()["rules"]
            assert not client.get("/audits/mgmt/verify").json().get("problem")
    assert [rule["name"] for rule in rules] == ["kept"]
    assert not list((console.directory / "backups").iterdir())


def test_backups_are_listed_and_removed(client: httpx.Client) -> None:
    """One is begun, is downloaded when it is done, and goes; names that are none lead nowhere."""
    name = client.post("/backups", json={}).json()["name"]
    while (listed := client.get("/backups").json())[0]["state"] == "running":
        pass
    assert [(item["name"], item["state"], item["keys"]) for item in listed] == [(name, "done", False)]
    answer = client.get(f"/backups/{name}")
    assert answer.content.startswith(b"\x1f\x8b")
    assert len(answer.content) == listed[0]["size"]
    assert client.delete(f"/backups/{name}").status_code == 200
    for wrong in (name, "..%2Fbartizan.db", "bartizan.db"):
        assert client.get(f"/backups/{wrong}").status_code == 404
    assert client.post("/backups", json={"passphrase": "short"}).status_code == 400
    assert client.get("/backups").json() == []
