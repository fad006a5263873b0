"""The rules, and the programs that judge with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from built import ROOT, built
from release import Release, fetched


@pytest.fixture(scope="session")
def release() -> Release:
    """The Core Rule Set with its tests, as scripts/rules.sh fetches it."""
    subprocess.run(["sh", ROOT / "scripts/rules.sh"], check=True)
    return Release.at(fetched())


@pytest.fixture(scope="session")
def judge() -> Path:
    """The engine as a program."""
    return built("judge")


@pytest.fixture(scope="session")
def proxy_program() -> Path:
    """The proxy as a program."""
    return built("proxy")
