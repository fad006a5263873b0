"""Runs the steps of a GitHub workflow as a runner does, composite actions included.

Rules: GitHub docs, "Workflow syntax" (`shell`), "Metadata syntax" (composite actions), "Contexts" (expressions).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.examples.agent import PIPELINES, Agent

ROOT = PIPELINES / "github"
WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"
ACTION = ROOT / ".github" / "actions" / "protect" / "action.yml"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_SHELLS = {
    None: ["bash", "-e"],  # nothing named in a workflow
    "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
}

Outputs = dict[str, dict[str, str]]


class StepFailedError(Exception):
    """A step ended with a code other than 0: the job fails and runs no more steps."""


@dataclass
class Runner:
    """One job's runner; `contexts` are `vars` and `secrets`."""

    agent: Agent
    contexts: Mapping[str, Mapping[str, str]]
    log: str = ""
    artifacts: list[Path] = field(default_factory=list)

    def run_job(self, name: str, changed: Mapping[str, str] | None = None) -> None:
        """Run a job of the workflow; `changed` replaces scripts of steps, by name. Raises StepFailedError."""
        job = read(WORKFLOW)["jobs"][name]
        outputs: Outputs = {}
        for step in job["steps"]:
            if step.get("name") in (changed or {}):
                step["run"] = (changed or {})[step["name"]]
            self._step(step, {}, outputs)

    def run_action(self, path: Path, inputs: Mapping[str, str]) -> dict[str, str]:
        """Run a composite action; return its outputs. Raises StepFailedError."""
        action = read(path)
        values = {key: str(item.get("default", "")) for key, item in action["inputs"].items()} | dict(inputs)
        assert set(values) == set(action["inputs"]), "an input is given that the action does not have"
        outputs: Outputs = {}
        for step in action["runs"]["steps"]:
            self._step(step, values, outputs)
        return {key: self._filled(item["value"], {}, outputs) for key, item in action["outputs"].items()}

    def _step(self, step: dict[str, Any], inputs: Mapping[str, str], outputs: Outputs) -> None:
        given = {key: self._filled(str(value), inputs, outputs) for key, value in step.get("with", {}).items()}
        uses = step.get("uses", "")
        if uses.startswith("./"):
            outputs[step.get("id", "")] = self.run_action(ROOT / uses / "action.yml", given)
        elif uses.startswith("actions/upload-artifact@"):
            self.artifacts.append(self.agent.workspace / given["path"])
            assert self.artifacts[-1].is_file()
        elif not uses:
            environment = {key: self._filled(value, inputs, outputs) for key, value in step.get("env", {}).items()}
            outputs[step.get("id", "")] = self._script(step, environment)

    def _script(self, step: dict[str, Any], environment: dict[str, str]) -> dict[str, str]:
        results = {name: self.agent.programs.parent / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH")}
        for path in results.values():
            path.write_text("")
        environment |= {name: str(path) for name, path in results.items()}
        done = self.agent.run(_SHELLS[step.get("shell")], step["run"], environment)
        self.log += done.stdout + done.stderr
        if done.returncode:
            raise StepFailedError(f"{step.get('name')}: {done.returncode}: {done.stderr}")
        lines = results["GITHUB_OUTPUT"].read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _filled(self, text: str, inputs: Mapping[str, str], outputs: Outputs) -> str:
        def value(found: re.Match[str]) -> str:
            match found[1].split("."):
                case ["inputs", name]:
                    return inputs[name]
                case ["steps", step, "outputs", name]:
                    return outputs[step][name]
                case ["runner", "temp"]:
                    return str(self.agent.programs.parent)
                case [context, name]:
                    return self.contexts[context][name]
            raise AssertionError(f"no such expression: {found[1]}")

        return EXPRESSION.sub(value, text)


def read(path: Path) -> dict[str, Any]:
    """Return a YAML file of GitHub's. YAML 1.1 reads the key `on` as true; GitHub's reader does not."""
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in document.items()}
