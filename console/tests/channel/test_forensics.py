"""Records of Defenders: fetched piece by piece over the channel, shown and downloaded over the API."""

import json
from pathlib import Path
from typing import Any

from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit, running_console


def lookup(number: int, name: str = "a.test") -> dict[str, Any]:
    """Return a recorded look-up."""
    event = {"kind": "lookup", "name": name, "recordType": "A", "pid": 7, "path": "/usr/bin/app"}
    return {"time": 1_763_690_000_000 + number, "event": event}


def next_fetch(defender: DefenderEnd) -> dict[str, Any]:
    """Return the next question of the Console."""
    while (message := defender.receive())["type"] != "fetch":
        pass
    return message


def answer(defender: DefenderEnd, fetch: dict[str, Any], first: int, newest: int, *events: dict[str, Any]) -> None:
    """Answer a question."""
    defender.send(
        {
            "type": "snapshot",
            "id": fetch["id"],
            "container": fetch["container"],
            "first": first,
            "newest": newest,
            "events": list(events),
        }
    )


def begin(console: ConsoleUnderTest, **body: Any) -> dict[str, Any]:
    """Ask the API for a record."""
    with console.client() as client:
        response = client.post("/forensics", json=body)
        assert response.status_code == 200, response.text
        return dict(response.json())


def ended(console: ConsoleUnderTest, defender: DefenderEnd, number: str) -> dict[str, Any]:
    """Return a snapshot whose last answer was sent; what the Console answers next shows that it has taken that."""
    defender.send(defender.audits(1_000_000))
    while defender.receive()["type"] != "ack":
        pass
    with console.client() as client:
        return dict(client.get(f"/forensics/{number}").json())


def test_a_record_is_fetched_piece_by_piece(tmp_path: Path) -> None:
    """The Console asks on from where the last answer ended, up to what was newest at first, and counts what is gone."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        defender.connect()
        snapshot = begin(console, appID="shop:1", reason="a look")
        assert (snapshot["state"], snapshot["container"], snapshot["reason"]) == ("fetching", "web", "admin: a look")
        first = next_fetch(defender)
        assert (first["after"], first["container"]) == (0, "web")
        answer(defender, first, 3, 5, lookup(3), lookup(4, "=cmd()"))
        second = next_fetch(defender)
        assert (second["id"], second["after"]) == (first["id"], 4)
        answer(defender, second, 5, 9, lookup(5), lookup(6))
        done = ended(console, defender, snapshot["_id"])
        assert (done["state"], done["eventCount"], done["missedCount"]) == ("complete", 3, 2)
        with console.client() as client:
            lines = client.get(f"/forensics/{done['_id']}/download").text.splitlines()
            assert [json.loads(line) for line in lines] == [lookup(3), lookup(4, "=cmd()"), lookup(5)]
            table = client.get(f"/forensics/{done['_id']}/download", params={"format": "csv"}).text.splitlines()
            assert len(table) == 4
            assert ",'=cmd()," in table[2]
            assert [item["_id"] for item in client.get("/forensics", params={"appID": "shop:1"}).json()] == ["1"]
            assert client.get("/forensics", params={"appID": "other"}).json() == []
            assert client.get("/forensics/2").status_code == 404
        defender.close()


def test_nobody_answers_for_another(tmp_path: Path) -> None:
    """An answer of another Defender, of another container or to no question at all changes nothing."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        other = DefenderEnd(console, console.bundle(), tmp_path, app_id="other")
        defender.connect()
        other.connect()
        snapshot = begin(console, defenderID=defender.instance, container="web")
        fetch = next_fetch(defender)
        answer(other, fetch, 1, 1, lookup(1, "forged.test"))
        assert ended(console, other, snapshot["_id"])["eventCount"] == 0
        answer(defender, fetch | {"container": "other"}, 1, 1, lookup(1))
        answer(defender, fetch | {"id": "0" * 32}, 1, 1, lookup(1))
        assert ended(console, defender, snapshot["_id"])["state"] == "fetching"
        answer(defender, fetch, 1, 0)
        assert ended(console, defender, snapshot["_id"])["state"] == "complete"
        defender.close()
        other.close()


