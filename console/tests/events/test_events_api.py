"""Events over the API: filters, pages, facets, counts, export, following."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit
from tests.waas.events import NOON, report, request_audit


@pytest.fixture(scope="module")
def reporter(console: ConsoleUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefenderEnd]:
    """Return a Defender that has reported three audits and two WAAS events, in turn."""
    directory = tmp_path_factory.mktemp("defender")
    end = DefenderEnd(console, console.bundle(), directory, app_id="both:1")
    end.connect()
    base = process_audit(1)
    lookup = {"kind": "lookup", "name": "a.evil.test", "recordType": "A", "pid": 3, "path": "/usr/bin/curl"}
    audits = [
        {**base, "time": NOON, "event": {**base["event"], "arguments": ["=cmd|' /C calc'!A0"]}},
        {**base, "seq": 2, "time": NOON + 2000, "effect": "alert", "reason": "deniedName", "event": lookup},
        {**base, "seq": 3, "time": NOON + 4000},
    ]
    end.send({"type": "audits", "source": end.instance, "container": "web", "audits": audits})
    end.receive()
    report(
        end,
        request_audit(4, time=NOON + 1000, country="de"),
        request_audit(5, time=NOON + 3000, type="xss", effect="alert", message="XSS", url="http://x.test/?q=%"),
    )
    yield end
    end.close()


def get(console: ConsoleUnderTest, path: str = "", status: int = 200, **query: Any) -> Any:
    """Return the answer to a question about events."""
    with console.client() as client:
        answer = client.get(f"/events{path}", params={"appID": "both:1", **query} if status == 200 else query)
        assert answer.status_code == status, answer.text
        return answer.json()


def short(page: dict[str, Any]) -> list[int]:
    """Return when the events of a page happened, in seconds after noon."""
    times = [(event.get("runtime") or event["waas"])["time"] for event in page["events"]]
    return [int(time[17:19]) % 60 for time in times]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"limit": 2}, [4, 3]),
        ({"kind": "waas"}, [3, 1]),
        ({"kind": "runtime,waas", "effect": "prevent"}, [4, 1, 0]),
        ({"severity": "high"}, [4, 2, 0]),
        ({"type": "network,xss"}, [3, 2]),
        ({"reason": "deniedName"}, [2]),
        ({"protection": "firewall"}, [3, 1]),
        ({"country": "DE"}, [1]),
        ({"container": "db"}, []),
        ({"ruleName": "shop", "kind": "runtime"}, [4, 2, 0]),
        ({"attackTechniques": "T1190"}, [3, 1]),
        ({"processPath": "/usr/bin/curl"}, [2]),
        ({"user": "0"}, [4, 0]),
        ({"method": "GET"}, [3, 1]),
        ({"subnet": "0.0.0.0/0"}, [3, 1]),
        ({"q": "EVIL curl"}, [2]),
        ({"q": "evil firefox"}, []),
        ({"q": "x.test/?q=%"}, [3]),
        ({"from": "2025-11-21T12:00:02Z", "to": "2025-11-21T12:00:03Z"}, [3, 2]),
    ],
)
@pytest.mark.usefixtures("reporter")
def test_filters(console: ConsoleUnderTest, query: dict[str, Any], expected: list[int]) -> None:
    """Each filter leaves what it says, the newest first."""
    assert short(get(console, **query)) == expected


@pytest.mark.usefixtures("reporter")
def test_pages_lead_both_ways(console: ConsoleUnderTest) -> None:
    """`older` leads to the end, and `newer` back to the same pages."""
    first = get(console, limit=2)
    second = get(console, limit=2, cursor=first["older"])
    third = get(console, limit=2, cursor=second["older"])
    assert (short(second), short(third), third.get("older")) == ([2, 1], [0], None)
    assert short(get(console, limit=2, cursor=third["newer"])) == [2, 1]


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("", {"cursor": "x"}, "`cursor`"),
        ("", {"kind": "waas,admin"}, "`kind`: `admin`"),
        ("", {"efect": "alert"}, "unknown query parameter `efect`"),
        ("", {"subnet": "here"}, "`subnet`"),
        ("", {"q": "a b c d e f g h i j k"}, "at most 10 words"),
        ("/timeslice", {"from": "2025-11-22T00:00:00Z", "to": "2025-11-21T00:00:00Z"}, "later than"),
        ("/12", {}, "an event's id"),
    ],
)
def test_bad_questions_are_refused(console: ConsoleUnderTest, path: str, query: dict[str, str], words: str) -> None:
    """What cannot be meant is named."""
    assert words in get(console, path, status=400, **query)["err"]


@pytest.mark.usefixtures("reporter")
def test_one_event_by_its_id(console: ConsoleUnderTest) -> None:
    """An event of the list can be had by itself; one that is not there is missing."""
    event = get(console, kind="waas", limit=1)["events"][0]
    with console.client() as client:
        alone = client.get(f"/events/{event['id']}").json()
    assert {**alone, **event} == alone
    get(console, "/waas-999999", status=404)


@pytest.mark.usefixtures("reporter")
def test_facets_and_slices(console: ConsoleUnderTest) -> None:
    """Both count the events of both kinds."""
    facets = get(console, "/facets")["facets"]
    assert {item["value"]: item["count"] for item in facets["effect"]} == {"prevent": 3, "alert": 2}
    span = {"from": "2025-11-21T12:00:00Z", "to": "2025-11-21T12:00:04.999Z"}
    slices = get(console, "/timeslice", buckets=5, **span)["slices"]
    assert [sum(item["counts"].values()) for item in slices] == [1, 1, 1, 1, 1]


@pytest.mark.usefixtures("reporter")
def test_exports_are_whole_and_safe(console: ConsoleUnderTest) -> None:
    """CSV has a line for each event and no formula; JSON Lines have the events as the list has them."""
    with console.client() as client:
        table = client.get("/events/export", params={"appID": "both:1"})
        lines = client.get("/events/export", params={"appID": "both:1", "format": "jsonl"})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["Kind"] for row in rows] == ["runtime", "waas", "runtime", "waas", "runtime"]
    assert rows[4]["Command"].startswith("'")
    assert not any(cell.startswith("=") for cell in rows[4].values())
    assert [json.loads(line) for line in lines.text.splitlines()] == get(console)["events"]


def test_following_resumes_where_it_was(console: ConsoleUnderTest, reporter: DefenderEnd) -> None:
    """A follower gets what is committed after it came, of both kinds; with `Last-Event-ID` what it missed."""
    with console.client() as client, client.stream("GET", "/events/follow", params={"q": "later"}) as stream:
        lines = stream.iter_lines()
        place = next(line for line in lines if line.startswith("id: "))
        later = request_audit(6, time=NOON - 60_000, message="later")
        report(reporter, later)
        first = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
        assert first["waas"]["msg"] == "later"
    headers = {"Last-Event-ID": place[4:]}
    with console.client() as client, client.stream("GET", "/events/follow", headers=headers) as stream:
        again = json.loads(next(line for line in stream.iter_lines() if line.startswith("data: "))[6:])
    assert again == first
    with console.client() as client:
        assert client.get("/events/follow", headers={"Last-Event-ID": "12"}).status_code == 400
