"""The guide `docs/how-to/protect-a-web-app.md`: its commands, run against a real Console, print what it shows."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest, DefenderEnd, running_console
from tests.waas.discovery import endpoint, tell
from tests.waas.events import MINUTE, NOON, report, request_audit
from tests.waas.test_rulesets import RELEASE

from bartizan.policy.rulesets import archive_of

PAGE = Path(__file__).parents[3] / "docs/how-to/protect-a-web-app.md"
TEXT = PAGE.read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*[,\\]\n)*.*\n)(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
HASH = re.compile(r"\b[0-9a-f]{64}\b")
VENDOR = {
    "rules": [
        {
            "name": "shop",
            "applicationsSpec": [
                {
                    "appID": "storefront",
                    "apiSpec": {"endpoints": [{"exposedPort": 80, "internalPort": 8080}]},
                    "sqli": {"effect": "reCAPTCHA"},
                    "remoteHostForwarding": {"enabled": True, "target": "shop.example"},
                }
            ],
        }
    ]
}
# 2026-11-21T22:49:00Z, when the guide's operations were seen.
SEEN = 1_795_301_340_000
# In place of a Defender: it finds what the guide shows. The end-to-end tests ask a real one.
DEFENDER = f"""#!{sys.executable}
import json, sys
words = sys.argv
policy = json.load(open(words[words.index("--policy") + 1]))
raw = sys.stdin.buffer.read()
assert b"Content-Length: 32\\r\\n\\r\\nuser=admin' or '1'='1&note=hello" in raw, raw
(application,) = policy["applications"]
json.dump({{"outcome": "pass", "status": None, "application": application["appID"], "reports": [{{
    "effect": application["sqli"]["effect"], "type": "sqli", "score": 5, "rules": [942100],
    "message": "SQL Injection Attack Detected via libinjection in body `user`, 5 points",
    "field": {{"type": "body", "key": "user", "value": "admin' or '1'='1"}},
    "messages": ["SQL Injection Attack Detected via libinjection"]}}]}}, sys.stdout)
"""


@dataclass(frozen=True)
class Shown:
    """A command of the guide, and what it is said to print."""

    command: str
    output: str


def blocks(kind: str) -> list[str]:
    """Return the blocks of one kind, without their fences."""
    return [text for name, text in FENCE.findall(TEXT) if name == kind]


def shown() -> list[Shown]:
    """Return all commands in their order but those that embed, of which `shown_commands.py` takes care."""
    found = [Shown(match["command"], match["output"]) for block in blocks("") for match in COMMAND.finditer(block)]
    return [item for item in found if not item.command.startswith("bartizan app-embedded ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the guide speaks of, and its commands on a PATH."""
    made = tmp_path_factory.mktemp("guide")
    (made / "waas.json").write_text(blocks("json")[0])
    (made / "login.http").write_text(blocks("http")[0])
    (made / "exported.json").write_text(json.dumps(VENDOR))
    (made / "office.csv").write_text("192.0.2.0/24\n")
    (made / "countries.csv").write_text("192.0.2.0/24,NL\n")
    (made / "openapi.yaml").write_text("openapi: 3.0.0\ninfo: {title: a, version: '1'}\npaths: {/a: {get: {}}}\n")
    (made / "coreruleset-4.25.0.zip").write_bytes(archive_of(RELEASE))
    programs = made / "bin"
    programs.mkdir()
    (programs / "bartizan").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bartizan.cli "$@"\n')
    (programs / "defender").write_text(DEFENDER)
    curl = shutil.which("curl")
    assert curl
    (programs / "curl").write_text(
        f'#!/bin/sh\nshift\nexec {curl} -sS --fail-with-body --cacert "$BARTIZAN_CA_FILE" '
        f'-u "$BARTIZAN_USER:$BARTIZAN_PASSWORD" -o answer "$@"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console for the whole guide."""
    with running_console(tmp_path_factory.mktemp("console") / "data") as running:
        running.sign_up()
        yield running


def run(console: ConsoleUnderTest, folder: Path, command: str) -> tuple[int, str]:
    """Run a command as it stands in the guide; both outputs come back, standard output first."""
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "BARTIZAN_ADDRESS": console.url.removesuffix("/api/v1"),
        "BARTIZAN_CA_FILE": str(console.running.ca_file),
        "BARTIZAN_USER": USER,
        "BARTIZAN_PASSWORD": PASSWORD,
        "API": console.url,
        "TZ": "UTC",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def discover(console: ConsoleUnderTest, folder: Path) -> None:
    """Let a Defender tell of four operations, of which the policy describes two."""
    paths = [
        {"path": "/orders", "methods": [{"method": "POST"}]},
        {"path": "/orders/{id}", "methods": [{"method": "GET"}]},
    ]
    with console.client() as client:
        policy = client.get("/policies/firewall/app/app-embedded").json()
        policy["rules"][0]["applicationsSpec"][0]["apiSpec"]["paths"] = paths
        assert client.put("/policies/firewall/app/app-embedded", json=policy).status_code == 200
    end = DefenderEnd(console, console.bundle(), folder, app_id="shop")
    end.connect()
    seen = (
        ("/login", "POST", 1, 1, True),
        ("/orders", "POST", 2, 1, False),
        ("/orders/{id}", "GET", 12, 0, False),
        ("/products/{id}", "GET", 60, 7, False),
    )
    operations = [
        endpoint(path, method, hits=hits, lastSeen=SEEN + 1_000 * later, unencrypted=True)
        | {"sensitive": risky, "unauthenticated": risky}
        for path, method, hits, later, risky in seen
    ]
    tell(end, *operations)
    end.close()


def test_the_guide_says_what_happens(console: ConsoleUnderTest, folder: Path, tmp_path: Path) -> None:
    """Every command of the guide, in its order, prints what stands below it; only digests differ."""
    commands = shown()
    assert len(commands) >= 15
    for item in commands:
        if item.command.startswith("bartizan waf events"):
            end = DefenderEnd(console, console.bundle(), tmp_path, app_id="shop")
            end.connect()
            field = {"type": "query", "key": "q", "value": "' OR '1"}
            like = {"effect": "alert", "host": "shop.example", "message": "SQL injection", "field": field}
            report(end, *(request_audit(number, time=NOON + number * MINUTE, **like) for number in (1, 2, 3)))
            end.close()
        if item.command.startswith("bartizan waf discovery list"):
            discover(console, tmp_path)
        code, output = run(console, folder, item.command)
        expected = 1 if "has 2 problems" in item.output else 0
        assert (code, HASH.sub("HASH", output)) == (expected, item.output), f"{item.command}{output}"


def test_other_samples_are_such(console: ConsoleUnderTest) -> None:
    """Fragments of a policy in the guide are taken by the Console."""
    fragment = json.loads("{" + blocks("json")[1].replace("…", "") + "}")
    assert set(fragment) == {"apiSpec", "certificate"}
    with console.client() as client:
        rule = {"name": "x", "applicationsSpec": [{"appID": "a", **fragment}]}
        answer = client.put("/policies/firewall/app/app-embedded", json={"rules": [rule]})
        assert "applicationsSpec[0].certificate.plain" in answer.json()["err"]
