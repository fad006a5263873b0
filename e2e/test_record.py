"""Incidents, forensics and learning: a real task, and what the Console knows of it afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable

from console import Console, Json
from images import SEED_DEFINITION
from task import Task
from waiting import eventually

RunTask = Callable[..., Task]
WATCHED = {
    "name": "watched",
    "collections": [{"name": "All"}],
    **{section: {"effect": "alert"} for section in ("processes", "dns", "network")},
}


def fetched(console: Console) -> list[Json]:
    """Fetch the record of the only workload and return its events."""
    task = console.defenders(connected=True)[0]
    number = console.request("POST", "forensics", json={"appID": task["appID"], "container": "web"}).json()["_id"]

    def complete() -> Json | None:
        snapshot: Json = console.request("GET", f"forensics/{number}").json()
        assert snapshot["state"] in ("fetching", "complete"), snapshot
        return snapshot if snapshot["state"] == "complete" else None

    eventually(complete, what="the record")
    lines = console.request("GET", f"forensics/{number}/download").text.splitlines()
    return [json.loads(line) for line in lines]


def test_the_record_tells_what_happened_without_secrets(console: Console, run_task: RunTask) -> None:
    """Programs with their parents, look-ups and connections are in the record, also those that were allowed."""
    console.put_policy(WATCHED)
    task = run_task(SEED_DEFINITION)
    assert "uid=" in task.track("BTZ-1 -exec sh -c id --password=hush ;")
    task.track("BTZ-1 -exec nslookup good.test ;")
    task.track("BTZ-1 -exec wget -O - http://127.0.0.1:9/ ;")

    recorded = fetched(console)

    events = [item["event"] for item in recorded]
    (started,) = [event for event in events if event["kind"] == "process" and event["arguments"][:2] == ["sh", "-c"]]
    assert started["arguments"] == ["sh", "-c", "id", "--password=****"]
    assert started["parentPid"] > 0
    assert started["parentPath"].endswith("find")
    assert "hush" not in json.dumps(recorded)
    assert "good.test" in [event["name"] for event in events if event["kind"] == "lookup"]
    assert 9 in [event["port"] for event in events if event["kind"] == "connection"]
    assert [item["time"] for item in recorded] == sorted(item["time"] for item in recorded)


def test_what_a_workload_did_becomes_its_rule(console: Console, run_task: RunTask) -> None:
    """What was learned by the end of a task is suggested; in prevent it stops what was never seen, and nothing else."""
    console.put_policy(WATCHED)
    task = run_task(SEED_DEFINITION)
    assert "BTZ-1" in task.track("BTZ-1")
    task.stop()

    def learned() -> Json | None:
        found = console.request("GET", "profiles/app-embedded").json()
        return found[0] if found and found[0]["counts"].get("process") else None

    profile = eventually(learned, what="a profile", otherwise=task.log)
    suggestion = console.request("GET", f"profiles/app-embedded/{profile['_id']}/suggestion").json()
    programs = [line["entry"] for line in suggestion["evidence"] if line["field"] == "processes.whitelist"]
    assert any(program.endswith("find") for program in programs), suggestion
    name = console.request("POST", f"profiles/app-embedded/{profile['_id']}/rule", json={}).json()["rule"]
    console.request("POST", "policies/runtime/app-embedded/learned/promote", json={"rule": name})

    again = run_task(SEED_DEFINITION)
    assert "BTZ-1" in again.track("BTZ-1"), "its own work goes on"
    assert "uid=" not in again.track("BTZ-1 -exec id ;")
    stopped = console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="a program never seen")
    assert (stopped["ruleName"], stopped["attackType"]) == (name, "explicitlyDeniedProcess")
