"""`bartizan waf test`: against a real Defender where it is built, and against one that says what a test wants."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waas.policies import application, certificate_pair, rule, tls

from bartizan.cli.waf_request import on_the_wire
from bartizan.cli.waf_trial import told

ATTACK = b"GET /item?id=1%27%20or%201=1-- HTTP/1.1\nHost: shop.test\n\n"
REPORT = {
    "effect": "prevent",
    "type": "sqli",
    "message": "SQL injection",
    "field": {"type": "query", "key": "id", "value": "1' or 1=1--"},
    "rules": [942100, 942999],
    "messages": ["SQL Injection Attack Detected via libinjection", ""],
    "score": 5,
}
REFUSED = {"outcome": "refused", "stage": "head", "status": 403, "application": "storefront", "reports": [REPORT]}
PASS = {"outcome": "pass", "status": None, "application": "storefront", "reports": []}


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """Return a program that notes what it is asked, and answers with what stands in `answer`."""
    program = tmp_path / "defender"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, shutil, sys\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "words = sys.argv[1:]\n"
        "policy = words[words.index('--policy') + 1]\n"
        "(here / 'asked').write_text(' '.join(words))\n"
        "(here / 'mode').write_text(oct(os.stat(policy).st_mode & 0o777))\n"
        "shutil.copy(policy, here / 'seen.json')\n"
        "(here / 'request').write_bytes(sys.stdin.buffer.read())\n"
        "sys.stdout.write((here / 'answer').read_text())\n"
        "if (here / 'error').exists():\n"
        "    sys.exit((here / 'error').read_text().replace('FILE', policy))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "answer").write_text(json.dumps(PASS))
    (tmp_path / "request.http").write_bytes(ATTACK)
    (tmp_path / "waas.json").write_text(json.dumps({"rules": [rule("shop", application())]}))
    return program


def bartizan(folder: Path, *arguments: str, binary: Path | None, path: str = "/nowhere") -> tuple[int, str, str]:
    """Run `bartizan waf test` in a folder, and return its exit code and both outputs."""
    environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PATH": path, "TMPDIR": str(folder)}
    environment |= {"BARTIZAN_DEFENDER": str(binary)} if binary else {}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "bartizan.cli", "waf", "test", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60, stdin=-3
    )
    return done.returncode, done.stdout, done.stderr


def test_the_policy_is_resolved_and_gone_after(fake: Path, tmp_path: Path) -> None:
    """The Defender gets the one rule as from a Console, without keys, in a file of its owner that is gone after."""
    secured = tls("".join(certificate_pair()))
    (tmp_path / "waas.json").write_text(json.dumps({"rules": [rule("shop", application(appID="plain"), secured)]}))
    before = set(tmp_path.iterdir())
    options = ("--port", "8443", "--from", "192.0.2.7", "--rules", "crs")
    code, out, err = bartizan(tmp_path, "--policy", "waas.json", *options, "request.http", binary=fake)
    assert (code, out.splitlines()[0], err) == (0, "let through", "")
    assert (tmp_path / "mode").read_text() == "0o600"
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert (seen["version"], seen["rule"], len(seen["applications"])) == (1, "shop", 2)
    assert "PRIVATE KEY" not in (tmp_path / "seen.json").read_text()
    assert (tmp_path / "asked").read_text().endswith("--from 192.0.2.7 --port 8443 --rules crs")
    assert (tmp_path / "request").read_bytes() == ATTACK.replace(b"\n", b"\r\n")
    left = {path.name for path in set(tmp_path.iterdir()) - before}
    assert left == {"asked", "mode", "seen.json", "request"}


def test_what_is_stopped_ends_with_3(fake: Path, tmp_path: Path) -> None:
    """A refused request is told with effect, application, place, points and rules, and the exit code is 3."""
    (tmp_path / "answer").write_text(json.dumps(REFUSED))
    code, out, err = bartizan(tmp_path, "--policy", "waas.json", "request.http", binary=fake)
    assert (code, err) == (3, "")
    assert out.splitlines() == [
        "refused with 403, when its head was read",
        "rule `shop`, application `storefront`",
        "prevent sqli: SQL injection",
        "  in query `id`: 1' or 1=1--",
        "  score 5",
        "  942100  SQL Injection Attack Detected via libinjection",
        "  942999",
    ]
    code, out, _ = bartizan(tmp_path, "--policy", "waas.json", "--json", "request.http", binary=fake)
    assert (code, json.loads(out)) == (3, REFUSED)
    (tmp_path / "answer").write_text(
        json.dumps({"outcome": "malformed", "status": 400, "problem": "bare CR", "reports": []})
    )
    code, out, _ = bartizan(tmp_path, "--policy", "waas.json", "request.http", binary=fake)
    assert (code, out) == (3, "refused with 400: this is no request that is passed on: bare CR\n")


@pytest.mark.parametrize(
    ("arguments", "rules", "found"),
    [
        ((), ["off", "one", "two"], "one"),
        (("--rule", "two"), ["one", "two"], "two"),
        (("--rule", "off"), ["one", "off"], "off"),
        (("--app-id", "two:7"), ["one", "two"], "two"),
        (("--app-id", "three"), ["one", "two"], None),
    ],
)
def test_which_rule_counts(
    fake: Path, tmp_path: Path, arguments: tuple[str, ...], rules: list[str], found: str | None
) -> None:
    """The first enabled rule, the named one, or the one that covers an App ID as at the Console."""
    made = [
        rule(name, application(), collections=[{"name": name, "appIDs": [f"{name}*"]}], disabled=name == "off")
        for name in rules
    ]
    (tmp_path / "waas.json").write_text(json.dumps({"rules": made}))
    code, out, _ = bartizan(tmp_path, "--policy", "waas.json", *arguments, "request.http", binary=fake)
    assert (code, json.loads((tmp_path / "seen.json").read_text())["rule"]) == (0, found)
    assert ("nothing is looked at" in out) == (found is None)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("{", "`waas.json` is not taken"),
        (json.dumps({"rules": [rule("a", application(sqli={"effect": "bann"}))]}), "applicationsSpec[0].sqli.effect"),
        (json.dumps({"rules": []}), "the policy has no rule that is not disabled; its rules: none"),
        (
            json.dumps({"rules": [rule("a", application(networkControls={"exceptionSubnets": ["office"]}))]}),
            "rules[0].applicationsSpec[0].networkControls.exceptionSubnets[0]: there is no network list `office`",
        ),
    ],
)
def test_a_bad_policy_is_told_with_its_place(fake: Path, tmp_path: Path, policy: str, said: str) -> None:
    """Nothing is asked of the Defender; what is wrong, and where, is on standard error."""
    (tmp_path / "waas.json").write_text(policy)
    code, out, err = bartizan(tmp_path, "--policy", "waas.json", "request.http", binary=fake)
    assert (code, out) == (1, "")
    assert said in err
    assert not (tmp_path / "asked").exists()


def test_network_lists_come_from_a_file(fake: Path, tmp_path: Path) -> None:
    """What the API gives of network lists makes their names known."""
    policy = {"rules": [rule("a", application(networkControls={"exceptionSubnets": ["office"]}))]}
    (tmp_path / "waas.json").write_text(json.dumps(policy))
    (tmp_path / "lists.json").write_text(json.dumps([{"_id": "office", "subnets": ["192.0.2.0/24"]}]))
    arguments = ("--policy", "waas.json", "--networks", "lists.json", "request.http")
    assert bartizan(tmp_path, *arguments, binary=fake)[0] == 0
    assert json.loads((tmp_path / "seen.json").read_text())["networkLists"] == {"office": ["192.0.2.0/24"]}


def test_what_is_missing_is_said(fake: Path, tmp_path: Path) -> None:
    """No Defender, no request, an empty one, two inputs at once, both ways to choose a rule: one line each."""
    asked = ("--policy", "waas.json", "request.http")
    assert "there is no Defender to ask: give its binary" in bartizan(tmp_path, *asked, binary=None)[2]
    assert "there is no Defender `" in bartizan(tmp_path, *asked, binary=tmp_path / "nothing")[2]
    (tmp_path / "broken").write_text("")
    assert "cannot be run: Permission denied" in bartizan(tmp_path, *asked, binary=tmp_path / "broken")[2]
    assert bartizan(tmp_path, *asked, binary=None, path=str(tmp_path))[0] == 0
    (tmp_path / "request.http").write_bytes(b"\n")
    assert "`request.http` is empty" in bartizan(tmp_path, *asked, binary=fake)[2]
    assert "cannot be read" in bartizan(tmp_path, "--policy", "waas.json", "none.http", binary=fake)[2]
    assert "cannot both come" in bartizan(tmp_path, "--policy", "-", "-", binary=fake)[2]
    both = bartizan(tmp_path, *asked, "--rule", "a", "--app-id", "b", binary=fake)
    assert (both[0], "not both" in both[2]) == (1, True)


def test_a_defender_that_fails_is_heard(fake: Path, tmp_path: Path) -> None:
    """Its own words are shown without the name of a file that is gone; so is a program that is no Defender."""
    (tmp_path / "error").write_text("bartizan: `FILE`: `applications[0].x` is bad")
    code, _, err = bartizan(tmp_path, "--policy", "waas.json", "request.http", binary=fake)
    assert (code, err) == (1, "bartizan: the Defender cannot say: `the policy`: `applications[0].x` is bad\n")
    (tmp_path / "error").unlink()
    (tmp_path / "answer").write_text("hello")
    assert "it ended with 0" in bartizan(tmp_path, "--policy", "waas.json", "request.http", binary=fake)[2]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (b"GET / HTTP/1.1\nHost: a", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx\ny", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx\ny"),
        (b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n"),
        (b"POST / HTTP/1.1\n\na=1&b=2\n", b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\na=1&b=2"),
        (b"POST / HTTP/1.1\ncontent-length: 3\n\na\nb\n", b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\na\nb\n"),
        (b"POST / HTTP/1.1\n\n{\r\n}\n", b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{\r\n}"),
        (
            b"POST / HTTP/1.1\nContent-Type: multipart/form-data; boundary=x\n\n--x\n\na\n--x--\n",
            (
                b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                b"Content-Length: 15\r\n\r\n--x\r\n\r\na\r\n--x--"
            ),
        ),
        (
            b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\na\n0\n\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        ),
    ],
)
def test_files_written_by_hand_become_requests(written: bytes, sent: bytes) -> None:
    """Files with LF get what HTTP asks for; files with CRLF, also mixed ones, stay to the byte."""
    assert on_the_wire(written) == sent


@given(st.binary(max_size=200))
def test_what_has_crlf_is_never_touched(rest: bytes) -> None:
    """Whatever follows a first line that ends with CRLF, a bypass that is tried arrives as it was written."""
    raw = b"GET / HTTP/1.1\r\n" + rest
    assert on_the_wire(raw) == raw


def test_rules_that_are_not_judged_are_named() -> None:
    """Whoever tries rules of their own sees which of them say nothing, and why."""
    left_out = [{"rule": 942130, "file": "a.conf", "line": 7, "reason": "look-aheads need more than linear time"}]
    lines = told({**REFUSED, "rulesLeftOut": left_out}, {"rule": "r"}).splitlines()
    assert lines[-2:] == [
        "1 of the rules are not judged:",
        "  942130  a.conf:7: look-aheads need more than linear time",
    ]


def test_nothing_of_a_request_steers_a_terminal() -> None:
    """Control characters that an attacker sent are shown as escapes, and long values are cut."""
    field = {"type": "query", "key": "\x1b[2J", "value": "\x1b[31m" + "a" * 500}
    report: dict[str, Any] = {**REPORT, "message": "x\x07", "field": field}
    text = told({**REFUSED, "reports": [report]}, {"rule": "r\x1b"})
    assert "\x1b" not in text
    assert "\x07" not in text
    assert max(map(len, text.splitlines())) < 250
