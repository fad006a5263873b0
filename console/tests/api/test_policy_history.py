"""The history of the runtime policy over the API: who changed what, late changes, the way back, counters."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.channel.running import USER, ConsoleUnderTest, DefenderEnd

PATH = "/policies/runtime/app-embedded"


def rule(name: str, *denied: str, **further: Any) -> dict[str, Any]:
    """Return a rule that denies programs."""
    return {"name": name, "processes": {"effect": "alert", "blacklist": list(denied)}, **further}


def put(client: httpx.Client, *rules: dict[str, Any], comment: str = "") -> str:
    """Put a policy, and return its ETag."""
    answer = client.put(PATH, json={"rules": list(rules)}, params={"comment": comment} if comment else None)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["etag"])


def names(client: httpx.Client) -> list[str]:
    """Return the names of the rules in their order."""
    return [item["name"] for item in client.get(PATH).json()["rules"]]


def test_a_late_change_is_refused_with_what_changed(console: ConsoleUnderTest) -> None:
    """Nobody overwrites what they have not seen: the refusal tells who changed what, and the policy stays."""
    with console.client() as client:
        seen = put(client, rule("shop", "curl"))
        assert client.get(PATH).headers["etag"] == seen
        put(client, rule("shop", "curl", "nc"), rule("rest"), comment="no netcat")
        answer = client.put(PATH, json={"rules": []}, headers={"If-Match": seen})
        assert answer.status_code == 412
        changed = answer.json()["changed"]
        assert (changed["author"], changed["comment"]) == (USER, "no netcat")
        assert [(item["kind"], item["rule"]) for item in changed["changes"]] == [("changed", "shop"), ("added", "rest")]
        assert changed["changes"][0]["fields"][0]["added"] == ["nc"]
        assert {"kind": "added", "text": "  - nc"} in changed["changes"][0]["lines"]
        assert names(client) == ["shop", "rest"]
        for method, path, body in (
            ("POST", PATH, rule("new")),
            ("PUT", f"{PATH}/rules/rest", rule("rest", "x")),
            ("PATCH", f"{PATH}/rules/rest", {"disabled": True}),
            ("DELETE", f"{PATH}/rules/rest", None),
            ("PUT", f"{PATH}/order", {"rules": ["rest", "shop"]}),
            ("POST", f"{PATH}/clone", {"rule": "rest", "newName": "other"}),
            ("POST", f"{PATH}/revisions/1/restore", None),
        ):
            assert client.request(method, path, json=body, headers={"If-Match": seen}).status_code == 412, path
        assert names(client) == ["shop", "rest"]


def test_an_equal_policy_is_no_late_change(console: ConsoleUnderTest) -> None:
    """Who changed something and took it back is in nobody's way."""
    with console.client() as client:
        first = put(client, rule("shop", "curl"))
        document = client.get(PATH).json()
        put(client, rule("shop", "nc"))
        client.put(PATH, json=document)
        policy = client.get(PATH).json()
        assert policy["rules"][0]["processes"] == document["rules"][0]["processes"]
        # The rule was changed twice, so its time differs; only an equal policy passes.
        late = client.put(PATH, json={"rules": []}, headers={"If-Match": first})
        assert late.status_code == (200 if policy == document else 412)
        assert client.put(PATH, json={"rules": []}, headers={"If-Match": "x"}).status_code == 400
        assert client.put(PATH, json={"rules": []}, headers={"If-Match": "*"}).status_code == 200


def test_rules_are_changed_one_by_one(console: ConsoleUnderTest) -> None:
    """Clone, order, switch, rename, remove: each is one revision with its comment."""
    with console.client() as client:
        put(client, rule("shop", "curl"), rule("a/b c"))
        why = {"comment": "why not"}
        assert client.post(f"{PATH}/clone", json={"rule": "shop", "newName": "copy"}, params=why).status_code == 200
        assert [(item["name"], item["disabled"]) for item in client.get(PATH).json()["rules"]] == [
            ("shop", False),
            ("copy", True),
            ("a/b c", False),
        ]
        assert client.put(f"{PATH}/order", json={"rules": ["a/b c", "copy", "shop"]}).status_code == 200
        assert client.patch(f"{PATH}/rules/copy", json={"disabled": False}).status_code == 200
        assert client.put(f"{PATH}/rules/a%2Fb c", json=rule("renamed")).status_code == 200
        assert client.delete(f"{PATH}/rules/copy").status_code == 200
        assert names(client) == ["renamed", "shop"]
        assert client.get(f"{PATH}/revisions").json()[4]["comment"] == "why not"
        for method, path, body, status in (
            ("POST", f"{PATH}/clone", {"rule": "gone", "newName": "x"}, 404),
            ("POST", f"{PATH}/clone", {"rule": "shop", "newName": "renamed"}, 409),
            ("POST", f"{PATH}/clone", {"rule": "shop", "newName": " x"}, 400),
            ("PUT", f"{PATH}/order", {"rules": ["shop"]}, 400),
            ("PUT", f"{PATH}/order", {"rules": ["shop", "shop"]}, 400),
            ("PUT", f"{PATH}/rules/gone", rule("x"), 404),
            ("PUT", f"{PATH}/rules/shop", rule("renamed"), 409),
            ("DELETE", f"{PATH}/rules/gone", None, 404),
        ):
            assert client.request(method, path, json=body).status_code == status, (path, body)
        assert client.delete(f"{PATH}/rules/shop", params={"coment": "x"}).status_code == 400


