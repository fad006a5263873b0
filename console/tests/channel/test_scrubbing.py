"""Scrubbing over the real channel: what rules match leaves no trace in the Console."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit, running_console
from tests.channel.test_forensics import answer, begin, ended, lookup, next_fetch

PATH = "/settings/scrubbing"
SECRET = "hunter2butlonger"
CARDS = {"name": "cards", "pattern": r"\b[0-9]{13,19}\b", "placeholder": "[card]", "disabled": False}
CARD = "4111111111111111"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console of this module's own: what is in its database is looked at."""
    with running_console(tmp_path_factory.mktemp("console") / "data") as running:
        running.sign_up()
        yield running


def secret_audit(number: int, **changed: Any) -> dict[str, Any]:
    """Return an audit of a program that is started with secrets."""
    audit = process_audit(number, path=f"/opt/{CARD}/miner")
    arguments = ["miner", f"--password={SECRET}", "--token", SECRET, "-u", f"stratum://me:{SECRET}@pool.example"]
    audit["event"] |= {"arguments": arguments, "parentPath": f"/srv/{CARD}"}
    return audit | {"matched": f"{CARD}", "ancestry": [{"pid": 8, "path": f"/srv/{CARD}"}]} | changed


def test_nothing_of_a_secret_is_left(
    console: ConsoleUnderTest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No answer of the API, no follower, no export, no record, no file of the database and no log has the secret."""
    caplog.set_level(logging.DEBUG)
    defender = DefenderEnd(console, console.bundle(), tmp_path)
    defender.connect()
    with console.client() as client:
        assert client.put(PATH, json={"builtIn": True, "rules": [CARDS]}).status_code == 200
        audits = [secret_audit(1), secret_audit(2, reason="cryptoMiner")]
        defender.send({"type": "audits", "source": defender.instance, "container": "web", "audits": audits})
        assert defender.receive()["type"] == "ack"
        snapshot = begin(console, appID="shop:1")
        start = {"time": audits[0]["time"], "event": audits[0]["event"]}
        answer(defender, next_fetch(defender), 1, 2, start, lookup(2, f"{CARD}.example"))
        assert ended(console, defender, snapshot["_id"])["state"] == "complete"
        answers = [
            client.get(path).text
            for path in (
                "/audits/runtime/app-embedded",
                "/audits/runtime/app-embedded/download",
                "/audits/incidents",
                "/audits/incidents/1/timeline",
                "/audits/incidents/1/processes",
                "/events",
                "/audits/mgmt",
                f"/forensics/{snapshot['_id']}/download",
                f"/forensics/{snapshot['_id']}/download?format=csv",
            )
        ]
        with client.stream("GET", "/audits/runtime/app-embedded/follow", headers={"Last-Event-ID": "0"}) as stream:
            answers.append(next(line for line in stream.iter_lines() if "miner" in line))
    defender.close()
    for text in answers:
        assert SECRET not in text
        assert CARD not in text
    assert "--password=****" in answers[0]
    assert "/opt/[card]/miner" in answers[0]
    assert "[card].example" in answers[7]
    for file in console.directory.glob("bartizan.db*"):
        content = file.read_bytes()
        assert SECRET.encode() not in content
        assert CARD.encode() not in content
    logged = [item.getMessage() for item in caplog.records if not item.name.startswith(("httpx", "websockets.client"))]
    assert SECRET not in "\n".join(logged)


def test_rules_are_in_force_at_once(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Each change counts from the next audit on; what GET shows can be put back."""
    defender = DefenderEnd(console, console.bundle(), tmp_path)
    defender.connect()

    def shown(number: int) -> str:
        audit = secret_audit(number)
        defender.send({"type": "audits", "source": defender.instance, "container": "web", "audits": [audit]})
        assert defender.receive()["type"] == "ack"
        return str(console.audits(sort="_id", reverse="true", limit=1)[0]["processPath"])

    with console.client() as client:
        assert client.put(PATH, json={"rules": [CARDS]}).status_code == 200
        present = client.get(PATH).json()
        assert (present["builtIn"], present["rules"], len(present["builtInRules"]) > 5) == (False, [CARDS], True)
        assert client.put(PATH, json=present).status_code == 200
        assert shown(11) == "/opt/[card]/miner"
        assert client.put(PATH, json={"rules": [CARDS | {"disabled": True}]}).status_code == 200
        assert shown(12) == f"/opt/{CARD}/miner"
    defender.close()


def test_a_trial_tells_what_would_be_stored(console: ConsoleUnderTest) -> None:
    """A text is tried on the rules in force or on others, and its secret gets into no log of changes."""
    with console.client() as client:
        assert client.put(PATH, json={"rules": [CARDS]}).status_code == 200
        tried = client.post(f"{PATH}/trial", json={"text": f"pay {CARD} --password=x"})
        assert tried.json() == {"text": "pay [card] --password=x", "rules": ["cards"]}
        draft = {"text": "pay --password=tried-secret", "scrubbing": {"builtIn": True}}
        assert client.post(f"{PATH}/trial", json=draft).json()["text"] == "pay --password=****"
        assert "tried-secret" not in client.get("/audits/mgmt").text
        slow = {"text": "a" * 65_536, "scrubbing": {"rules": [CARDS | {"pattern": "(a+)+$"}]}}
        assert client.post(f"{PATH}/trial", json=slow).status_code == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"rules": [CARDS | {"pattern": "("}]}, "rules[0].pattern"),
        ({"rules": [CARDS | {"placeholder": ""}]}, "rules[0].placeholder"),
        ({"rules": [CARDS, CARDS]}, "`cards` is used twice"),
        ({"rules": [CARDS | {"name": f"{number}"} for number in range(101)]}, "at most 100"),
        ({"rules": [CARDS | {"type": "pattern"}]}, "type"),
        ({"surprise": True}, "surprise"),
    ],
)
def test_bad_rules_are_refused(console: ConsoleUnderTest, body: dict[str, Any], reason: str) -> None:
    """Each refusal names the place, and nothing changes."""
    with console.client() as client:
        before = client.get(PATH).json()
        refused = client.put(PATH, json=body)
        assert (refused.status_code, reason in refused.json()["err"]) == (400, True), refused.text
        assert client.get(PATH).json() == before
        assert client.post(f"{PATH}/trial", json={"text": json.dumps("x" * 65_536)}).status_code == 400
