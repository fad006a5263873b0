"""The rules, and the programs that judge with them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def rules() -> Path:
    """The Core Rule Set with its tests, as scripts/rules.sh fetches it."""
    subprocess.run(["sh", ROOT / "scripts/rules.sh"], check=True)
    return Path(os.environ.get("BARTIZAN_CACHE", ROOT / ".cache")) / "rules/crs4"


@pytest.fixture(scope="session")
def judge() -> Path:
    """The engine as a program."""
    return built("judge")


@pytest.fixture(scope="session")
def proxy_program() -> Path:
    """The proxy as a program."""
    return built("proxy")


def built(example: str) -> Path:
    """An example's program: in the folder that `make test-e2e` names, else as `make test-programs` builds it."""
    if folder := os.environ.get("BARTIZAN_PROGRAMS"):
        return Path(folder) / example
    command = ["cargo", "build", "--locked", "--examples", "--message-format", "json"]
    output = subprocess.run(command, cwd=ROOT / "defender", check=True, capture_output=True).stdout
    messages = (json.loads(line) for line in output.splitlines())
    return next(
        Path(one["executable"]) for one in messages if one.get("executable") and one["target"]["name"] == example
    )