def test_requests_that_cannot_be_met_say_why(tmp_path: Path) -> None:
    """An unknown workload, one that is away and one that is being fetched are refused with the reason."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        workloads = ({"container": "web", "image": "a"}, {"container": "cart", "image": "b"})
        defender = DefenderEnd(console, console.bundle(), tmp_path, workloads=workloads)
        defender.connect()
        with console.client() as client:

            def refused(**body: Any) -> tuple[int, str]:
                response = client.post("/forensics", json=body)
                return response.status_code, response.json().get("err", "")

            assert refused() == (400, "name the workload by `appID` or by `defenderID`")
            assert refused(appID="nobody")[0] == 404
            assert refused(appID="shop:1") == (
                400,
                "several workloads are meant: name the container, or the Defender",
            )
            assert refused(defenderID=defender.instance, container="nothing")[0] == 404
            begin(console, appID="shop:1", container="cart")
            assert refused(appID="shop:1", container="cart") == (409, "the Defender's record is being fetched already")
        defender.close()


def test_a_console_that_was_stopped_meanwhile_says_so(tmp_path: Path) -> None:
    """What was being fetched when the Console stopped is failed, or partial when some of it had come."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        workloads = ({"container": "web", "image": "a"}, {"container": "cart", "image": "b"})
        defender = DefenderEnd(console, console.bundle(), tmp_path, workloads=workloads)
        defender.connect()
        web = begin(console, appID="shop:1", container="web")
        begin(console, appID="shop:1", container="cart")
        answer(defender, next_fetch(defender), 1, 9, lookup(1))
        assert ended(console, defender, web["_id"])["eventCount"] == 1
        defender.close()
    with running_console(tmp_path / "data") as again:
        again.log_in()
        with again.client() as client:
            assert [item["state"] for item in client.get("/forensics").json()] == ["failed", "partial"]


def test_an_incident_is_looked_into(tmp_path: Path) -> None:
    """Its timeline has audits, the record's events and notes in one order; its tree has the audit where it belongs."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        defender.connect()
        miner = process_audit(5) | {"reason": "cryptoMiner", "matched": None}
        defender.send({"type": "audits", "source": defender.instance, "container": "web", "audits": [miner]})
        assert defender.receive()["type"] == "ack"
        with console.client() as client:
            alone = client.get("/audits/incidents/1/processes").json()
            assert [node["path"] for node in alone["nodes"]] == ["/usr/bin/python3.11", "/usr/bin/dash"]
            assert alone["snapshot"] is None
        snapshot = begin(console, appID="shop:1")
        shop = miner["event"] | {"pid": 8, "parentPid": 1, "parentPath": "/init", "path": "/usr/bin/python3.11"}
        start = {"time": 1_763_690_000_001, "event": shop}
        told = {"time": miner["time"], "event": miner["event"]}
        told["judged"] = {"effect": "prevent", "reason": "cryptoMiner"}
        asked = lookup(3)
        asked["event"]["pid"] = 8
        answer(defender, next_fetch(defender), 1, 3, start, asked, told)
        assert ended(console, defender, snapshot["_id"])["state"] == "complete"
        with console.client() as client:
            client.post("/audits/incidents/1/notes", json={"text": "seen"})
            path = "/audits/incidents/1/timeline"
            whole = client.get(path).json()
            assert [item["kind"] for item in whole["entries"]] == ["process", "lookup", "audit", "note"]
            assert (whole["cursor"], whole["snapshot"]["_id"]) == ("", snapshot["_id"])
            first = client.get(path, params={"limit": 3}).json()
            rest = client.get(path, params={"limit": 3, "cursor": first["cursor"]}).json()
            assert first["entries"] + rest["entries"] == whole["entries"]
            judged = client.get(path, params={"judged": "true", "kind": "audit,process"}).json()["entries"]
            assert [item["auditID"] for item in judged] == ["1"]
            for bad in ({"kind": "x"}, {"cursor": "1-2"}, {"surprise": "1"}):
                assert client.get(path, params=bad).status_code == 400
            assert client.get("/audits/incidents/9/timeline").status_code == 404
            tree = client.get("/audits/incidents/1/processes").json()
            assert [(node["parent"], node["pid"], node["audits"]) for node in tree["nodes"]] == [
                (None, 1, []),
                (0, 8, []),
                (1, 12, ["1"]),
            ]
            assert tree["nodes"][1]["actions"][0]["text"] == "looked up a.test (A)"
            assert client.get("/audits/incidents/1").json()["snapshots"][0]["_id"] == snapshot["_id"]
        defender.close()
