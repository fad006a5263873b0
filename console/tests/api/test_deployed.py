"""The list of Defenders: states, counts, one by one, and shutting one out."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import DEADLINE, ConsoleUnderTest, DefenderEnd, running_console
from websockets.exceptions import ConnectionClosed


def status(defender: DefenderEnd, *, policy: str | None, tier: int = 1, **waas: Any) -> None:
    """Report a status of the only workload."""
    workload = {
        "container": "web", "instance": defender.instance, "policyHash": policy, "tier": tier, "tierReasons": [],
        "dropped": 0,
    }  # fmt: skip
    defender.send({"type": "status", "workloads": [workload], **({"waas": waas} if waas else {})})


def until(console: ConsoleUnderTest, instance: str, **wanted: Any) -> dict[str, Any]:
    """Return a Defender once it is as wanted; what a Defender says arrives by another connection than the question."""
    deadline = time.monotonic() + DEADLINE
    with console.client() as client:
        while True:
            found = dict(client.get(f"/defenders/{instance}").json())
            if all(found.get(name) == value for name, value in wanted.items()):
                return found
            assert time.monotonic() < deadline, found


def test_one_defender_with_what_it_should_do(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Desired and effective policy, rule, gaps, audits, and when it leaves the list once it is gone."""
    defender = DefenderEnd(console, console.bundle(), tmp_path, app_id="one:1")
    desired = defender.connect()["policies"][0]["hash"]
    status(defender, policy="0" * 64, ports=[], openPorts=[{"port": 9000, "covered": False}])
    pending = until(console, defender.instance, sync="pending")
    assert [gap["kind"] for gap in pending["gaps"]] == ["noRule", "port"]
    assert pending["workloads"][0]["desiredPolicyHash"] == desired
    waas = defender.receive_waas()["hash"]
    status(defender, policy=desired, hash=waas)
    shown = until(console, defender.instance, sync="inSync")
    assert (shown["state"], shown["latest"], shown["removal"], shown["auditCount"]) == ("connected", True, None, 0)
    defender.send(defender.audits(1, 2))
    assert defender.receive()["type"] == "ack"
    assert until(console, defender.instance, auditCount=2)["lastAudit"] is not None
    defender.send({"type": "goodbye", "reason": "done"})
    ended = until(console, defender.instance, state="ended")
    assert ended["removal"] > ended["lastModified"]
    defender.close()


def test_filters_facets_names_summary_and_csv(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """The same filters everywhere; a facet counts what its own filter leaves out, and a name is no formula."""
    bundle = console.bundle()
    there = DefenderEnd(console, bundle, tmp_path, app_id="facet:=a")
    old = DefenderEnd(console, bundle, tmp_path, app_id="facet:b")
    there.connect()
    old.connect(version="0.0.1", architecture="arm64", hostname="=cmd()")
    with console.client() as client:

        def get(path: str, **query: Any) -> Any:
            answer = client.get(f"/defenders{path}", params={"search": "facet:", **query})
            assert answer.status_code == 200, answer.text
            return answer

        assert [item["appID"] for item in get("", latest="false").json()] == ["facet:b"]
        assert [item["appID"] for item in get("", isARM64="true").json()] == ["facet:b"]
        assert [item["appID"] for item in get("", isARM64="false").json()] == ["facet:=a"]
        assert get("", isARM64="true", architecture="amd64").json() == []
        assert get("", state="lost").json() == []
        facets = get("/facets", version="0.0.1").json()
        assert facets["version"]["0.0.1"] == 1
        assert len(facets["version"]) == 2
        assert facets["architecture"] == {"arm64": 1}
        assert get("/names").json() == ["facet:=a", "facet:b"]
        text = get("/download").text
        assert len(text.splitlines()) == 3
        assert ",'=cmd()," in text
        summary = {item["category"]: item for item in client.get("/defenders/summary").json()}
        assert summary["fargate"]["connected"] >= 2
        for bad in ({"state": "gone"}, {"gap": "x"}, {"surprise": "1"}, {"sync": "maybe"}):
            assert client.get("/defenders", params=bad).status_code == 400
        assert client.get("/defenders/nobody").status_code == 404
    there.close()
    old.close()


def test_one_that_is_disconnected_may_come_back(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Its session ends with a reason, and its certificate is good for the next."""
    defender = DefenderEnd(console, console.bundle(), tmp_path, app_id="again:1")
    defender.connect()
    with console.client() as client:
        assert client.post(f"/defenders/{defender.instance}/disconnect").status_code == 200
        assert defender.receive()["code"] == "unavailable"
        until(console, defender.instance, connected=False)
        assert client.post(f"/defenders/{defender.instance}/disconnect").status_code == 409
    defender.connect()
    defender.close()


def test_one_that_was_shut_out_stays_out(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Neither its certificate nor its install bundle opens again, and it is listed only where that is asked for."""
    defender = DefenderEnd(console, console.bundle(), tmp_path, app_id="out:1")
    defender.connect()
    with console.client() as client:
        assert client.delete(f"/defenders/{defender.instance}").status_code == 200
        assert defender.receive()["code"] == "revoked"
        with defender.open("/channel", certificate=True) as link:
            link.send(json.dumps(defender.hello()))
            assert json.loads(link.recv(DEADLINE))["code"] == "revoked"
            with pytest.raises(ConnectionClosed):
                link.recv(DEADLINE)
        assert defender.enrol()["code"] == "unauthorized"
        assert client.get("/defenders", params={"search": "out:"}).json() == []
        (listed,) = client.get("/defenders", params={"search": "out:", "state": "revoked"}).json()
        assert listed["state"] == "revoked"
        assert client.get("/defenders/facets", params={"search": "out:"}).json()["state"] == {"revoked": 1}
        assert client.delete("/defenders/nobody").status_code == 404


def test_who_was_connected_when_the_console_stopped_is_awaited(tmp_path: Path) -> None:
    """After a restart it is told apart from who was lost before, and from who said goodbye."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        stays, lost = (DefenderEnd(console, console.bundle(), tmp_path, app_id=name) for name in ("stays", "lost"))
        stays.connect()
        lost.connect()
        lost.close()
        until(console, lost.instance, state="lost")
    with running_console(tmp_path / "data") as again:
        again.log_in()
        assert until(again, stays.instance, connected=False)["state"] == "awaited"
        assert until(again, lost.instance, connected=False)["state"] == "lost"
    stays.close()
