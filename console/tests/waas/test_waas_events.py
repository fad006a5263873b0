"""WAAS events from a Defender to the API."""

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit, running_console
from tests.waas.events import EVENTS, MINUTE, NOON, report, request_audit
from tests.waas.policies import PATH, application, rule


@pytest.fixture(scope="module")
def reporter(console: ConsoleUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefenderEnd]:
    """Return a Defender that has reported events of several kinds, and a runtime audit between them."""
    end = DefenderEnd(console, console.bundle(), tmp_path_factory.mktemp("defender"), app_id="kinds:1")
    end.connect()
    other = {"address": "2001:db8::9", "peers": [], "country": "de", "userAgent": "sqlmap/1.8", "method": "POST"}
    bot = {"type": "attackTools", "protection": "bot", "field": None, "message": "a scanner", "path": "/login"}
    assert report(
        end,
        request_audit(1),
        request_audit(2, time=NOON + MINUTE, effect="alert", type="xss", query="q=<script>", message="XSS"),
        process_audit(3),
        request_audit(4, time=NOON + 2 * MINUTE, effect="ban", host="admin.test", **other, **bot),
    ) == {"type": "ack", "source": end.instance, "committed": 4}
    assert report(end, request_audit(5, time=NOON + 3 * MINUTE, type="lfi"), container="web")["committed"] == 5
    yield end
    end.close()


def events(console: ConsoleUnderTest, **query: Any) -> list[dict[str, Any]]:
    """Return a page of events."""
    with console.client() as client:
        answer = client.get(EVENTS, params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [5, 4, 2, 1]),
        ({"sort": "time"}, [1, 2, 4, 5]),
        ({"reverse": "false"}, [1, 2, 4, 5]),
        ({"limit": 1, "offset": 1}, [4]),
        ({"from": "2025-11-21T12:01:00Z", "to": "2025-11-21T12:02:00Z"}, [4, 2]),
        ({"type": "sqli,xss"}, [2, 1]),
        ({"effect": "ban"}, [4]),
        ({"protection": "bot"}, [4]),
        ({"ruleName": "shop", "ruleAppID": "storefront", "hostname": "kinds:1"}, [5, 4, 2, 1]),
        ({"ruleName": "other"}, []),
        ({"containerName": "web"}, [5]),
        ({"imageName": "shop:1"}, [5]),
        ({"subnet": "203.0.113.0/24"}, [5, 2, 1]),
        ({"subnet": "2001:db8::/64"}, [4]),
        ({"subnet": "203.0.113.9,2001:db8::9"}, [5, 4, 2, 1]),
        ({"subnet": "0.0.0.0/0"}, [5, 2, 1]),
        ({"connectingIPs": "10.0.0.7"}, [5, 2, 1]),
        ({"connectingIPs": "10.0.0"}, []),
        ({"country": "DE"}, [4]),
        ({"userAgentHeader": "SQLMAP"}, [4]),
        ({"url": "shop.test/item"}, [5, 4, 2, 1]),
        ({"requestHost": "admin"}, [4]),
        ({"urlPath": "/login"}, [4]),
        ({"urlQuery": "<script>"}, [2]),
        ({"urlQuery": "%"}, [5, 4, 1]),
        ({"method": "POST"}, [4]),
        ({"requestHeaderNames": "x-trace"}, [5, 4, 2, 1]),
        ({"requestHeaderNames": "trace"}, []),
        ({"msg": "scanner"}, [4]),
        ({"eventID": "event2"}, [2]),
        ({"attackTechniques": "T1190"}, [5, 2, 1]),
        ({"owaspTop10": "injection"}, [2, 1]),
        ({"owaspAPITop10": "securityMisconfiguration"}, [5, 4]),
        ({"cluster": "prod"}, []),
        ({"os": "linux"}, [5, 4, 2, 1]),
        ({"os": "windows"}, []),
    ],
)
@pytest.mark.usefixtures("reporter")
def test_filters_and_order(console: ConsoleUnderTest, query: dict[str, Any], expected: list[int]) -> None:
    """Each of the vendor's filters leaves what it says; the newest come first unless a sort is asked for."""
    found = events(console, **{"appID": "kinds:1", **query})
    assert [int(event["eventID"].removeprefix("event")) for event in found] == expected


