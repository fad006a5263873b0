"""What lists look like to a person with a terminal and without a browser, against a real Console."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest, DefenderEnd, process_audit, running_console

from bartizan.cli.terminal import aligned, counted, local


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console to which a Defender reported a denial, two miners and what it saw."""
    folder = tmp_path_factory.mktemp("lists")
    with running_console(folder / "data") as running:
        running.sign_up()
        end = DefenderEnd(running, running.bundle(), folder)
        end.connect()
        miner = {"reason": "cryptoMiner", "matched": "xmrig"}
        audits = [process_audit(1), process_audit(2) | miner, process_audit(3) | miner | {"count": 1200}]
        end.send({"type": "audits", "source": end.instance, "container": "web", "audits": audits})
        assert end.receive()["type"] == "ack"
        yield running
        end.close()


@pytest.fixture(scope="module")
def empty_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console to which nobody reported anything."""
    with running_console(tmp_path_factory.mktemp("empty") / "data") as running:
        running.sign_up()
        yield running


def bartizan(console: ConsoleUnderTest, *arguments: str) -> tuple[int, str, str]:
    """Run a command in the time zone of Nepal, and return its exit code and both outputs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARTIZAN_")}
    environment["BARTIZAN_ADDRESS"] = console.url.removesuffix("/api/v1")
    environment["BARTIZAN_CA_FILE"] = str(console.running.ca_file)
    environment |= {"BARTIZAN_USER": USER, "BARTIZAN_PASSWORD": PASSWORD, "TZ": "NPT-5:45"}
    command = [sys.executable, "-m", "bartizan.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_audits_are_lines_in_columns(console: ConsoleUnderTest) -> None:
    """Local time, effect, severity, container and sentence begin at one place; techniques have their names."""
    code, out, err = bartizan(console, "audits", "--limit", "2")
    lines = out.splitlines()
    assert (code, len(lines), err) == (0, 2, "these are 2 of 3 audits; --limit shows more\n")
    assert all(line.startswith("2025-11-21T07:38:20+05:45  prevent high      web  ") for line in lines)
    assert lines[1].endswith("(x1,200) [T1496 Resource Hijacking]")


def test_filters_leave_what_they_say(console: ConsoleUnderTest) -> None:
    """Filters of the API are options; an empty list says so, and no output is written."""
    code, out, err = bartizan(console, "audits", "--effect", "alert")
    assert (code, out, err) == (0, "", "no audits: nothing that a rule speaks of has happened\n")
    assert len(bartizan(console, "audits", "--container", "web", "--json")[1].splitlines()) == 3


def test_an_incident_tells_its_story_and_what_comes_next(console: ConsoleUnderTest) -> None:
    """The list is a table, and one incident has its facts, its audits, and the commands that go on from there."""
    _, out, err = bartizan(console, "incidents", "list")
    head, line = out.splitlines()
    assert (head.split(), err) == (["ID", "FIRST", "STATE", "WHERE", "WHAT", "AUDITS"], "")
    assert line.split() == ["1", "2025-11-21T07:38:20+05:45", "open", "web", "cryptoMiner", "2", "audits"]
    assert line.index("cryptoMiner") == head.index("WHAT")
    _, out, _ = bartizan(console, "incidents", "show", "1")
    assert out.startswith("incident 1: cryptoMiner\n  where   web\n")
    assert "bartizan forensics fetch --app-id shop:1 --container web" in out
    assert json.loads(bartizan(console, "incidents", "show", "1", "--json")[1])["category"] == "cryptoMiner"
    assert bartizan(console, "incidents", "show", "9") == (
        1,
        "",
        "bartizan: there is no incident `9`; `bartizan incidents list --all` lists them\n",
    )


@pytest.mark.parametrize(
    ("command", "nothing"),
    [
        (("profiles",), "nothing was learned yet"),
        (("policy", "learned"), "no rule of the policy was learned"),
        (("forensics", "list"), "no record was fetched yet"),
        (("registry", "list"), "the Console knows no registry"),
        (("custom-rules", "list"), "the library holds no custom rules"),
    ],
)
def test_nothing_is_said_not_shown(empty_console: ConsoleUnderTest, command: tuple[str, ...], nothing: str) -> None:
    """A list of nothing leaves standard output empty, and says on standard error why."""
    code, out, err = bartizan(empty_console, *command)
    assert (code, out) == (0, "")
    assert nothing in err


def test_columns_begin_at_one_place() -> None:
    """Every column is as wide as its widest cell, and no line ends in blanks."""
    assert aligned([("A", "B"), ("long", "x"), ("s", "")]) == ["A     B", "long  x", "s"]


def test_numbers_and_times_read_well() -> None:
    """One is not a plural, thousands are separated, and what is no time stays as it is."""
    assert (counted(1, "audit"), counted(1200, "audit")) == ("1 audit", "1,200 audits")
    assert local("soon\x1b") == "soon\\x1b"
