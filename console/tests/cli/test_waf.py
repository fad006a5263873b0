"""`bartizan waf` against a real Console."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest, DefenderEnd, running_console
from tests.waas.events import MINUTE, NOON, report, request_audit
from tests.waas.policies import PATH, application, rule
from tests.waas.test_rulesets import RELEASE

from bartizan.policy.rulesets import archive_of


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console with a WAAS policy, to which a Defender reported three like events and another one."""
    folder = tmp_path_factory.mktemp("waf")
    with running_console(folder / "data") as running:
        running.sign_up()
        with running.client() as client:
            assert client.put(PATH, json={"rules": [rule("shop", application())]}).status_code == 200
        end = DefenderEnd(running, running.bundle(), folder)
        end.connect()
        like = [request_audit(number, time=NOON + number * MINUTE) for number in (1, 2, 3)]
        other = request_audit(4, time=NOON + 9 * MINUTE, effect="alert", type="xss", message="XSS \x1b[31m")
        report(end, *like, other)
        yield running
        end.close()


def bartizan(console: ConsoleUnderTest, *arguments: str) -> tuple[int, str, str]:
    """Run a command, and return its exit code and both outputs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARTIZAN_")}
    environment["BARTIZAN_ADDRESS"] = console.url.removesuffix("/api/v1")
    environment["BARTIZAN_CA_FILE"] = str(console.running.ca_file)
    environment |= {"BARTIZAN_USER": USER, "BARTIZAN_PASSWORD": PASSWORD, "TZ": "UTC"}
    command = [sys.executable, "-m", "bartizan.cli", "waf", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_a_policy_goes_out_and_comes_in_again(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """What `get` writes, `check` takes and `set` puts in force; a bad one is refused with each problem on a line."""
    file = tmp_path / "waas.json"
    assert bartizan(console, "policy", "get", "--output-file", str(file))[0] == 0
    assert bartizan(console, "policy", "check", str(file)) == (0, f"`{file}` is a WAAS policy of 1 rule\n", "")
    assert bartizan(console, "policy", "set", str(file)) == (0, f"`{file}` is the WAAS policy now\n", "")
    document = json.loads(file.read_text())
    document["rules"][0]["applicationsSpec"][0]["sqli"]["effect"] = "block"
    document["rules"][0]["surprise"] = 1
    file.write_text(json.dumps(document))
    code, out, err = bartizan(console, "policy", "check", str(file))
    assert (code, len(out.splitlines()), "2 problems" in err) == (1, 2, True)
    code, out, err = bartizan(console, "policy", "set", str(file))
    assert (code, out, len(err.splitlines())) == (1, "", 3)
    assert "rules[0].applicationsSpec[0].sqli.effect" in err
    file.write_text("{")
    assert "is no JSON" in bartizan(console, "policy", "set", str(file))[2]


def test_events_are_lines(console: ConsoleUnderTest) -> None:
    """Like events are one line with their count; control characters of an attacker do not reach the terminal."""
    code, out, err = bartizan(console, "events")
    first, second = out.splitlines()
    assert (code, err) == (0, "")
    assert first.endswith("203.0.113.9      GET shop.test/item: SQL injection in the query's value `id` (x3)")
    assert "2025-11-21T12:09:00+00:00  alert   xss" in second
    assert "\x1b" not in out
    assert len(bartizan(console, "events", "--each", "--json")[1].splitlines()) == 4
    assert len(bartizan(console, "events", "--type", "xss")[1].splitlines()) == 1
    assert bartizan(console, "events", "--subnet", "192.0.2.0/24")[1:] == (
        "",
        "no WAAS events: no request was spoken of by a rule\n",
    )


def test_an_exception_is_shown_first_and_then_made(console: ConsoleUnderTest) -> None:
    """`--dry-run` changes nothing; without it the exception is in the policy."""
    place = "queryValues `id`"
    _, out, _ = bartizan(console, "except", "1", "--dry-run")
    assert out == f"{place} would be left out of sqli for `storefront` of the rule `shop`\n"
    _, out, _ = bartizan(console, "except", "1")
    assert out == f"{place} is left out of sqli for `storefront` of the rule `shop`\n"
    assert bartizan(console, "except", "1")[0] == 1


def test_a_document_becomes_an_api_spec(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """It is read offline, and a document that is none has one error."""
    file = tmp_path / "openapi.yaml"
    file.write_text("openapi: 3.0.0\npaths: {/a: {get: {}}}\n")
    code, out, _ = bartizan(console, "api-spec", str(file))
    assert (code, json.loads(out)["paths"][0]["path"]) == (0, "/a")
    file.write_text("paths: {}")
    code, out, err = bartizan(console, "api-spec", str(file))
    assert (code, out, "this is no OpenAPI document" in err) == (1, "", True)


def test_rules_are_imported_from_a_folder_or_an_archive(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Both ways come to the same set; one that is no release is refused before anything is sent."""
    folder, archive = tmp_path / "release", tmp_path / "release.zip"
    for name, content in RELEASE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    archive.write_bytes(archive_of(RELEASE))
    code, out, err = bartizan(console, "rules", "import", str(folder))
    assert (code, out.startswith("Core Rule Set 4.25.0, 5 files, is in use as "), err) == (0, True, "")
    assert bartizan(console, "rules", "import", str(archive))[1] == out
    head, line = bartizan(console, "rules", "list")[1].splitlines()
    assert (head.split()[0], line.split()[1:4]) == ("HASH", ["4.25.0", "5", "yes"])
    name = line.split()[0]
    assert bartizan(console, "rules", "use", "built-in")[1] == "Defenders judge by the rules that they come with now\n"
    assert bartizan(console, "rules", "list")[1].splitlines()[1].split()[3] == "no"
    assert "is kept as" in bartizan(console, "rules", "import", "--keep-only", str(folder))[1]
    assert bartizan(console, "rules", "use", name)[1].startswith(f"Defenders judge by {name}")
    assert "no set of rules begins with `zz`" in bartizan(console, "rules", "use", "zz")[2]
    assert len(bartizan(console, "rules", "list", "--json")[1].splitlines()) == 1
    with (folder / "crs/rules/REQUEST-942.conf").open("a") as rules:
        rules.write('SecRule ARGS "@rx (?<!a)b" "id:942130,phase:2,block"\n')
    *_, said, left_out = bartizan(console, "rules", "import", str(folder))[1].splitlines()
    assert said == "1 of its rules are not judged:"
    assert re.fullmatch(r"  942130  REQUEST-942.conf:\d+: look-behinds need more than linear time", left_out)
    (folder / "crs/rules/words.data").unlink()
    code, _, err = bartizan(console, "rules", "import", str(folder))
    assert (code, "`words.data` is missing" in err) == (1, True)
    assert "cannot be read" in bartizan(console, "rules", "import", str(tmp_path / "nothing"))[2]
