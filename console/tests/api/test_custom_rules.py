"""The library of custom rules over the API, and what its changes do to policies."""

from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import USER, ConsoleUnderTest, DefenderEnd

PATH = "/custom-rules"
POLICY = "/policies/runtime/app-embedded"
RULE: dict[str, Any] = {
    "_id": 12,
    "name": "no shells",
    "type": "processes",
    "script": 'proc.name in ("sh", "bash")',
    "message": "%proc.pname started a shell: %proc.cmdline",
    "description": "nobody needs one here",
    "minVersion": "v22.01",
    "attackTechniques": ["T1059.004"],
    "vulnIDs": [],
}


def put_policy(console: ConsoleUnderTest, *attached: dict[str, Any]) -> None:
    """Put a policy with one rule that custom rules are attached to."""
    with console.client() as client:
        rule = {"name": "shop", "collections": [{"name": "All"}], "customRules": list(attached)}
        assert client.put(POLICY, json={"rules": [rule]}).status_code == 200


def test_what_is_put_comes_back(console: ConsoleUnderTest) -> None:
    """A rule is kept whole with its owner, may be replaced, and goes when nobody uses it."""
    with console.client() as client:
        assert client.put(f"{PATH}/12", json=RULE).content == b""
        assert client.get(PATH).json() == [{**RULE, "owner": USER}]
        changed = {**RULE, "script": 'proc.name = "zsh"'}
        client.put(f"{PATH}/12", json={key: value for key, value in changed.items() if key != "_id"})
        assert client.get(PATH, params={"project": "Central Console"}).json()[0]["script"] == 'proc.name = "zsh"'
        assert client.delete(f"{PATH}/12").status_code == 200
        assert client.get(PATH).json() == []
        assert client.delete(f"{PATH}/12").status_code == 404


@pytest.mark.parametrize(
    ("number", "change", "status", "named"),
    [
        ("13", {}, 400, "_id"),
        ("12", {"type": "waas-request"}, 400, "`waas-request` is not possible"),
        ("12", {"script": 'proc.name = "sh" and'}, 400, "column 21"),
        ("x", {}, 422, "number"),
        ("-1", {}, 422, "number"),
        (str(2**40), {}, 422, "number"),
    ],
)
def test_what_cannot_be_right_is_refused(
    console: ConsoleUnderTest, number: str, change: dict[str, Any], status: int, named: str
) -> None:
    """A rule that could not be tried is not kept."""
    with console.client() as client:
        answer = client.put(f"{PATH}/{number}", json={**RULE, **change})
        assert (answer.status_code, client.get(PATH).json()) == (status, [])
    assert named in answer.json()["err"]


def test_a_name_is_taken_once(console: ConsoleUnderTest) -> None:
    """Audits tell custom rules by their names, so two rules cannot share one."""
    with console.client() as client:
        client.put(f"{PATH}/12", json=RULE)
        answer = client.put(f"{PATH}/13", json={**RULE, "_id": 13})
        client.delete(f"{PATH}/12")
    assert (answer.status_code, answer.json()["err"]) == (409, "there is a custom rule `no shells` already")


def test_a_rule_in_use_stays(console: ConsoleUnderTest) -> None:
    """Who uses a rule is named when it is to be removed; a policy cannot refer to one that is not there."""
    with console.client() as client:
        client.put(f"{PATH}/12", json=RULE)
        put_policy(console, {"_id": 12, "effect": "alert"})
        answer = client.delete(f"{PATH}/12")
        assert (answer.status_code, answer.json()["err"]) == (
            409,
            "custom rule `no shells` is used by `shop`: detach it there first",
        )
        unknown = client.put(POLICY, json={"rules": [{"name": "r", "customRules": [{"_id": 5, "effect": "alert"}]}]})
        assert (unknown.status_code, unknown.json()["err"]) == (400, "rule `r`: there is no custom rule 5")
        added = client.post(POLICY, json={"name": "r", "customRules": [{"_id": 5, "effect": "alert"}]})
        assert added.status_code == 400
        put_policy(console)
        assert client.delete(f"{PATH}/12").status_code == 200


def test_a_change_reaches_running_workloads(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """A Defender gets the rules with its policy, and again when one that it uses changes; audits tell their message."""
    with console.client() as client:
        client.put(f"{PATH}/12", json=RULE)
        client.put(f"{PATH}/13", json={**RULE, "_id": 13, "name": "other"})
        put_policy(console, {"_id": 12, "effect": "prevent", "action": "incident"})
        defender = DefenderEnd(console, console.bundle(), tmp_path, app_id="custom:1")
        rule = {"name": "no shells", "kind": "processes", "script": RULE["script"], "effect": "prevent"}
        assert defender.connect()["policies"][0]["policy"]["custom"] == [rule]
        client.put(f"{PATH}/13", json={**RULE, "_id": 13, "name": "other", "script": 'proc.name = "zsh"'})
        client.put(f"{PATH}/12", json={**RULE, "script": 'proc.name = "ash"'})
        message = defender.receive()
        assert message["type"] == "policies"
        assert message["policies"][0]["policy"]["custom"] == [{**rule, "script": 'proc.name = "ash"'}]
        frame = defender.audits(1)
        frame["audits"][0].update(reason="customRule", matched="no shells")
        defender.send(frame)
        assert defender.receive()["type"] == "ack"
        defender.close()
    (audit,) = console.audits(appID="custom:1")
    assert audit["msg"].endswith("started a shell: sh -c 'id 1'")
    assert (audit["attackType"], audit["attackTechniques"]) == ("customRule", ["T1059.004"])
    assert audit["incidentCategory"] == "customRule"