@pytest.mark.usefixtures("reporter")
def test_an_event_has_the_vendors_names(console: ConsoleUnderTest) -> None:
    """All that was reported is there by the vendor's names; who reported comes from the session."""
    (event,) = events(console, eventID="event1")
    assert event["_id"].isdigit()
    assert {name: event[name] for name in event if name not in ("_id", "defenderID")} == {
        "time": "2025-11-21T12:00:00.000Z",
        "appID": "kinds:1",
        "hostname": "kinds:1",
        "profileId": "kinds:1",
        "ruleName": "shop",
        "ruleAppID": "storefront",
        "effect": "prevent",
        "type": "sqli",
        "protection": "firewall",
        "msg": "SQL injection in the query's value `id`",
        "attackField": {"type": "queryValues", "key": "id", "value": "' OR '1"},
        "attackTechniques": ["T1190"],
        "owaspTop10": "injection",
        "owaspAPITop10": "injection",
        "eventID": "event1",
        "url": "shop.test/item?id=%27%20OR%20%271",
        "urlPath": "/item",
        "urlQuery": "id=%27%20OR%20%271",
        "method": "GET",
        "requestHost": "shop.test",
        "requestHeaders": "GET /item HTTP/1.1\r\nHost: shop.test\r\n",
        "requestHeaderNames": ["Host", "X-Trace"],
        "statusCode": 403,
        "userAgentHeader": "curl/8.5.0",
        "subnet": "203.0.113.9",
        "connectingIPs": ["203.0.113.9", "10.0.0.7"],
        "rules": [942100],
        "count": 1,
        "firewallType": "app-embedded",
        "score": 5,
        "resource": {"appIDs": ["kinds:1"]},
        "version": "0.1.0",
    }


@pytest.mark.usefixtures("reporter")
def test_runtime_audits_and_incidents_are_untouched(console: ConsoleUnderTest) -> None:
    """Requests are no runtime audits and no incidents, and the runtime audit among them is no event."""
    assert [audit["command"] for audit in console.audits(appID="kinds:1")] == ["sh -c 'id 3'"]
    with console.client() as client:
        assert client.get("/audits/incidents").json() == []


def test_an_event_arrives_once(console: ConsoleUnderTest, reporter: DefenderEnd) -> None:
    """What is sent again after a broken link is acknowledged, and counted once, aggregated or not."""
    batch = [request_audit(number, time=NOON - 60 * MINUTE, path="/once") for number in (20, 21)]
    assert report(reporter, *batch)["committed"] == 21
    assert report(reporter, *batch, request_audit(22, time=NOON - 60 * MINUTE, path="/once"))["committed"] == 22
    assert len(events(console, urlPath="/once")) == 3
    assert [event["count"] for event in events(console, urlPath="/once", aggregate="true")] == [3]


def test_like_events_within_five_minutes_are_one(console: ConsoleUnderTest, reporter: DefenderEnd) -> None:
    """A chain of like events is one while the gaps are below 5 minutes; another client, path or kind is another."""
    base = NOON + 600 * MINUTE
    chain = [request_audit(30 + step, time=base + step * 4 * MINUTE, path="/alike") for step in range(3)]
    late = request_audit(33, time=base + 8 * MINUTE + 5 * MINUTE, path="/alike")
    others = [
        request_audit(34, time=base, path="/alike", address="198.51.100.1"),
        request_audit(35, time=base, path="/alike", type="xss"),
    ]
    repeated = request_audit(36, time=base + MINUTE, path="/alike") | {"count": 7}
    report(reporter, *chain, late, *others, repeated)
    with console.client() as client:
        answer = client.get(EVENTS, params={"urlPath": "/alike", "aggregate": "true"})
    found = answer.json()
    assert answer.headers["total-count"] == "4"
    counts = {(event["subnet"], event["type"], event["firstSeen"]): event.get("count", 1) for event in found}
    assert counts == {
        ("203.0.113.9", "sqli", "2025-11-21T22:00:00.000Z"): 10,
        ("203.0.113.9", "sqli", "2025-11-21T22:13:00.000Z"): 1,
        ("198.51.100.1", "sqli", "2025-11-21T22:00:00.000Z"): 1,
        ("203.0.113.9", "xss", "2025-11-21T22:00:00.000Z"): 1,
    }
    (oldest, *_) = list(events(console, eventID="event30"))
    assert oldest["urlPath"] == "/alike"


@pytest.mark.usefixtures("reporter")
def test_events_over_time(console: ConsoleUnderTest) -> None:
    """The buckets cover the time from end to end, and hold every event once."""
    query = {"appID": "kinds:1", "from": "2025-11-21T12:00:00Z", "to": "2025-11-21T12:03:59.999Z", "buckets": 4}
    with console.client() as client:
        found = client.get(f"{EVENTS}/timeslice", params=query).json()
        nothing = client.get(f"{EVENTS}/timeslice", params={"appID": "nobody"}).json()
        assert client.get(f"{EVENTS}/timeslice", params={"buckets": 0}).status_code == 422
    assert [item["count"] for item in found] == [1, 1, 1, 1]
    assert (found[0]["start"], found[-1]["end"]) == ("2025-11-21T12:00:00.000Z", "2025-11-21T12:04:00.000Z")
    assert all(one["end"] == two["start"] for one, two in itertools.pairwise(found))
    assert nothing == []


