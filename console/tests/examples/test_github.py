"""The GitHub workflow and its action, step by step as their files say, against a real Console."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from tests.examples.agent import DEPLOYED, DEPLOYED_STACK, Agent
from tests.examples.conftest import Console
from tests.examples.github import ACTION, EXPRESSION, WORKFLOW, Runner, StepFailedError, read

ARN = "arn:aws:secretsmanager:eu-west-1:112233445566:secret:bartizan-AbCdEf"


@pytest.fixture
def runner(agent: Agent, console: Console) -> Runner:
    """Give a runner with the repository's variables and secrets."""
    variables = {
        "BARTIZAN_ADDRESS": console.address,
        "BARTIZAN_CONSOLE_HOST": "console.example.com",
        "BARTIZAN_CA": console.ca_file.read_text(),
        "BARTIZAN_BUNDLE_ARN": ARN,
        "BARTIZAN_PACKAGE": "",
        "AWS_ROLE": "arn:aws:iam::112233445566:role/deploy",
        "AWS_REGION": "eu-west-1",
    }
    secrets = {"BARTIZAN_USER": console.user, "BARTIZAN_PASSWORD": console.password}
    return Runner(agent, {"vars": variables, "secrets": secrets})


def inputs(console: Console, **given: str) -> dict[str, str]:
    """Return inputs of the action."""
    plain = {"file": "fargate.json", "address": console.address, "console-host": "console.example.com"}
    return plain | {"user": console.user, "password": console.password, "ca": console.ca_file.read_text()} | given


@pytest.mark.parametrize(
    ("job", "deployed"),
    [("task-definition", DEPLOYED), ("stack", DEPLOYED_STACK)],
)
def test_the_workflow_registers_what_it_protected(runner: Runner, job: str, deployed: dict[str, list[str]]) -> None:
    """Each job ends with its task definitions in AWS, sidecar inside, and the diff kept."""
    runner.run_job(job)

    assert runner.agent.deployed() == deployed
    (diff,) = runner.artifacts
    assert "+" in {line[:1] for line in diff.read_text().splitlines()}
    assert "BartizanDefender" in diff.read_text()


@pytest.mark.parametrize("job", ["task-definition", "stack"])
def test_deploying_another_file_than_the_protected_one_fails(runner: Runner, job: str) -> None:
    """The mistake of registering the unprotected file stops the job before AWS hears of it."""
    deploy = next(step for step in read(WORKFLOW)["jobs"][job]["steps"] if step.get("name") == "Deploy")
    wrong = 'DEFINITION="$(basename "$DEFINITION")"\n' + deploy["run"]

    with pytest.raises(StepFailedError, match=r"(?s)Deploy: 1.*missingSidecar"):
        runner.run_job(job, changed={"Deploy": wrong})

    assert runner.agent.deployed() == {}


def test_the_action_fails_when_the_result_is_not_protected(runner: Runner, console: Console) -> None:
    """The action has a gate of its own: a program that writes nothing of ours does not pass it."""
    program = runner.agent.programs / "bartizan"
    real = program.with_name("real-bartizan")
    program.rename(real)
    program.write_text(
        '#!/bin/sh\ncase "$2" in generate-fargate-task) cp fargate.json protected/fargate.json ;;\n'
        f'*) exec {real} "$@" ;; esac\n'
    )
    program.chmod(0o755)

    with pytest.raises(StepFailedError, match="missingSidecar"):
        runner.run_action(ACTION, inputs(console))


def test_a_refusal_fails_the_step_with_its_reason(runner: Runner, console: Console) -> None:
    """What the command line refuses ends the job, in its words, with no file left that could be deployed."""
    (runner.agent.workspace / "fargate.json").write_text('{"family": "x", "containerDefinitions": [{"name": "web"}]}')

    with pytest.raises(StepFailedError, match=r"`fargate\.json` is not protected"):
        runner.run_action(ACTION, inputs(console))

    assert not (runner.agent.workspace / "protected" / "fargate.json").exists()


def test_parameters_come_from_the_file_of_the_deployment(runner: Runner, console: Console) -> None:
    """What only a deployment knows of an image is taken from the parameter file; then its registry would be asked."""
    template = runner.agent.workspace / "service.yaml"
    template.write_text(template.read_text().replace("EntryPoint: [/usr/bin/python3, -m, shop.web]", "Essential: true"))
    given = inputs(console, file="service.yaml")

    with pytest.raises(StepFailedError, match=r"give `AWS::AccountId` and `AWS::Region`"):
        runner.run_action(ACTION, given)
    with pytest.raises(StepFailedError, match=r"112233445566\.dkr\.ecr\.eu-west-1\.amazonaws\.com/shop/web:1\.4\.2"):
        runner.run_action(ACTION, given | {"parameters-file": "parameters.json"})


