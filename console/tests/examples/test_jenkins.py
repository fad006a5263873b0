"""The Jenkinsfile's shell steps, as the file says, against a real Console."""

import subprocess

import pytest
from tests.examples.agent import DEPLOYED, Agent
from tests.examples.conftest import DEFENDERS_CALL_IT, Console
from tests.examples.jenkins import JENKINSFILE, Token, environment, run_step, shell_steps, tokens

SOURCE = JENKINSFILE.read_text()
STEPS = shell_steps(SOURCE)
# The step of the page that users come from ("Jenkins Fargate example"), as it stands there.
VENDOR_STEP = (
    "curl -s -k -u $TL_USER:$TL_PASS https://$TL_CONSOLE/api/v1/defenders/fargate.json?consoleaddr=$TL_CONSOLE "
    '-X POST -H "Content-Type:application/json" --data-binary "@fargate.json" | jq . > tw_fargate.json'
)


def variables(console: Console) -> dict[str, str]:
    """Return what Jenkins sets: its global variables, `withCredentials` and `withEnv`."""
    given = {
        "BARTIZAN_CONSOLE": console.host,
        "BARTIZAN_CONSOLE_HOST": DEFENDERS_CALL_IT,
        "BARTIZAN_USER": console.user,
        "BARTIZAN_PASSWORD": console.password,
        "BARTIZAN_CA_FILE": str(console.ca_file),
    }
    return given | environment(SOURCE)


def run_stages(agent: Agent, given: dict[str, str], *stages: str) -> subprocess.CompletedProcess[str]:
    """Run stages in their order; give back the first that fails, else the last."""
    for stage in stages:
        done = run_step(agent, STEPS[stage], given)
        if done.returncode:
            break
    return done


def test_the_stages_are_those_that_the_other_tests_run() -> None:
    """A stage that is added is tested too."""
    assert list(STEPS) == ["Protect", "Keep the diff", "Deploy"]


def test_the_pipeline_registers_what_it_protected(agent: Agent, console: Console) -> None:
    """All stages together end with the task definition in AWS, sidecar inside, and a diff beside it."""
    done = run_stages(agent, variables(console), *STEPS)

    assert done.returncode == 0, done.stderr
    assert agent.deployed() == DEPLOYED
    assert "+" in (agent.workspace / "protected" / "fargate.json.diff").read_text()


def test_the_stages_take_a_template_as_well(agent: Agent, console: Console) -> None:
    """With another name in `withEnv` the same stages protect a template, and keep its format."""
    given = variables(console) | {"DEFINITION": "service.yaml", "PROTECTED": "protected/service.yaml"}

    done = run_stages(agent, given, "Protect", "Keep the diff")
    gate = agent.run(["sh", "-xe"], 'bartizan app-embedded verify "$PROTECTED"', given)

    assert done.returncode == 0, done.stderr
    assert gate.returncode == 0, gate.stderr
    protected = (agent.workspace / "protected" / "service.yaml").read_text()
    assert "# The labels are drawn here; the image is read-only." in protected
    assert protected.count("- Name: BartizanDefender") == 2


def test_deploying_another_file_than_the_protected_one_fails(agent: Agent, console: Console) -> None:
    """The mistake of naming the unprotected file stops the stage before AWS hears of it."""
    given = variables(console)
    assert run_stages(agent, given, "Protect", "Keep the diff").returncode == 0

    done = run_stages(agent, given | {"PROTECTED": "fargate.json"}, "Deploy")

    assert done.returncode != 0
    assert "missingSidecar" in done.stderr
    assert agent.deployed() == {}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"BARTIZAN_PASSWORD": "wrong-and-secret"}, '{"err":"'),
        ({"BARTIZAN_CA_FILE": "/etc/ssl/certs/ca-certificates.crt"}, "certificate"),
        ({"BARTIZAN_CONSOLE_HOST": "elsewhere.example.com"}, "is not among the names of the Console's certificate"),
    ],
)
def test_what_goes_wrong_fails_the_stage_with_its_reason(
    agent: Agent, console: Console, wrong: dict[str, str], reason: str
) -> None:
    """A refusal of the Console ends the build in its words, and is not mistaken for a definition."""
    done = run_stages(agent, variables(console) | wrong, "Protect")

    assert done.returncode != 0
    assert reason in done.stdout + done.stderr
    assert not list(agent.workspace.glob("protected/*.json"))


def test_secrets_are_on_no_command_line_and_in_no_log(agent: Agent, console: Console) -> None:
    """Though Jenkins runs steps with -x, neither the log nor the process list learns the password."""
    done = run_stages(agent, variables(console), "Protect")

    assert done.returncode == 0
    assert "--data-binary" in agent.command_lines()
    assert console.password not in done.stdout + done.stderr + agent.command_lines()
    assert "long:" not in done.stdout + done.stderr
    assert "Authorization" not in agent.command_lines()


def test_the_pipeline_of_the_vendors_page_works_unchanged(agent: Agent, console: Console) -> None:
    """With other values for host and credentials alone, the known pipeline gives a definition that passes the gate."""
    token = {"TL_USER": console.user, "TL_PASS": console.password, "TL_CONSOLE": console.host}

    done = run_step(agent, VENDOR_STEP, token)
    gate = agent.run(["sh", "-xe"], "bartizan app-embedded verify tw_fargate.json", {})

    assert done.returncode == 0, done.stderr
    assert gate.returncode == 0, gate.stderr
    # What ours does better, and proof that the tests for it would notice.
    assert console.password in agent.command_lines()
    assert console.user in done.stderr


def test_the_log_would_have_the_password_without_care(agent: Agent, console: Console) -> None:
    """The step switches off -x; without that, Jenkins's log has what the step works with."""
    careless = STEPS["Protect"].replace("set +x", "true")

    done = run_step(agent, careless, variables(console))

    assert done.returncode == 0
    assert "long:" in done.stderr


@pytest.mark.parametrize(
    ("source", "scripts"),
    [
        ("stage('A') { sh 'x' }", {"A": "x"}),
        ("stage('A') { sh '''a \\\n b''' }", {"A": "a  b"}),
        ("stage('A') { sh 'it\\'s' } // sh 'not this'", {"A": "it's"}),
        ("stage('A') { echo 'sh' }", {}),
    ],
)
def test_shell_steps_are_read_as_groovy_reads_them(source: str, scripts: dict[str, str]) -> None:
    """Escapes, continued lines and comments are Groovy's."""
    assert shell_steps(source) == scripts


@pytest.mark.parametrize("source", ["node {", "node { ) }", "node { stage('a') { }"])
def test_brackets_that_do_not_pair_up_are_noticed(source: str) -> None:
    """The reader is no Groovy compiler, but it sees a lost bracket."""
    with pytest.raises(AssertionError):
        tokens(source)


def test_credentials_come_from_jenkins() -> None:
    """Every variable that holds a secret is bound by `withCredentials`, none by `withEnv`."""
    bound = [Token("text", name) for name in ("BARTIZAN_USER", "BARTIZAN_PASSWORD", "BARTIZAN_CA_FILE")]

    assert all(name in tokens(SOURCE) for name in bound)
    assert sorted(environment(SOURCE)) == ["DEFINITION", "PROTECTED"]
