"""A real Console over TLS for the whole folder, and a fresh agent for each test."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.examples.agent import Agent, make_agent

DEFENDERS_CALL_IT = "console.example.com"
_BARTIZAN = [sys.executable, "-m", "bartizan.cli"]


@dataclass(frozen=True)
class Console:
    """Where the Console is and how to log in."""

    host: str
    ca_file: Path
    user: str = "manager"
    # What a shell, a URL or a JSON text could trip over; no blank, for the vendor's page leaves it unquoted.
    password: str = "long:\"'$HOME`\\%41&#/ü"

    @property
    def address(self) -> str:
        """Address of the API."""
        return f"https://{self.host}"

    def credentials(self) -> dict[str, str]:
        """Return the environment that the command line reads."""
        given = {"ADDRESS": self.address, "USER": self.user, "PASSWORD": self.password, "CA_FILE": str(self.ca_file)}
        return {f"BARTIZAN_{name}": value for name, value in given.items()}


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Give a started Console with an administrator."""
    data = tmp_path_factory.mktemp("console") / "data"
    command = [*_BARTIZAN, "console", "--data-dir", str(data)]
    command += ["--api-address", "127.0.0.1:0", "--channel-address", "127.0.0.1:0", "--san", DEFENDERS_CALL_IT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Console:")
            state = json.loads((data / "console.json").read_text())
            console = Console(host=f"localhost:{state['apiPort']}", ca_file=data / "ca.pem")
            token = (data / "setup-token").read_text().strip()
            sign_up = [*_BARTIZAN, "signup", "--token", token, "--username", console.user]
            subprocess.run(sign_up, env=os.environ | console.credentials(), check=True, capture_output=True)
            yield console
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """Give a machine for the steps of a pipeline."""
    return make_agent(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Give an install bundle as a file, for work without a Console."""
    content = {"v": 1, "id": "b1", "secret": "s" * 43, "pins": ["0" * 64], "addresses": ["wss://console.test:8084"]}
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps({"bundle": base64.b64encode(json.dumps(content).encode()).decode()}))
    return path
