"""Audits over the API: filters, paging, following."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit

PATH = "/audits/runtime/app-embedded"


@pytest.fixture(scope="module")
def reporter(console: ConsoleUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefenderEnd]:
    """Return a connected Defender with two containers that has reported one audit of each kind."""
    workloads = ({"container": "web", "image": "shop:1"}, {"container": "db", "image": "postgres:15"})
    directory = tmp_path_factory.mktemp("defender")
    end = DefenderEnd(console, console.bundle(), directory, app_id="kinds:1", workloads=workloads)
    end.connect()
    lookup = {"kind": "lookup", "name": "a.evil.test", "recordType": "A", "pid": 3, "path": "/usr/bin/curl"}
    connection = {"kind": "connection", "protocol": "tcp", "address": "203.0.113.9", "port": 4444, "pid": 4}
    notice = {"kind": "defender", "notice": "auditsDropped", "detail": "full", "count": 7}
    base = process_audit(1)
    audits = [
        base,
        {**base, "seq": 2, "time": base["time"] + 1000, "effect": "alert", "reason": "deniedName", "event": lookup},
        {
            **base,
            "seq": 3,
            "time": base["time"] + 2000,
            "reason": "portNotAllowed",
            "matched": None,
            "event": {**connection, "path": "/usr/bin/nc", "resolver": False},
        },
        {
            **base,
            "seq": 4,
            "time": base["time"] + 3000,
            "effect": "alert",
            "rule": None,
            "reason": "defender",
            "event": notice,
        },
    ]
    for container, part in (("web", audits[:2]), ("db", audits[2:])):
        end.send({"type": "audits", "source": end.instance, "container": container, "audits": part})
        end.receive()
    yield end
    end.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1]),
        ({"sort": "time"}, [1, 2, 3, 4]),
        ({"sort": "time", "reverse": "true"}, [4, 3, 2, 1]),
        ({"reverse": "false"}, [1, 2, 3, 4]),
        ({"limit": 2}, [4, 3]),
        ({"limit": 2, "offset": 2}, [2, 1]),
        ({"offset": 10}, []),
        ({"type": "network"}, [3, 2]),
        ({"type": "processes,defender"}, [4, 1]),
        ({"effect": "alert"}, [4, 2]),
        ({"attackType": ["explicitlyDeniedDNS", "explicitlyDeniedOutboundPort"]}, [3, 2]),
        ({"container": "db"}, [4, 3]),
        ({"imageName": "shop:1"}, [2, 1]),
        ({"profileID": "kinds:1_db"}, [4, 3]),
        ({"ruleName": "shop"}, [3, 2, 1]),
        ({"user": "0"}, [1]),
        ({"processPath": "/usr/bin/nc"}, [3]),
        ({"severity": "high"}, [2, 1]),
        ({"reason": "portNotAllowed,deniedName"}, [3, 2]),
        ({"attackTechniques": "T1059"}, [1]),
        ({"attackTechniques": "T1071"}, [2]),
        ({"attackTechniques": ["T1071.004", "T1571"]}, [3, 2]),
        ({"attackTechniques": "T107"}, []),
        ({"attackTechniques": "%"}, []),
        ({"msg": "EVIL"}, [2]),
        ({"msg": "%"}, []),
        ({"hostname": "kinds:1", "type": "defender"}, [4]),
        ({"appID": "kinds:2"}, []),
        ({"from": "2025-11-21T01:53:21Z"}, [4, 3, 2]),
        ({"time": "2025-11-21T01:53:21Z"}, [2]),
        ({"time": "2025-11-21T01:53:21.500Z"}, []),
        ({"time": "2025-11-21T01:53:21Z", "to": "2025-11-21T01:53:21Z"}, []),
        ({"os": "Linux"}, [4, 3, 2, 1]),
        ({"os": "windows"}, []),
        ({"containerID": "4f"}, []),
        ({"cluster": "prod"}, []),
        ({"namespace": "shop"}, []),
        ({"interactive": "true"}, []),
        ({"interactive": "false", "type": "network"}, [3, 2]),
        ({"to": "2025-11-21T01:53:21.000Z"}, [1]),
        ({"from": "2025-11-21T02:53:21+01:00", "to": "2025-11-21T01:53:22.500Z"}, [3, 2]),
    ],
)
@pytest.mark.usefixtures("reporter")
def test_filters_and_order(console: ConsoleUnderTest, query: dict[str, Any], expected: list[int]) -> None:
    """Each filter leaves what it says; the newest come first unless a sort is asked for."""
    kinds = {
        "explicitlyDeniedProcess": 1,
        "explicitlyDeniedDNS": 2,
        "explicitlyDeniedOutboundPort": 3,
        "auditsDropped": 4,
    }
    found = console.audits(**{"appID": "kinds:1", **query})
    assert [kinds[audit["attackType"]] for audit in found] == expected


@pytest.mark.usefixtures("reporter")
def test_an_audit_can_be_had_by_its_id(console: ConsoleUnderTest) -> None:
    """Ids are stable, and `Total-Count` counts what matches, not what is shown."""
    audit = console.audits(appID="kinds:1", type="defender")[0]
    assert console.audits(id=audit["_id"]) == [audit]
    assert (audit["count"], audit["msg"]) == (7, "audits were given up, since the spool was full: full")


@pytest.mark.usefixtures("reporter")
def test_fields_are_chosen(console: ConsoleUnderTest) -> None:
    """With `fields` an audit has only those and its id; a field that no audit has is refused by name."""
    found = console.audits(appID="kinds:1", fields="effect,msg", type="defender")
    assert [set(audit) for audit in found] == [{"_id", "effect", "msg"}]
    with console.client() as client:
        refused = client.get(PATH, params={"fields": "effect,colour"})
    assert refused.status_code == 400
    assert "`colour`" in refused.json()["err"]


def test_audits_that_are_alike_are_one(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """With `aggregate` the newest stands for all, with their count and the first time; `Total-Count` counts groups."""
    end = DefenderEnd(console, console.bundle(), tmp_path, app_id="alike:1")
    end.connect()
    message = end.audits(1, 2, 3, 4)
    message["audits"][1]["count"] = 5
    message["audits"][3]["effect"] = "alert"
    end.send(message)
    end.receive()
    end.close()
    with console.client() as client:
        answer = client.get(PATH, params={"appID": "alike:1", "aggregate": "true"})
        page = client.get(PATH, params={"appID": "alike:1", "aggregate": "true", "offset": 1, "sort": "effect"}).json()
    found = answer.json()
    assert answer.headers["total-count"] == "2"
    assert [(audit["effect"], audit.get("count", 1), audit["command"]) for audit in found] == [
        ("alert", 1, "sh -c 'id 4'"),
        ("prevent", 7, "sh -c 'id 3'"),
    ]
    assert found[1]["firstSeen"] == "2025-11-21T01:53:20.001Z"
    assert console.audits(id=found[1]["_id"])[0]["command"] == "sh -c 'id 3'"
    assert page == [found[1]]


@pytest.mark.usefixtures("reporter")
def test_all_audits_can_be_had_as_a_table(console: ConsoleUnderTest) -> None:
    """The download has a line for each audit that matches, and takes the list's filters."""
    with console.client() as client:
        answer = client.get(f"{PATH}/download", params={"appID": "kinds:1", "container": "web", "to": "2025-11-22"})
        refused = client.get(f"{PATH}/download", params={"limit": 1})
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["Attack type"] for line in lines] == ["explicitlyDeniedProcess", "explicitlyDeniedDNS"]
    assert (lines[0]["Message"], lines[1]["Domain"]) == (console.audits(id=lines[0]["ID"])[0]["msg"], "a.evil.test")
    assert refused.status_code == 400


