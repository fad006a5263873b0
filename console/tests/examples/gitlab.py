"""Runs the jobs of a GitLab pipeline as a runner with a shell does.

Rules: GitLab docs, "CI/CD YAML syntax reference" (`include:local`, `extends`, `needs`, `artifacts`, `variables`).
"""

import subprocess
from collections.abc import Mapping
from typing import Any

import yaml
from tests.examples.agent import PIPELINES, Agent

ROOT = PIPELINES / "gitlab"
PIPELINE = ROOT / ".gitlab-ci.yml"
INCLUDE = ROOT / "protect.gitlab-ci.yml"
# What runs `script` on a runner: all lines in one shell, the first failure ends it.
_SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]


def pipeline() -> dict[str, Any]:
    """Return the pipeline with its includes merged in and `extends` followed."""
    merged: dict[str, Any] = {}
    document = yaml.safe_load(PIPELINE.read_text())
    for item in document.pop("include"):
        merged |= yaml.safe_load((ROOT / item["local"]).read_text())
    merged |= document
    return {name: _extended(name, merged) for name in merged if name != "stages"}


def _extended(name: str, jobs: Mapping[str, Any]) -> dict[str, Any]:
    job: dict[str, Any] = jobs[name]
    if "extends" not in job:
        return job
    base = _extended(job["extends"], jobs)
    return base | job | {"variables": base.get("variables", {}) | job.get("variables", {})}


def run_job(agent: Agent, name: str, variables: Mapping[str, str], **changed: str) -> subprocess.CompletedProcess[str]:
    """Run a job; `variables` are the project's, `changed` ones are the job's."""
    job = pipeline()[name]
    script = "\n".join([*job.get("before_script", []), *job["script"]])
    # The project's variables win over those of the file ("CI/CD variable precedence").
    return agent.run(_SHELL, script, job.get("variables", {}) | changed | dict(variables))
