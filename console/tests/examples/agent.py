"""The machine that a pipeline's steps run on: a folder, programs that note how they were called, and an environment."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import bartizan

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[2] / "examples"
PIPELINES = EXAMPLES / "pipelines"
TEMPLATE = EXAMPLES / "cloudformation" / "service.yaml"
DEPLOYED = {"webserver": ["web", "BartizanDefender"]}
DEPLOYED_STACK = {
    "shop-web-${Stage}": ["web", "BartizanDefender"],
    "shop-worker-${Stage}": ["worker", "BartizanDefender"],
}
"""The two definitions once protected; containers that a stack may have or not are left out."""
_SOURCE = Path(bartizan.__file__).resolve().parents[1]
_OWN = {
    "bartizan": [sys.executable, "-m", "bartizan.cli"],
    "aws": [sys.executable, str(HERE / "aws.py")],
}
_SYSTEM = ("base64", "basename", "cat", "curl", "diff", "jq", "mkdir", "rm")
_HOME = Path("/nonexistent")


@dataclass(frozen=True)
class Agent:
    """A workspace, and programs before all others on PATH that write down their arguments before they run."""

    workspace: Path
    programs: Path
    calls: Path

    @property
    def registered(self) -> Path:
        """Where the stand-in of `aws` notes what it was given."""
        return self.programs.parent / "registered.json"

    def run(self, shell: list[str], script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a script with exactly this environment, beside what every process needs."""
        path = self.programs.parent / "script.sh"
        path.write_text(script)
        needed = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(_HOME),
            "REGISTERED": str(self.registered),
        }
        return subprocess.run(
            [*shell, str(path)],
            cwd=self.workspace,
            env=needed | dict(environment),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def command_lines(self) -> str:
        """All arguments that any program was started with: what a process list would have shown."""
        return self.calls.read_text() if self.calls.exists() else ""

    def deployed(self) -> dict[str, list[str]]:
        """Return the containers of the task definitions that AWS was given, by family."""
        found = json.loads(self.registered.read_text()) if self.registered.exists() else []
        return {task["family"]: task["containers"] for task in found}


def make_agent(folder: Path) -> Agent:
    """Return an agent with the repository's two definitions in its workspace."""
    workspace, programs, calls = folder / "workspace", folder / "programs", folder / "calls"
    workspace.mkdir(parents=True)
    programs.mkdir()
    shutil.copy(PIPELINES / "fargate.json", workspace)
    shutil.copy(TEMPLATE, workspace)
    shutil.copy(TEMPLATE.with_name("parameters.json"), workspace)
    system = {name: [found] for name in _SYSTEM if (found := shutil.which(name))}
    for name, command in (system | _OWN).items():
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >> {shlex.quote(str(calls))}\n'
            f'PYTHONPATH={shlex.quote(str(_SOURCE))} exec {shlex.join(command)} "$@"\n'
        )
        program.chmod(0o755)
    return Agent(workspace=workspace, programs=programs, calls=calls)
