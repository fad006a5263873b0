"""Incidents from a Defender's audits to the API."""

from pathlib import Path
from typing import Any

from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit, running_console

MINER = {"reason": "cryptoMiner", "matched": None}


def report(defender: DefenderEnd, *audits: dict[str, Any]) -> None:
    """Send audits and wait until they are committed."""
    defender.send({"type": "audits", "source": defender.instance, "container": "web", "audits": list(audits)})
    assert defender.receive()["type"] == "ack"


def incidents(console: ConsoleUnderTest, **query: Any) -> list[dict[str, Any]]:
    """Return a page of incidents."""
    with console.client() as client:
        answer = client.get("/audits/incidents", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json())


def test_an_attack_is_one_incident(tmp_path: Path) -> None:
    """Audits of a crypto miner make one incident that holds them; an ordinary denial makes none."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        defender.connect()
        report(defender, process_audit(1), process_audit(2) | MINER, process_audit(3) | MINER)
        (incident,) = incidents(console)
        assert (incident["category"], incident["type"], incident["auditCount"]) == ("cryptoMiner", "fargate", 2)
        assert (incident["appID"], incident["profileID"]) == ("shop:1", "shop:1_web")
        assert [audit["_id"] for audit in incident["audits"]] == ["2", "3"]
        assert incidents(console, category="cryptoMiner,malware", type="fargate", profileID="shop:1_web") == [incident]
        assert incidents(console, category="malware") == []
        assert incidents(console, **{"from": "2030-01-01T00:00:00Z"}) == []
        with console.client() as client:
            assert client.get("/audits/incidents").headers["total-count"] == "1"
            assert client.get("/audits/incidents", params={"sort": "audits"}).status_code == 400
            assert client.get("/audits/incidents", params={"categorie": "x"}).status_code == 400
            assert client.patch("/audits/incidents/acknowledge/1", json={"acknowledged": True}).status_code == 200
            assert client.patch("/audits/incidents/acknowledge/2", json={}).status_code == 404
            assert client.patch("/audits/incidents/acknowledge/x", json={}).status_code == 400
        assert incidents(console, acknowledged="false") == []
        assert incidents(console, acknowledged="true")[0]["acknowledged"]
        defender.close()


def test_a_download_cannot_run_in_a_spreadsheet(tmp_path: Path) -> None:
    """The CSV has one line for each incident, and a cell that an attacker named is no formula."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path, app_id='=HYPERLINK("https://evil.test")')
        defender.connect()
        report(defender, process_audit(1) | MINER)
        with console.client() as client:
            answer = client.get("/audits/incidents/download")
        header, line = answer.text.splitlines()
        assert header.startswith("serialNum,time,")
        assert "\"'=HYPERLINK" in line
        assert answer.headers["content-type"].startswith("text/csv")
        defender.close()


def test_a_custom_rule_makes_incidents_when_it_says_so(tmp_path: Path) -> None:
    """Matches of a custom rule with the action incident are one, under its name; with the action audit not."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        with console.client() as client:
            for number, name in ((1, "shells"), (2, "pipes")):
                body = {"_id": number, "name": name, "type": "processes", "script": 'proc.name = "sh"'}
                assert client.put(f"/custom-rules/{number}", json=body).status_code == 200
        console.put_policy(
            {
                "name": "shop",
                "customRules": [
                    {"_id": 1, "effect": "alert", "action": "incident"},
                    {"_id": 2, "effect": "alert", "action": "audit"},
                ],
            }
        )
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        defender.connect()
        matches = [
            process_audit(number) | {"reason": "customRule", "matched": name}
            for number, name in enumerate(["shells", "pipes", "shells"], start=1)
        ]
        report(defender, *matches)
        (incident,) = incidents(console)
        assert (incident["category"], incident["customRuleName"]) == ("customRule", "shells")
        assert incident["auditCount"] == 2
        defender.close()
