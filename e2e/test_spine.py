"""The spine: a real task definition, protected, run, attacked; the audit in the real Console."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from console import PASSWORD, USER, Console, Json
from images import SEED_DEFINITION
from task import Task

RunTask = Callable[..., Task]


def rule(effect: str, **sections: Json) -> Json:
    """A rule for every workload, with one effect in all sections given."""
    return {
        "name": f"all {effect}",
        "collections": [{"name": "All"}],
        **{section: {"effect": effect, **lists} for section, lists in sections.items()},
    }


def test_the_sample_definition_is_attacked_under_alert_and_under_prevent(console: Console, run_task: RunTask) -> None:
    """The seeds' sample runs protected; a shell is reported under alert, and stopped and reported under prevent."""
    console.put_policy(rule("alert", processes={"blacklist": ["sh"]}))
    task = run_task(SEED_DEFINITION)

    assert "uid=" in task.track("BTZ-1 -exec sh -c id ;")
    seen = console.wait_for_audit(lambda audit: audit["effect"] == "alert", what="the shell, let through")

    assert (seen["type"], seen["attackType"], seen["containerName"]) == ("processes", "explicitlyDeniedProcess", "web")
    assert seen["appID"].startswith("webserver:")

    console.put_policy(rule("prevent", processes={"blacklist": ["sh"]}))
    task.wait_for_policy(console)

    assert "uid=" not in task.track("BTZ-1 -exec sh -c id ;")
    stopped = console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="the shell, stopped")
    assert stopped["ruleName"] == "all prevent"
    assert "BTZ-1" in task.track("BTZ-1"), "the application itself goes on"


def test_a_denied_name_is_never_asked_of_the_name_server(console: Console, run_task: RunTask) -> None:
    """A look-up that the policy prevents ends with NXDOMAIN and does not reach the name server; others do."""
    console.put_policy(rule("prevent", dns={"blacklist": ["*.evil.test"]}))
    task = run_task(SEED_DEFINITION)

    assert "192.0.2.7" in task.track("BTZ-1 -exec nslookup good.test ;")
    assert "192.0.2.7" not in task.track("BTZ-1 -exec nslookup a.evil.test ;")

    seen = console.wait_for_audit(lambda audit: audit["type"] == "network" and audit.get("domain"), what="the look-up")
    assert (seen["domain"], seen["effect"]) == ("a.evil.test", "prevent")
    assert "good.test" in task.names_asked()
    assert "a.evil.test" not in task.names_asked()


def test_a_denied_address_is_never_reached(console: Console, run_task: RunTask) -> None:
    """A connection that the policy prevents is refused before a packet leaves; the server behind it sees nothing."""
    console.put_policy(rule("prevent", network={"blacklistOutboundPorts": [{"start": 9, "end": 9}]}))
    task = run_task(SEED_DEFINITION)

    answer = task.track("BTZ-1 -exec wget -O - http://127.0.0.1:9/ ;")

    assert "refused" in answer.lower()
    seen = console.wait_for_audit(lambda audit: audit.get("port") == 9, what="the connection")
    assert (seen["attackType"], seen["effect"]) == ("explicitlyDeniedOutboundPort", "prevent")


def test_an_unmatched_workload_is_left_alone(console: Console, run_task: RunTask) -> None:
    """A rule for another image does not judge this workload."""
    strict = rule("prevent", processes={"whitelist": ["nothing"]})
    console.put_policy({**strict, "collections": [{"name": "other", "images": ["other/*"]}]})
    task = run_task(SEED_DEFINITION)

    assert "uid=" in task.track("BTZ-1 -exec sh -c id ;")
    assert console.audits() == []


def test_an_allow_list_spares_the_main_process(console: Console, run_task: RunTask) -> None:
    """With an allow list everything else is a violation, but for the program that the workload is."""
    console.put_policy(rule("prevent", processes={"whitelist": ["find"]}))
    task = run_task(SEED_DEFINITION)

    assert "BTZ-1" in task.track("BTZ-1")
    assert "uid=" not in task.track("BTZ-1 -exec id ;")
    seen = console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="a program not on the list")
    assert seen["processPath"] == "/usr/bin/id"


def test_curl_protects_a_definition_unchanged_from_the_vendors_pipeline(console: Console, tmp_path: Path) -> None:
    """The line that the vendor's users have in their pipelines works when only host and credentials change."""
    definition = tmp_path / "fargate.json"
    definition.write_text(json.dumps(SEED_DEFINITION))
    url = f"https://localhost:{console.api_port}/api/v1/defenders/fargate.json?consoleaddr=localhost"
    command = ["curl", "-s", "-k", "-u", f"{USER}:{PASSWORD}", url, "-X", "POST", "-H", "Content-Type:application/json"]
    done = subprocess.run([*command, "--data-binary", f"@{definition}"], check=True, capture_output=True)

    protected = json.loads(done.stdout)

    assert [container["name"] for container in protected["containerDefinitions"]] == ["web", "BartizanDefender"]
    assert protected["containerDefinitions"][0]["entryPoint"][-1] == "/http_server"
