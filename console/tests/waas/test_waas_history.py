"""The history of the WAAS policy over the API: late changes, differences, the way back, counters, certificates."""

from collections.abc import Callable
from typing import Any

from tests.channel.running import USER, ConsoleUnderTest, DefenderEnd
from tests.waas.events import report, request_audit

PATH = "/policies/firewall/app/app-embedded"
ENDPOINT = {"exposedPort": 80, "internalPort": 8080}


def rule(name: str, effect: str = "alert", **further: Any) -> dict[str, Any]:
    """Return a rule with one application."""
    application = {"appID": "web", "apiSpec": {"endpoints": [ENDPOINT]}, "sqli": {"effect": effect}}
    return {"name": name, "applicationsSpec": [application], **further}


def test_a_late_change_is_refused_with_what_changed(console: ConsoleUnderTest) -> None:
    """Nobody overwrites what they have not seen; the refusal tells who changed what, and why."""
    with console.client() as client:
        seen = client.put(PATH, json={"rules": [rule("shop")]}).headers["etag"]
        assert client.get(PATH).headers["etag"] == seen
        client.put(PATH, json={"rules": [rule("shop", "prevent")]}, params={"comment": "stop them"})
        late = client.put(PATH, json={"rules": []}, headers={"If-Match": seen})
        assert late.status_code == 412
        changed = late.json()["changed"]
        assert (changed["author"], changed["comment"]) == (USER, "stop them")
        assert [(item["kind"], item["rule"]) for item in changed["changes"]] == [("changed", "shop")]
        assert {"kind": "added", "text": "    effect: prevent"} in changed["changes"][0]["lines"]
        # A change of a network list is a revision too, of an equal policy: it is in nobody's way.
        now = client.get(PATH).headers["etag"]
        client.post("/policies/firewall/app/network-list", json={"_id": "office", "subnets": ["192.0.2.0/24"]})
        assert client.put(PATH, json={"rules": []}, headers={"If-Match": now}).status_code == 200
        assert client.put(PATH, json={"rules": []}, params={"coment": "x"}).status_code == 400


def test_every_state_can_be_seen_and_taken_back(console: ConsoleUnderTest) -> None:
    """Revisions tell who, when and why; one is put in force again as a new one."""
    with console.client() as client:
        client.put(PATH, json={"rules": [rule("a"), rule("b")]}, params={"comment": "two rules"})
        first = client.get(f"{PATH}/revisions", params={"limit": 1}).json()[0]
        assert (first["author"], first["comment"]) == (USER, "two rules")
        client.put(PATH, json={"rules": [rule("b"), rule("c")]})
        difference = client.get(f"{PATH}/revisions/difference", params={"before": first["revision"]}).json()
        assert sorted((item["kind"], item["rule"]) for item in difference["changes"]) == [
            ("added", "c"), ("removed", "a"),
        ]  # fmt: skip
        shown = client.get(f"{PATH}/revisions/{first['revision']}").json()["policy"]
        assert [item["name"] for item in shown["rules"]] == ["a", "b"]
        answer = client.post(f"{PATH}/revisions/{first['revision']}/restore")
        assert answer.status_code == 200, answer.text
        assert [item["name"] for item in client.get(PATH).json()["rules"]] == ["a", "b"]
        newest = client.get(f"{PATH}/revisions").json()[0]
        assert newest["comment"] == f"back to revision {first['revision']}"
        assert client.post(f"{PATH}/revisions/999999/restore").status_code == 404


def test_a_policy_is_checked_before_it_is_saved(console: ConsoleUnderTest) -> None:
    """Every problem is told with its place, what would change too, and nothing is kept."""
    with console.client() as client:
        client.put(PATH, json={"rules": [rule("a")]})
        before = client.get(PATH)
        bad = rule("a", collections=[{"name": "nobody made it"}])
        answer = client.post(f"{PATH}/check", json={"rules": [bad]}).json()
        assert "there is no collection `nobody made it`" in answer["problems"][0]
        answer = client.post(f"{PATH}/check", json={"rules": [rule("a", "bann")]}).json()
        assert "rules[0].applicationsSpec[0].sqli.effect" in answer["problems"][0]
        answer = client.post(f"{PATH}/check", json={"rules": [rule("a", "ban")]}).json()
        assert (answer["problems"], [item["kind"] for item in answer["changes"]]) == ([], ["changed"])
        assert (client.get(PATH).json(), client.get(PATH).headers["etag"]) == (before.json(), before.headers["etag"])


def test_matches_of_rules_are_counted(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> None:
    """Events count for the rule that they name, if there is one; Defenders are counted where the rule applies."""
    with console.client() as client:
        client.put(PATH, json={"rules": [rule("counted", collections=[{"name": "it", "appIDs": ["counted*"]}])]})
        end = defender(app_id="counted")
        end.connect()
        report(end, {**request_audit(1), "rule": "counted"}, {**request_audit(2), "rule": "counted"})
        report(end, {**request_audit(3), "rule": "gone"})
        [found] = client.get(f"{PATH}/hits").json()
    assert (found["rule"], found["hits"], found["workloads"]) == ("counted", 2, 1)
    assert found["lastHit"] is not None


def test_kept_certificates_are_told_without_their_keys(console: ConsoleUnderTest) -> None:
    """A certificate is named by its marker, with what it is for and who uses it."""
    pem = (console.directory / "server.pem").read_text()
    secure = rule("tls")
    secure["applicationsSpec"][0]["apiSpec"]["endpoints"] = [{**ENDPOINT, "tls": True}]
    secure["applicationsSpec"][0]["certificate"] = {"plain": pem}
    with console.client() as client:
        assert client.put(PATH, json={"rules": [secure]}).status_code == 200
        answer = client.get("/policies/firewall/app/certificates")
        [found] = answer.json()
        assert found["usedBy"] == ["tls: web"]
        assert "localhost" in found["names"]
        assert "PRIVATE" not in answer.text
        marker = client.get(PATH).json()["rules"][0]["applicationsSpec"][0]["certificate"]["encrypted"]
        assert found["name"] == marker
        # Another application takes the same certificate by its marker.
        secure["applicationsSpec"][0]["certificate"] = {"encrypted": marker}
        other = {**rule("other"), "applicationsSpec": secure["applicationsSpec"]}
        assert client.put(PATH, json={"rules": [secure, other]}).status_code == 200
        assert client.get("/policies/firewall/app/certificates").json()[0]["usedBy"] == ["tls: web", "other: web"]
