"""The runtime policy over the API."""

import pytest
from tests.channel.running import USER, ConsoleUnderTest

PATH = "/policies/runtime/app-embedded"
# The vendor's own sample of its API page, put in our words: only names and effects.
SAMPLE = {
    "name": "my-rule",
    "collections": [{"name": "All"}],
    "processes": {"effect": "alert"},
    "network": {"effect": "alert"},
    "dns": {"effect": "alert"},
}


def test_what_is_put_comes_back(console: ConsoleUnderTest) -> None:
    """A policy is stored whole, with owner and time, and its own output can be put again."""
    with console.client() as client:
        assert client.put(PATH, json={"rules": [SAMPLE]}).content == b""
        document = client.get(PATH).json()
        rule = document["rules"][0]
        assert document["_id"] == "appEmbeddedRuntime"
        assert (rule["name"], rule["owner"], rule["processes"]["effect"]) == ("my-rule", USER, "alert")
        assert rule["modified"].endswith("Z")
        assert client.put(PATH, json=document).status_code == 200
        assert client.get(PATH).json() == document


def test_one_rule_is_added_before_the_others(console: ConsoleUnderTest) -> None:
    """POST puts a rule first, where it takes effect; a name is taken only once."""
    with console.client() as client:
        client.put(PATH, json={"rules": [SAMPLE]})
        assert client.post(PATH, json={**SAMPLE, "name": "new"}).status_code == 200
        assert [rule["name"] for rule in client.get(PATH).json()["rules"]] == ["new", "my-rule"]
        answer = client.post(PATH, json={**SAMPLE, "name": "new"})
    assert answer.status_code == 409
    assert "`new`" in answer.json()["err"]


def test_an_equal_policy_is_no_new_revision(console: ConsoleUnderTest) -> None:
    """Pipelines that put the same policy every hour do not disturb anyone."""
    with console.client() as client:
        first = client.put(PATH, json={"rules": [SAMPLE]}).headers["policy-revision"]
        assert client.put(PATH, json={"rules": [SAMPLE]}).headers["policy-revision"] == first
        other = client.put(PATH, json={"rules": []}).headers["policy-revision"]
    assert int(other) == int(first) + 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"processes": {"effect": "block"}}, "block"),
        ({"wildFireAnalysis": "alert"}, "wildFireAnalysis"),
        ({"processes": {"effect": "alert", "blacklist": ["d41d8cd98f00b204e9800998ecf8427e"]}}, "SHA-256"),
        ({"filesystem": {"effect": "alert", "blacklist": ["etc"]}}, "filesystem"),
        ({"customRules": [{"_id": 4711, "effect": "alert"}]}, "there is no custom rule 4711"),
        ({"detections": {"telepathy": "alert"}}, "telepathy"),
        ({"network": {"effect": "alert", "blacklistIPs": ["10.0.0.0/33"]}}, "10.0.0.0/33"),
        ({"network": {"effect": "alert", "whitelistListeningPorts": [{"start": 2, "end": 1}]}}, "ListeningPorts"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(
    console: ConsoleUnderTest, change: dict[str, object], named: str
) -> None:
    """A policy that promises too much is not taken, and the old one stays."""
    with console.client() as client:
        client.put(PATH, json={"rules": [SAMPLE]})
        before = client.get(PATH).json()
        answer = client.put(PATH, json={"rules": [{**SAMPLE, **change}]})
        assert answer.status_code == 400
        assert named in answer.json()["err"]
        assert client.get(PATH).json() == before


def test_half_a_character_is_refused_in_an_answer(console: ConsoleUnderTest) -> None:
    """JSON can write what UTF-8 cannot; the refusal names it all the same."""
    with console.client() as client:
        answer = client.put(PATH, content=b'{"rules": [{"name": "r", "\\ud800": 1}]}')
    assert answer.status_code == 400
    assert "\\ud800" in answer.json()["err"]


def test_all_that_a_rule_can_say_comes_back(console: ConsoleUnderTest) -> None:
    """Checks, detections, files and listening ports are shown as they were asked for."""
    rule = {
        **SAMPLE,
        "processes": {"effect": "prevent", "checkCryptoMiners": True, "skipModified": False},
        "network": {"effect": "alert", "blacklistListeningPorts": [{"start": 4444, "end": 4444, "deny": True}]},
        "filesystem": {"effect": "prevent", "blacklist": ["/etc"], "backdoorFiles": True},
        "detections": {"reverseShell": "prevent", "inlineCode": "disable"},
        "advancedProtection": True,
    }
    with console.client() as client:
        assert client.put(PATH, json={"rules": [rule]}).status_code == 200
        document = client.get(PATH).json()
        shown = document["rules"][0]
        for section in ("processes", "network", "filesystem"):
            assert shown[section].items() >= rule[section].items()
        assert (shown["detections"], shown["advancedProtection"]) == (rule["detections"], True)
        revision = client.put(PATH, json=document).headers["policy-revision"]
        assert client.put(PATH, json={"rules": [rule]}).headers["policy-revision"] == revision
