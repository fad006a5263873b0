"""The pipelines' files against what the vendors of those pipelines accept, and against themselves."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.examples import github, gitlab
from tests.examples.agent import HERE, PIPELINES

FILES = [
    ("github-action", github.ACTION),
    ("github-workflow", github.WORKFLOW),
    ("gitlab-ci", gitlab.PIPELINE),
    ("gitlab-ci", gitlab.INCLUDE),
]
Document = dict[str, Any]


def schema(name: str) -> Document:
    """Return one of the schemas beside this file."""
    found: Document = json.loads((HERE / "schemas" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return found


@pytest.mark.parametrize(("name", "path"), FILES, ids=lambda value: getattr(value, "name", value))
def test_a_file_has_the_keys_and_types_of_its_format(name: str, path: Path) -> None:
    """Each file is valid by what its vendor documents."""
    jsonschema.validate(github.read(path), schema(name))


def _no_shell(document: Document) -> None:
    del document["runs"]["steps"][0]["shell"]


def _misspelt_input(document: Document) -> None:
    document["inputs"]["file"]["defualt"] = "x"


def _unpinned(document: Document) -> None:
    document["jobs"]["stack"]["steps"][0]["uses"] = "actions/checkout"


def _run_and_uses(document: Document) -> None:
    document["jobs"]["stack"]["steps"][0]["run"] = "true"


def _job_without_script(document: Document) -> None:
    del document["deploy"]["script"]


def _misspelt_keyword(document: Document) -> None:
    document["deploy"]["need"] = ["protect"]


@pytest.mark.parametrize(
    ("name", "path", "spoil"),
    [
        ("github-action", github.ACTION, _no_shell),
        ("github-action", github.ACTION, _misspelt_input),
        ("github-workflow", github.WORKFLOW, _unpinned),
        ("github-workflow", github.WORKFLOW, _run_and_uses),
        ("gitlab-ci", gitlab.PIPELINE, _job_without_script),
        ("gitlab-ci", gitlab.PIPELINE, _misspelt_keyword),
    ],
)
def test_the_schemas_notice_mistakes(name: str, path: Path, spoil: Callable[[Document], None]) -> None:
    """A schema that accepts everything would prove nothing."""
    document = copy.deepcopy(github.read(path))
    spoil(document)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema(name))


def test_gitlab_jobs_name_only_jobs_and_stages_that_exist() -> None:
    """`needs`, `extends` and `stage` lead somewhere, and a needed job runs earlier."""
    jobs, stages = gitlab.pipeline(), yaml.safe_load(gitlab.PIPELINE.read_text())["stages"]

    for job in jobs.values():
        assert job["stage"] in stages
        for needed in job.get("needs", []):
            assert stages.index(jobs[needed]["stage"]) < stages.index(job["stage"])


def test_gitlab_shows_the_artifact_in_merge_requests() -> None:
    """`expose_as` shows nothing when a path holds a variable or a glob (GitLab docs, `artifacts:expose_as`)."""
    artifacts = gitlab.pipeline()["protect"]["artifacts"]

    assert artifacts["expose_as"]
    assert not [path for path in artifacts["paths"] if re.search(r"[$*?]", path)]


def test_the_workflow_gives_the_action_all_that_it_requires() -> None:
    """GitHub itself does not refuse a call without a required input."""
    required = {key for key, item in github.read(github.ACTION)["inputs"].items() if item.get("required")}
    known = set(github.read(github.ACTION)["inputs"])

    for job in github.read(github.WORKFLOW)["jobs"].values():
        (call,) = [step for step in job["steps"] if step.get("uses", "").startswith("./")]
        assert required <= set(call["with"]) <= known


def test_the_workflow_says_what_it_wants_from_the_repository() -> None:
    """Its head comment lists exactly the variables and secrets that it reads."""
    text = github.WORKFLOW.read_text()
    comment = "".join(line for line in text.splitlines() if line.startswith("#"))
    used = set(re.findall(r"(?:vars|secrets)\.(\w+)", text))

    assert set(re.findall(r"\b(?:BARTIZAN|AWS)_\w+", comment)) == used


def test_a_deployment_names_its_file_once() -> None:
    """In each pipeline the gate and the deployment take the file from the same variable."""
    scripts = [
        step["run"] for job in github.read(github.WORKFLOW)["jobs"].values() for step in job["steps"] if "run" in step
    ]
    scripts += ["\n".join(job["script"]) for name, job in gitlab.pipeline().items() if name.startswith("deploy")]

    assert len(scripts) == 4
    for script in scripts:
        gate, deployment = script.strip().splitlines()
        assert gate == 'bartizan app-embedded verify "$DEFINITION"'
        assert deployment.startswith("aws ")
        assert set(re.findall(r"\$\w+", deployment)) == {"$DEFINITION"}


def test_every_pipeline_file_is_looked_at() -> None:
    """A file that is added to the examples is added here."""
    files = {path for path in PIPELINES.rglob("*") if path.is_file() and path.suffix in {".yml", ".yaml"}}

    assert files == {path for _, path in FILES}
