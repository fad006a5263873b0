"""Programs that cargo builds for the tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


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
