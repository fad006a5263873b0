"""Learning over the channel and the API: observations, profiles, suggestions, stages."""

import json
from pathlib import Path
from typing import Any

from tests.channel.running import ConsoleUnderTest, DefenderEnd, running_console


def observed(kind: str, value: str, detail: str = "", *, count: int = 1) -> dict[str, Any]:
    """Return an observation."""
    times = {"first": 1_763_690_000_000, "last": 1_763_690_000_500}
    return {"kind": kind, "value": value, "count": count, **times, **({"detail": detail} if detail else {})}


def learn(defender: DefenderEnd, number: int, *items: dict[str, Any]) -> None:
    """Send observations and wait until they are kept."""
    message = {"type": "observations", "container": "web", "number": number, "observed": list(items)}
    defender.send({**message, "overflow": 0})
    while (answer := defender.receive())["type"] != "learned":
        assert answer["type"] == "policies"
    assert answer == {"type": "learned", "container": "web", "number": number}


def profiles(console: ConsoleUnderTest, **query: Any) -> list[dict[str, Any]]:
    """Return a page of profiles."""
    with console.client() as client:
        answer = client.get("/profiles/app-embedded", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json())


def test_tasks_of_an_image_are_one_model(tmp_path: Path) -> None:
    """Observations of several Defenders of an image and container add up, each thing once; another image is apart."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        bundle = console.bundle()
        one, two = DefenderEnd(console, bundle, tmp_path), DefenderEnd(console, bundle, tmp_path, app_id="shop:2")
        other = DefenderEnd(console, bundle, tmp_path, workloads=({"container": "web", "image": "cart:1"},))
        for defender in (one, two, other):
            defender.connect()
        learn(one, 1, observed("process", "/bin/id", "/bin/sh", count=2), observed("name", "a.test"))
        learn(two, 1, observed("process", "/bin/id", "/bin/sh", count=3))
        learn(other, 1, observed("listen", "tcp/80"))
        (shop,) = profiles(console, image="shop:1")
        assert shop["counts"] == {"process": 1, "name": 1}
        assert shop["appID"] == "shop:2"
        assert len(profiles(console)) == 2
        with console.client() as client:
            detail = client.get(f"/profiles/app-embedded/{shop['_id']}").json()
            assert [item["count"] for item in detail["observations"]] == [1, 5]
            table = client.get(f"/profiles/app-embedded/{shop['_id']}/download").text.splitlines()
            assert table[0] == "kind,value,detail,count,first,last"
            assert len(table) == 1 + len(detail["observations"])
            assert client.get("/profiles/app-embedded", params={"search": "SHOP"}).json() != []
            assert client.get("/profiles/app-embedded", params={"search": "no such"}).json() == []
            assert client.delete(f"/profiles/app-embedded/{shop['_id']}").status_code == 200
            assert client.get(f"/profiles/app-embedded/{shop['_id']}").status_code == 404
        for defender in (one, two, other):
            defender.close()


def test_a_defender_speaks_of_its_own_containers_only(tmp_path: Path) -> None:
    """Observations of a container that the hello did not name end the session and leave no model."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        defender.connect()
        message = {"type": "observations", "container": "other", "number": 1, "observed": [observed("name", "a.test")]}
        defender.send({**message, "overflow": 0})
        assert defender.receive()["code"] == "badMessage"
        assert profiles(console) == []


def test_a_suggestion_becomes_the_policy(tmp_path: Path) -> None:
    """The suggested rule is one that the policy takes as it is; adopted it goes on to prevent, and to the Defender."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        defender.connect()
        learn(defender, 1, observed("process", "/usr/bin/python3", "/bin/sh", count=4), observed("process", "/run/x"))
        with console.client() as client:
            suggestion = client.get("/profiles/app-embedded/1/suggestion").json()
            assert [line["entry"] for line in suggestion["evidence"]] == ["/usr/bin/python3"]
            assert suggestion["evidence"][0]["count"] == 4
            assert [item["value"] for item in suggestion["leftOut"]] == ["/run/x"]
            console.put_policy(suggestion["rule"])
            assert defender.receive()["policies"][0]["policy"]["processes"]["effect"] == "alert"
            refused = client.post("/profiles/app-embedded/1/rule", json={})
            assert refused.status_code == 409
            console.put_policy()
            assert defender.receive()["policies"][0]["policy"]["rule"] is None
            assert client.post("/profiles/app-embedded/1/rule", json={"stage": "prevent"}).status_code == 400
            adopted = client.post("/profiles/app-embedded/1/rule", json={"stage": "discover", "quietDays": 7}).json()
            name = "learned: shop:1 web"
            assert (adopted["rule"], adopted["stage"], adopted["quietDays"]) == (name, "discover", 7)
            stages = []
            for stage in ("alert", "prevent"):
                policy = defender.receive()["policies"][0]["policy"]
                stages.append((policy["processes"]["effect"], policy["processes"]["allow"]))
                promoted = client.post("/policies/runtime/app-embedded/learned/promote", json={"rule": name})
                assert promoted.json()["stage"] == stage
            last = defender.receive()["policies"][0]["policy"]
            assert stages == [("alert", []), ("alert", ["/usr/bin/python3"])]
            assert last["processes"] == {"effect": "prevent", "allow": ["/usr/bin/python3"], "deny": []}
            end = client.post("/policies/runtime/app-embedded/learned/promote", json={"rule": name})
            assert end.status_code == 409
            (listed,) = client.get("/policies/runtime/app-embedded/learned").json()
            assert listed["stage"] == "prevent"
        defender.close()


def test_no_name_scopes_others(tmp_path: Path) -> None:
    """A Defender that calls its application `*` gets no rule made for everybody."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        whole = ({"container": None, "image": None},)
        defender = DefenderEnd(console, console.bundle(), tmp_path, app_id="*", kind="appEmbedded", workloads=whole)
        defender.connect()
        message = {"type": "observations", "container": None, "number": 1, "observed": [observed("name", "a.test")]}
        defender.send({**message, "overflow": 0})
        assert defender.receive()["type"] == "learned"
        with console.client() as client:
            for stage in ("discover", "alert"):
                answer = client.post("/profiles/app-embedded/1/rule", json={"stage": stage})
                assert answer.status_code == 400, json.dumps(answer.json())
        defender.close()