def test_there_is_a_way_back(console: ConsoleUnderTest) -> None:
    """Any two revisions can be compared, and an earlier one put in force again as a new one."""
    with console.client() as client:
        first = int(put(client, rule("one"), rule("two", "nc"), comment="first").strip('"'))
        second = int(put(client, rule("two", "nc", "curl"), rule("three"), rule("one")).strip('"'))
        answer = client.get(f"{PATH}/revisions/difference", params={"before": first, "after": second}).json()
        found = [(item["kind"], item["rule"], item["before"], item["after"]) for item in answer["changes"]]
        moved = [change for change in found if change[0] == "moved"]
        assert found[:2] == [("changed", "two", 2, 1), ("added", "three", None, 2)] or moved[0][1] == "two"
        assert len(moved) == 1
        same = client.get(f"{PATH}/revisions/difference", params={"before": second}).json()
        assert (same["toRevision"], same["changes"]) == (second, [])
        assert client.get(f"{PATH}/revisions/{first}").json()["policy"]["rules"][0]["name"] == "one"
        assert client.post(f"{PATH}/revisions/{first}/restore").status_code == 200
        assert names(client) == ["one", "two"]
        newest, *_ = client.get(f"{PATH}/revisions", params={"limit": 1}).json()
        assert (newest["comment"], newest["author"]) == (f"back to revision {first}", USER)
        older = client.get(f"{PATH}/revisions", params={"below": newest["revision"], "limit": 2}).json()
        assert [item["revision"] for item in older] == [second, first]
        assert client.get(f"{PATH}/revisions/{newest['revision'] + 1}").status_code == 404
        assert client.get(f"{PATH}/revisions/0").status_code == 422


def test_a_comment_is_one_line(console: ConsoleUnderTest) -> None:
    """A comment that would forge lines, or fill the history, is refused."""
    with console.client() as client:
        for comment in ("two\nlines", "x" * 501):
            assert client.put(PATH, json={"rules": []}, params={"comment": comment}).status_code == 400


def test_yaml_goes_out_and_comes_in(console: ConsoleUnderTest) -> None:
    """An export is short, is taken back without a change, and may hold comments."""
    with console.client() as client:
        put(client, rule("shop", "curl", collections=[{"name": "shop", "appIDs": ["shop:*"]}]), rule("off: yes"))
        answer = client.get(f"{PATH}/export")
        assert answer.headers["content-type"].startswith("application/yaml")
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.text == (
            "rules:\n- name: shop\n  collections:\n  - name: shop\n    appIDs:\n    - shop:*\n"
            "  processes:\n    effect: alert\n    blacklist:\n    - curl\n"
            "- name: 'off: yes'\n  processes:\n    effect: alert\n"
        )
        before = client.get(PATH).headers["etag"]
        again = client.put(PATH, content="# ours\n" + answer.text, headers={"Content-Type": "application/yaml"})
        assert again.headers["etag"] == before
        whole = client.get(f"{PATH}/export", params={"file_format": "json"})
        assert whole.json() == client.get(PATH).json()
        assert client.put(PATH, content=whole.content).headers["etag"] == before
        assert client.get(f"{PATH}/export", params={"file_format": "xml"}).status_code == 400


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rules: [", "not YAML: line "),
        ("rules:\n- name: a\n  name: b\n", "given twice"),
        ("rules: &a [*a]\n", "recursive"),
        ("- 1\n", "the policy"),
        ("rules:\n- name: r\n  processes: {effect: block}\n", "use `prevent`"),
        ("a: &a [" + "1," * 2000 + "]\nb: [" + "*a," * 200 + "]\n", "values"),
    ],
)
def test_what_is_no_policy_is_checked_without_harm(console: ConsoleUnderTest, text: str, named: str) -> None:
    """A check tells every problem and keeps nothing, also of YAML that unfolds without end."""
    with console.client() as client:
        before = client.get(PATH).headers["etag"]
        checked = client.post(f"{PATH}/check", content=text)
        assert checked.status_code == 200
        assert named in " ".join(checked.json()["problems"])
        assert client.put(PATH, content=text).status_code == 400
        assert client.get(PATH).headers["etag"] == before