class Follower:
    """A reader of the live stream."""

    def __init__(self, stream: httpx.Response) -> None:
        assert stream.headers["content-type"].startswith("text/event-stream")
        self._lines = stream.iter_lines()
        self.last_id = ""

    def start(self) -> None:
        """Wait until the stream has begun."""
        for line in self._lines:
            if line.startswith("id: "):
                self.last_id = line.removeprefix("id: ")
                return

    def next(self) -> dict[str, Any]:
        """Return the next audit."""
        for line in self._lines:
            if line.startswith("id: "):
                self.last_id = line.removeprefix("id: ")
            if line.startswith("data: "):
                return dict(json.loads(line.removeprefix("data: ")))
        raise AssertionError("the stream ended")


def test_following_shows_audits_as_they_come_and_resumes(console: ConsoleUnderTest, reporter: DefenderEnd) -> None:
    """A follower sees each new audit once; with the last id it goes on where it was, without gap or repetition."""
    params = {"appID": "kinds:1"}
    with console.client() as client:
        with client.stream("GET", f"{PATH}/follow", params=params) as stream:
            follower = Follower(stream)
            follower.start()
            reporter.send(reporter.audits(10, 11))
            reporter.receive()
            assert [follower.next()["command"] for _ in range(2)] == ["sh -c 'id 10'", "sh -c 'id 11'"]
        reporter.send(reporter.audits(*range(12, 412)))
        reporter.receive()
        with client.stream(
            "GET", f"{PATH}/follow", params=params, headers={"Last-Event-ID": follower.last_id}
        ) as stream:
            resumed = Follower(stream)
            resumed.start()
            missed = [resumed.next()["command"] for _ in range(400)]
            assert missed == [f"sh -c 'id {number}'" for number in range(12, 412)]
            reporter.send(reporter.audits(500))
            reporter.receive()
            assert resumed.next()["command"] == "sh -c 'id 500'"


def test_a_follower_sees_only_what_it_asked_for(console: ConsoleUnderTest, reporter: DefenderEnd) -> None:
    """The stream takes the list's filters."""
    with (
        console.client() as client,
        client.stream("GET", f"{PATH}/follow", params={"appID": "kinds:1", "container": "db"}) as stream,
    ):
        follower = Follower(stream)
        follower.start()
        reporter.send(reporter.audits(600, container="web"))
        reporter.receive()
        reporter.send(reporter.audits(601, container="db"))
        reporter.receive()
        assert follower.next()["containerName"] == "db"


@pytest.mark.parametrize("last", ["x", "-1", "9" * 30])
def test_a_bad_last_event_id_is_refused(console: ConsoleUnderTest, last: str) -> None:
    """The id to resume from is a number."""
    with console.client() as client:
        assert client.get(f"{PATH}/follow", headers={"Last-Event-ID": last}).status_code == 400
