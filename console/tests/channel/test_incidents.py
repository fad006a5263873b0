"""Incidents from a Defender's audits to the API."""

import json
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


def test_people_take_care_of_incidents(tmp_path: Path) -> None:
    """Notes, putting away, several at once, counts, pages by cursor, and JSON lines."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        defender.connect()
        report(defender, process_audit(1) | MINER, process_audit(2) | {"reason": "reverseShell", "matched": None})
        with console.client() as client:
            page = client.get("/audits/incidents", params={"limit": 1})
            cursor = page.headers["next-cursor"]
            (second,) = client.get("/audits/incidents", params={"limit": 1, "cursor": cursor}).json()
            assert second["_id"] != page.json()[0]["_id"]
            assert client.get("/audits/incidents", params={"cursor": "x"}).status_code == 400
            assert client.get("/audits/incidents", params={"cursor": cursor, "sort": "type"}).status_code == 400
            note = client.post("/audits/incidents/1/notes", json={"text": " <b>looked</b> "}).json()
            assert (note["author"], note["text"]) == ("admin", "<b>looked</b>")
            assert client.post("/audits/incidents/1/notes", json={"text": "  "}).status_code == 400
            assert client.post("/audits/incidents/9/notes", json={"text": "a"}).status_code == 404
            detail = client.get("/audits/incidents/1").json()
            assert detail["notes"] == [note]
            assert (detail["defenderID"], detail["defenderConnected"]) == (defender.instance, True)
            assert (detail["incident"]["preventedCount"], detail["incident"]["noteCount"]) == (1, 1)
            both = {"ids": ["1", "2"], "acknowledged": True}
            assert client.patch("/audits/incidents", json={**both, "ids": ["1", "7"]}).status_code == 404
            assert client.patch("/audits/incidents", json={"ids": ["1"]}).status_code == 400
            assert client.patch("/audits/incidents", json=both).status_code == 200
            assert client.patch("/audits/incidents/archive/2", json={}).status_code == 200
            assert client.get("/audits/incidents/facets").json()["state"] == {"acknowledged": 1, "archived": 1}
            lines = client.get("/audits/incidents/download", params={"format": "json", "archived": "true"}).text
            assert json.loads(lines)["seenBy"] == "admin"
            assert client.delete(f"/audits/incidents/2/notes/{note['_id']}").status_code == 404
            assert client.delete(f"/audits/incidents/1/notes/{note['_id']}").status_code == 200
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