def test_a_download_cannot_run_in_a_spreadsheet(console: ConsoleUnderTest, reporter: DefenderEnd) -> None:
    """Every event is a line, and a cell that a spreadsheet would take for a formula begins with `'`."""
    report(reporter, request_audit(50, path="/csv", userAgent='=cmd|" /C calc"!A0', query="+1", message="@SUM(1)"))
    with console.client() as client:
        answer = client.get(f"{EVENTS}/download", params={"urlPath": "/csv"})
        assert client.get(f"{EVENTS}/download", params={"limit": 1}).status_code == 400
    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert answer.headers["content-type"].startswith("text/csv")
    assert (line["User agent"], line["Query"], line["Message"]) == ('\'=cmd|" /C calc"!A0', "'+1", "'@SUM(1)")
    assert (line["Source IP"], line["Rules"]) == ("203.0.113.9", "942100")


@pytest.mark.parametrize(
    ("query", "words"),
    [("subnet=nowhere", "subnet"), ("id=x", "id"), ("sort=msg", "sort"), ("colour=red", "colour")],
)
def test_bad_filters_are_refused(console: ConsoleUnderTest, query: str, words: str) -> None:
    """A filter that cannot be meant gets one clear error."""
    with console.client() as client:
        answer = client.get(f"{EVENTS}?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["err"]


@pytest.mark.parametrize(
    "changed",
    [
        {"reason": "deniedProcess"},
        {"event": process_audit(1)["event"]},
        {"reason": "deniedProcess", "event": process_audit(1)["event"], "effect": "ban"},
        {"event": {**request_audit(1)["event"], "type": "not a word"}},
        {"event": {**request_audit(1)["event"], "protection": "luck"}},
        {"event": {**request_audit(1)["event"], "status": "403"}},
        {"event": {**request_audit(1)["event"], "rules": [-1]}},
    ],
)
def test_what_is_no_event_ends_the_session(console: ConsoleUnderTest, tmp_path: Path, changed: dict[str, Any]) -> None:
    """A message that breaks the types is refused, and nothing of it is kept."""
    end = DefenderEnd(console, console.bundle(), tmp_path, app_id="rogue:1")
    end.connect()
    answer = report(end, request_audit(1), request_audit(2) | changed)
    assert (answer["type"], answer["code"]) == ("error", "badMessage")
    assert events(console, appID="rogue:1") == []
    end.close()


def test_a_false_alarm_becomes_an_exception(tmp_path: Path) -> None:
    """From an event to the policy: shown by a dry run, then in force at the Defender, and not twice."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        with console.client() as client:
            other = application(appID="other")
            assert client.put(PATH, json={"rules": [rule("shop", application(), other)]}).status_code == 200
            end = DefenderEnd(console, console.bundle(), tmp_path)
            end.connect()
            end.receive_waas()
            report(end, request_audit(1), request_audit(2, type="dos", protection="dos"), request_audit(3, field=None))
            agent = {"type": "UserAgentHeader", "key": "User-Agent", "value": "x"}
            report(end, request_audit(4, type="nosql"), request_audit(5, field=agent))
            nearest = client.post(f"{EVENTS}/4/exception", params={"dryRun": "true"}).json()
            assert nearest["protection"] == "sqli"
            whole = client.post(f"{EVENTS}/5/exception", params={"dryRun": "true"}).json()
            assert (whole["exception"]["location"], whole["exception"]["key"]) == ("UserAgentHeader", "curl/8.5.0")
            path = f"{EVENTS}/1/exception"
            before = client.get(PATH).json()
            dry = client.post(path, params={"dryRun": "true"}).json()
            assert (dry["applied"], dry["protection"], dry["ruleName"], dry["appID"]) == (
                False, "sqli", "shop", "storefront"
            )  # fmt: skip
            assert dry["exception"]["location"] == "queryValues"
            assert client.get(PATH).json() == before
            done = client.post(path).json()
            assert done["applied"]
            assert done["policy"] == client.get(PATH).json()
            mine, others = end.receive_waas()["policy"]["applications"]
            assert [(item["location"], item["key"]) for item in mine["sqli"]["exceptionFields"]] == [
                ("queryValues", "id")
            ]
            assert others["sqli"]["exceptionFields"] == []
            assert client.post(path).status_code == 409
            assert "`dos` have no exceptions" in client.post(f"{EVENTS}/2/exception").json()["err"]
            assert client.post(f"{EVENTS}/3/exception").status_code == 400
            assert client.post(f"{EVENTS}/99/exception").status_code == 404
            assert client.post(f"{EVENTS}/x/exception").status_code == 400
            client.put(PATH, json={"rules": []})
            assert client.post(path).status_code == 404
        end.close()