def test_wrong_credentials_fail_the_step(runner: Runner, console: Console) -> None:
    """A wrong password is a refusal, and does not stand in the log."""
    with pytest.raises(StepFailedError, match="the Console refused"):
        runner.run_action(ACTION, inputs(console, password="wrong-and-secret"))

    assert "wrong-and-secret" not in runner.log + runner.agent.command_lines()


def test_secrets_are_on_no_command_line_and_in_no_log(runner: Runner, console: Console) -> None:
    """Nobody who sees the log or the process list learns the password; the bundle stays in AWS's secret."""
    runner.run_job("task-definition")

    seen = runner.log + runner.agent.command_lines()
    assert console.password not in seen
    assert "generate-fargate-task" in seen
    protected = json.loads((runner.agent.workspace / "protected" / "fargate.json").read_text())
    sidecar = protected["containerDefinitions"][-1]
    assert sidecar["secrets"] == [{"name": "INSTALL_BUNDLE", "valueFrom": ARN}]
    assert "INSTALL_BUNDLE" not in [item["name"] for item in sidecar["environment"]]


def test_inputs_with_spaces_and_quotes_stay_one_word(runner: Runner, console: Console) -> None:
    """A file name is a name, whatever stands in it: nothing of it is run."""
    name = "it's $(touch owned) `touch owned` ;touch owned.json"
    (runner.agent.workspace / "fargate.json").rename(runner.agent.workspace / name)

    outputs = runner.run_action(ACTION, inputs(console, file=name))

    assert outputs["file"] == f"protected/{name}"
    assert (runner.agent.workspace / outputs["file"]).is_file()
    assert not (runner.agent.workspace / "owned").exists()


@pytest.mark.parametrize("path", [ACTION, WORKFLOW])
def test_no_script_has_an_expression_in_it(path: Path) -> None:
    """The runner pastes expressions into scripts as they are: an input could hold a command."""
    document = read(path)
    steps = document["runs"]["steps"] if path == ACTION else [s for j in document["jobs"].values() for s in j["steps"]]
    scripts = [step["run"] for step in steps if "run" in step]

    assert scripts
    assert not [script for script in scripts if EXPRESSION.search(script)]


def test_the_command_line_is_installed_where_it_is_missing(runner: Runner, tmp_path: Path) -> None:
    """On a runner without `bartizan` the package is installed beside the job, and later steps find it."""
    runner.agent.programs.joinpath("bartizan").unlink()
    wheel = _wheel(tmp_path)
    install = next(step for step in read(ACTION)["runs"]["steps"] if step["name"] == "Install Bartizan")
    path = tmp_path / "GITHUB_PATH"
    given = {"PACKAGE": str(wheel), "TEMPORARY": str(tmp_path), "GITHUB_PATH": str(path), "PIP_NO_INDEX": "1"}
    given["PATH"] = f"{runner.agent.programs}:/usr/bin:/bin"

    done = runner.agent.run(["bash", "-eo", "pipefail"], install["run"], given)

    assert done.returncode == 0, done.stderr
    installed = Path(path.read_text().strip()) / "bartizan"
    assert subprocess.run([installed], capture_output=True, text=True, check=True).stdout == "installed\n"


def test_a_missing_package_is_said(runner: Runner, tmp_path: Path) -> None:
    """Without `bartizan` and without a package the step says which input is missing."""
    runner.agent.programs.joinpath("bartizan").unlink()
    install = next(step for step in read(ACTION)["runs"]["steps"] if step["name"] == "Install Bartizan")
    given = {"PACKAGE": "", "TEMPORARY": str(tmp_path), "PATH": f"{runner.agent.programs}:/usr/bin:/bin"}

    done = runner.agent.run(["bash", "-eo", "pipefail"], install["run"], given)

    assert done.returncode != 0
    assert "give the input package" in done.stderr


def _wheel(folder: Path) -> Path:
    """Return a package with a program `bartizan` and nothing to fetch (PyPA, "Binary distribution format")."""
    info = "bartizan_stand_in-1.dist-info"
    path = folder / "bartizan_stand_in-1-py3-none-any.whl"
    files = {
        "bartizan_stand_in.py": "def main():\n    print('installed')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: bartizan-stand-in\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nbartizan = bartizan_stand_in:main\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return path