def test_a_check_tells_what_would_change(console: ConsoleUnderTest) -> None:
    """Before anything is saved its effect on the policy is known, and what the library lacks."""
    with console.client() as client:
        put(client, rule("shop", "curl"))
        new = {"rules": [rule("shop", customRules=[{"_id": 77, "effect": "alert"}])]}
        answer = client.post(f"{PATH}/check", json=new).json()
        assert answer["problems"] == ["rule `shop`: there is no custom rule 77"]
        fields = {item["field"]: item for item in answer["changes"][0]["fields"]}
        assert fields["processes.blacklist"]["removed"] == ["curl"]
        assert client.post(f"{PATH}/convert", json={"rules": [rule("x")]}).text.startswith("rules:\n- name: x\n")


def test_matches_are_counted(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """A rule's counter follows the audits as they come, and tells the connected workloads; others invent no rule."""
    with console.client() as client:
        put(client, rule("counted", "curl"), rule("never"))
        defender = DefenderEnd(console, console.bundle(), tmp_path, app_id="hits:1")
        defender.connect()
        frame = defender.audits(1, 2, 3)
        for audit, name in zip(frame["audits"], ("counted", "counted", "invented"), strict=True):
            audit["rule"] = name
        defender.send(frame)
        assert defender.receive()["type"] == "ack"
        first, second = client.get(f"{PATH}/hits").json()
        defender.close()
    assert (first["rule"], first["hits"], first["workloads"]) == ("counted", 2, 1)
    assert first["lastHit"].endswith("Z")
    assert second == {"rule": "never", "hits": 0, "lastHit": None, "workloads": 0}


def test_custom_rules_have_users_and_a_history(console: ConsoleUnderTest) -> None:
    """Who uses a custom rule, what it was before, and what is wrong with one, by column."""
    script = {"_id": 31, "name": "no shells", "type": "processes", "script": 'proc.name = "sh"'}
    with console.client() as client:
        assert client.put("/custom-rules/31", json=script).status_code == 200
        assert client.put("/custom-rules/31", json={**script, "script": 'proc.name = "ash"'}).status_code == 200
        put(client, rule("shop", customRules=[{"_id": 31, "effect": "prevent"}]))
        assert client.get("/custom-rules/31/usages").json() == [
            {"rule": "shop", "effect": "prevent", "action": "audit", "disabled": False}
        ]
        assert client.get("/custom-rules/32/usages").status_code == 404
        assert client.get("/custom-rules/32/revisions").status_code == 404
        client.put("/custom-rules/31", json=script)
        assert client.get(f"{PATH}/revisions", params={"limit": 1}).json()[0]["comment"] == (
            "custom rule `no shells` changed"
        )
        put(client)
        client.delete("/custom-rules/31")
        states = client.get("/custom-rules/31/revisions").json()
        assert [item["rule"] and item["rule"]["script"] for item in states] == [
            None,
            'proc.name = "sh"',
            'proc.name = "ash"',
            'proc.name = "sh"',
        ]
        wrong = client.post("/custom-rules/check", json={**script, "script": 'proc.name = "sh" and', "name": ""}).json()
        assert [item["column"] for item in wrong if item["column"]] == [21]
        assert len(wrong) == 2
        assert client.post("/custom-rules/check", json=script).json() == []
        assert client.post("/custom-rules/check", content=b"{").json()[0]["message"].startswith("not JSON")


def test_a_trial_takes_a_rule_or_a_policy(console: ConsoleUnderTest) -> None:
    """What is tried is parsed as strictly as what is saved."""
    with console.client() as client:
        for body, status, named in (
            ({"rule": rule("x"), "policy": {"rules": []}}, 400, "one of them"),
            ({"days": 7}, 400, "one of them"),
            ({"rule": {"name": "x", "processes": {"effect": "block"}}}, 400, "use `prevent`"),
            ({"rule": rule("x"), "days": 91}, 400, "days"),
            ({"policy": {"rules": [rule("x")]}, "weeks": 1}, 400, "weeks"),
            # No audit is so young: there is nothing to judge, so nobody has to be asked.
            ({"policy": {"rules": [rule("x")]}, "days": 1}, 200, ""),
            ({"rule": rule("x"), "days": 1}, 200, ""),
        ):
            answer = client.post(f"{PATH}/trial", json=body)
            assert answer.status_code == status, (body, answer.text)
            assert named in answer.json().get("err", named)
