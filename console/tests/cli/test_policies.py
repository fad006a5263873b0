"""`bartizan policy` and `bartizan custom-rules` against a real Console, and without one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest, running_console

RULE = {"_id": 3, "name": "no shells", "type": "processes", "script": 'proc.name\n= "sh"', "message": "no"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console with an administrator."""
    with running_console(tmp_path_factory.mktemp("console") / "data") as running:
        running.sign_up()
        yield running


def bartizan(*arguments: str, console: ConsoleUnderTest | None = None, given: str = "") -> tuple[int, str, str]:
    """Run a command, and return its exit code and both outputs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARTIZAN_")}
    if console is not None:
        environment["BARTIZAN_ADDRESS"] = console.url.removesuffix("/api/v1")
        environment["BARTIZAN_CA_FILE"] = str(console.running.ca_file)
        environment |= {"BARTIZAN_USER": USER, "BARTIZAN_PASSWORD": PASSWORD}
    done = subprocess.run(
        [sys.executable, "-m", "bartizan.cli", *arguments],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_policy_is_checked_without_a_console() -> None:
    """Every problem is a line of its own; a right policy says so."""
    wrong = {"rules": [{"name": "r", "processes": {"effect": "block"}, "filesystem": {"blacklist": ["etc"]}}]}
    code, out, err = bartizan("policy", "check", "-", given=json.dumps(wrong))
    assert (code, err) == (1, "bartizan: `-` has 2 problems\n")
    assert [line.split("`")[1] for line in out.splitlines()] == ["r", "r"]
    assert "use `prevent`" in out
    right = {"rules": [{"name": "r", "detections": {"reverseShell": "prevent"}}]}
    assert bartizan("policy", "check", "-", given=json.dumps(right)) == (
        0,
        "`-` is a runtime policy of 1 rule\n",
        "",
    )


def test_custom_rules_go_in_are_listed_and_go(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """What `list --json` writes, `put` takes again; a rule in use cannot be removed, and the error names its users."""
    file = tmp_path / "rules.json"
    file.write_text(json.dumps([RULE]))
    assert bartizan("custom-rules", "put", str(file), console=console) == (0, "", "custom rule 3 is kept\n")
    code, out, _ = bartizan("custom-rules", "list", console=console)
    assert (code, out) == (
        0,
        "ID  TYPE       NAME       SCRIPT\n" + '3   processes  no shells  proc.name = "sh"\n',
    )
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"rules": [{"name": "shop", "customRules": [{"_id": 3, "effect": "prevent"}]}]}))
    assert bartizan("policy", "put", str(policy), console=console)[0] == 0
    code, _, err = bartizan("custom-rules", "delete", "3", console=console)
    assert (code, err) == (
        1,
        "bartizan: the Console refused: custom rule `no shells` is used by `shop`: detach it there first\n",
    )
    _, listed, _ = bartizan("custom-rules", "list", "--json", console=console)
    assert bartizan("custom-rules", "put", "-", console=console, given=listed)[0] == 0
    policy.write_text('{"rules": []}')
    assert bartizan("policy", "put", str(policy), console=console)[0] == 0
    assert bartizan("custom-rules", "delete", "3", console=console) == (0, "", "custom rule 3 is removed\n")


def test_a_refused_policy_is_told_problem_by_problem(console: ConsoleUnderTest) -> None:
    """`put` shows every problem as a line with its place, then what became of it, and ends with 1."""
    wrong = {"rules": [{"name": "r", "filesystem": {"whitelist": ["etc", "/x"]}, "dns": {"blacklist": ["10.0.0.1"]}}]}
    code, out, err = bartizan("policy", "put", "-", console=console, given=json.dumps(wrong))
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "rule `r`: filesystem.whitelist[0]: `etc` is no absolute path: write `/etc`, or `*/etc` for it in any folder",
        "rule `r`: dns.blacklist[0]: `10.0.0.1` can never match: it is an address, put it in a list of `network`",
        "bartizan: the Console refused this for 2 problems, one a line above",
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "is no JSON"),
        ('[{"name": "a"}]', "rule 1 has no number in `_id`"),
        (json.dumps([RULE, {**RULE, "_id": 4, "script": "proc.name"}]), "rule 4: script: column 10"),
    ],
)
def test_wrong_rules_are_not_sent(text: str, named: str) -> None:
    """All rules of a file are checked before the first is sent."""
    code, _, err = bartizan("custom-rules", "put", "-", given=text)
    assert code == 1
    assert named in err


def test_a_policy_is_kept_as_code(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Pull, plan, apply: a plan changes nothing, is exact, and is refused once the policy is another one."""
    file = tmp_path / "policy.yaml"
    file.write_text("rules: []\n")
    assert bartizan("policy", "apply", str(file), console=console)[0] == 0
    file.write_text("# ours\nrules:\n- name: shop\n  processes: {effect: prevent, blacklist: [curl]}\n")
    code, out, err = bartizan("policy", "plan", str(file), console=console)
    assert (code, out.splitlines()[0]) == (2, "added rule `shop`, at place 1")
    assert "  +   blacklist:\n  +   - curl\n" in out
    revision = err.split()[-1]
    assert bartizan("policy", "get", console=console)[1].count("shop") == 0
    apply = ("policy", "apply", str(file), "--revision", revision, "--comment", "no curl")
    assert bartizan(*apply, console=console)[0] == 0
    code, _, err = bartizan("policy", "plan", str(file), console=console)
    assert (code, err.startswith("no changes")) == (0, True)
    code, _, err = bartizan("policy", "pull", str(file), console=console)
    assert (code, file.read_text().startswith("# ours")) == (0, True)
    file.write_text("rules:\n- {name: shop}\n- {name: rest}\n")
    code, _, err = bartizan("policy", "apply", str(file), "--revision", revision, console=console)
    assert (code, "the policy was changed by `admin`" in err) == (1, True)
    assert bartizan("policy", "pull", str(file), console=console)[0] == 1
    assert bartizan("policy", "pull", "--force", str(file), console=console)[0] == 0
    assert file.read_text() == ("rules:\n- name: shop\n  processes:\n    effect: prevent\n    blacklist:\n    - curl\n")
    file.write_text("rules:\n- {name: shop, processes: {effect: block}}\n")
    code, out, err = bartizan("policy", "plan", str(file), console=console)
    assert (code, out) == (1, "")
    assert "use `prevent`" in err
