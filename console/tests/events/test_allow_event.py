"""Allowing what an event tells of, over the API; what Defenders get is looked at."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit
from tests.waas.events import NOON, report, request_audit

RULE = {
    "name": "shop",
    "processes": {"effect": "prevent", "whitelist": ["/usr/bin/python3.11"], "blacklist": ["sh"]},
}


@pytest.fixture(scope="module")
def reporter(console: ConsoleUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefenderEnd]:
    """Return a Defender under the rule, that has reported a denied shell, an unlisted program and a request."""
    console.put_policy(RULE)
    end = DefenderEnd(console, console.bundle(), tmp_path_factory.mktemp("defender"))
    end.connect()
    base = process_audit(1)
    curl = {**base["event"], "path": "/usr/bin/curl", "invoked": "/usr/bin/curl", "arguments": ["curl", "x.test"]}
    audits = [base, {**base, "seq": 2, "reason": "processNotAllowed", "matched": None, "event": curl},
              {**base, "seq": 3, "rule": "gone"}]  # fmt: skip
    report(end, *audits, container="web")
    report(end, request_audit(4, time=NOON))
    yield end
    end.close()


def event_of(console: ConsoleUnderTest, **query: Any) -> str:
    """Return the id of the newest event that matches."""
    with console.client() as client:
        return str(client.get("/events", params=query).json()["events"][0]["id"])


def allow(console: ConsoleUnderTest, event: str, status: int = 200, **query: Any) -> Any:
    """Ask for an event to be allowed, and return the answer."""
    with console.client() as client:
        answer = client.post(f"/events/{event}/allow", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()


def test_a_preview_changes_nothing_and_applying_reaches_the_defender(
    console: ConsoleUnderTest, reporter: DefenderEnd
) -> None:
    """The entry that was missing is shown, then put on the list, and the Defender gets the new policy."""
    event = event_of(console, reason="processNotAllowed")
    shown = allow(console, event, dryRun="true")
    assert shown["changes"] == [{"field": "processes.whitelist", "entry": "/usr/bin/curl", "added": True}]
    assert (shown["applied"], shown["before"]["processes"]["whitelist"]) == (False, ["/usr/bin/python3.11"])
    done = allow(console, event, revision=shown["revision"])
    assert (done["applied"], done["after"], done["revision"]) == (True, shown["after"], shown["revision"] + 1)
    policy = reporter.receive()["policies"][0]["policy"]
    assert policy["processes"]["allow"] == ["/usr/bin/python3.11", "/usr/bin/curl"]
    assert "already" in allow(console, event, status=400)["err"]
    assert "changed meanwhile" in allow(console, event, status=409, revision=shown["revision"])["err"]


def test_a_wide_denial_gets_a_custom_rule(console: ConsoleUnderTest, reporter: DefenderEnd) -> None:
    """The deny list keeps its entry; the Defender gets a custom rule that allows this program from this parent."""
    event = event_of(console, reason="deniedProcess", ruleName="shop")
    shown = allow(console, event, dryRun="true")
    with console.client() as client:
        assert client.get("/custom-rules").json() == []
    done = allow(console, event)
    assert done["customRule"]["script"] == 'proc.path = "/usr/bin/dash" and proc.ppath = "/usr/bin/python3.11"'
    assert shown["customRule"]["name"] == done["customRule"]["name"]
    policy = reporter.receive()["policies"][0]["policy"]
    assert (policy["processes"]["deny"], policy["custom"][0]["effect"]) == (["sh"], "allow")


@pytest.mark.usefixtures("reporter")
def test_an_event_tells_what_is_around_it(console: ConsoleUnderTest) -> None:
    """Rule, Defender and the entry that matched come with it; of a rule that is gone that is said, and none allows."""
    with console.client() as client:
        event = client.get(f"/events/{event_of(console, reason='deniedProcess', ruleName='shop')}").json()
        gone = client.get(f"/events/{event_of(console, ruleName='gone')}").json()
    assert event["rule"] == {"name": "shop", "present": True, "disabled": False}
    assert (event["defender"]["connected"], event["defender"]["appID"]) == (True, "shop:1")
    assert event["runtime"]["matched"] == "sh"
    assert gone["rule"]["present"] is False
    assert "`gone`" in allow(console, gone["id"], status=404)["err"]
    assert "no WAAS rule" in allow(console, event_of(console, kind="waas"), status=404)["err"]
