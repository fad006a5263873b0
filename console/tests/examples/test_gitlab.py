"""The GitLab pipeline and its include, job by job as their files say, against a real Console."""

import re
import subprocess

import pytest
from tests.examples.agent import DEPLOYED, DEPLOYED_STACK, Agent
from tests.examples.conftest import DEFENDERS_CALL_IT, Console
from tests.examples.gitlab import pipeline, run_job


def variables(console: Console) -> dict[str, str]:
    """Return the project's variables; BARTIZAN_CA_FILE is of type File, so it is a path."""
    return {"BARTIZAN_CONSOLE_HOST": DEFENDERS_CALL_IT, **console.credentials()}


def failure(done: subprocess.CompletedProcess[str]) -> str:
    """Return why a job failed."""
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize(
    ("protect", "deploy", "registered"),
    [("protect", "deploy", DEPLOYED), ("protect-stack", "deploy-stack", DEPLOYED_STACK)],
)
def test_the_pipeline_registers_what_it_protected(
    agent: Agent, console: Console, protect: str, deploy: str, registered: dict[str, list[str]]
) -> None:
    """A deployment that needs a protecting job ends with its task definitions in AWS, sidecar inside."""
    jobs = pipeline()
    assert jobs[deploy]["needs"] == [protect]

    protected = run_job(agent, protect, variables(console))
    assert protected.returncode == 0, protected.stderr
    deployed = run_job(agent, deploy, {})
    assert deployed.returncode == 0, deployed.stderr

    assert agent.deployed() == registered


@pytest.mark.parametrize("protect", ["protect", "protect-stack"])
def test_the_artifacts_hold_the_protected_file_and_its_diff(agent: Agent, console: Console, protect: str) -> None:
    """What the job keeps is what a reviewer and the deploying job need."""
    job = pipeline()[protect]

    assert run_job(agent, protect, variables(console)).returncode == 0

    (folder,) = job["artifacts"]["paths"]
    name = job["variables"]["DEFINITION"]
    kept = sorted(path.name for path in (agent.workspace / folder).iterdir())
    assert kept == [name, f"{name}.diff"]
    diff = (agent.workspace / folder / f"{name}.diff").read_text()
    assert diff.startswith(f"--- {name}")
    assert "BartizanDefender" in diff
    assert "INSTALL_BUNDLE" in diff
    assert not re.search(r"eyJ\w{40}", diff)


@pytest.mark.parametrize("deploy", ["deploy", "deploy-stack"])
def test_deploying_another_file_than_the_protected_one_fails(agent: Agent, deploy: str) -> None:
    """The mistake of naming the unprotected file stops the job before AWS hears of it."""
    wrong = pipeline()[deploy]["variables"]["DEFINITION"].removeprefix("protected/")

    done = run_job(agent, deploy, {}, DEFINITION=wrong)

    assert "missingSidecar" in failure(done)
    assert agent.deployed() == {}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"BARTIZAN_PASSWORD": "wrong-and-secret"}, "the Console refused"),
        ({"BARTIZAN_CA_FILE": "/etc/ssl/certs/ca-certificates.crt"}, "cannot be reached"),
        ({"BARTIZAN_CONSOLE_HOST": "elsewhere.example.com"}, "is not among the names of the Console's certificate"),
        ({"DEFINITION": "missing.json"}, "`missing.json` cannot be read"),
        ({"PARAMETERS_FILE": "missing.json"}, "`missing.json` cannot be read"),
    ],
)
def test_what_goes_wrong_fails_the_job_with_its_reason(
    agent: Agent, console: Console, wrong: dict[str, str], reason: str
) -> None:
    """A pipeline that cannot protect ends red, says why, and leaves nothing to deploy."""
    done = run_job(agent, "protect", variables(console) | wrong)

    assert reason in failure(done)
    assert not list(agent.workspace.glob("protected/*.json"))


def test_secrets_are_on_no_command_line_and_in_no_log(agent: Agent, console: Console) -> None:
    """Nobody who sees the log, the process list or the artifacts learns the password."""
    done = run_job(agent, "protect", variables(console))

    assert "generate-fargate-task" in agent.command_lines()
    kept = "".join(path.read_text() for path in agent.workspace.glob("protected/*"))
    assert console.password not in done.stdout + done.stderr + agent.command_lines() + kept


def test_the_bundle_can_stay_in_secrets_manager(agent: Agent, console: Console) -> None:
    """With BARTIZAN_BUNDLE_ARN the bundle is named in the template instead of standing in it."""
    arn = "arn:aws:secretsmanager:eu-west-1:112233445566:secret:bartizan-AbCdEf"

    done = run_job(agent, "protect-stack", variables(console) | {"BARTIZAN_BUNDLE_ARN": arn})

    assert done.returncode == 0, done.stderr
    lines = (agent.workspace / "protected" / "service.yaml").read_text().splitlines()
    at = [number for number, line in enumerate(lines) if line.endswith("Name: INSTALL_BUNDLE")]
    assert [lines[number + 1].split(": ", 1)[1] for number in at] == [arn, arn]
