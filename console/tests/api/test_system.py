"""Health, numbers and retention, asked of a real Console."""

from collections.abc import Iterator

import httpx
import pytest
from tests.channel.running import ConsoleUnderTest

_BOUNDS = {"days": 7, "audits": 1000, "mebibytes": 5}
_WANTED = {"runtime": _BOUNDS, "firewall": {**_BOUNDS, "days": 8}, "cleanUpHour": 3}


@pytest.fixture(scope="module")
def client(console: ConsoleUnderTest) -> Iterator[httpx.Client]:
    """Ask as the administrator."""
    with console.client() as opened:
        yield opened


def test_everybody_may_ask_whether_it_works(console: ConsoleUnderTest) -> None:
    """Without a log-in there is the state, and nothing that tells of the machine."""
    with console.client(token="") as stranger:
        answer = stranger.get("/_health")
        assert answer.status_code == 200
        assert answer.json() == {"live": True, "ready": True, "problems": []}
        assert stranger.get("/system").status_code == 401
        assert stranger.get("/settings/retention").status_code == 401


def test_the_system_tells_what_it_stands_on(client: httpx.Client) -> None:
    """The database, its size, and the ends of both certificates."""
    found = client.get("/system").json()
    assert found["databaseKind"] == "sqlite"
    assert found["databaseBytes"] > 0
    assert {item["name"] for item in found["certificates"]} == {"authority", "server"}


def test_numbers_for_prometheus_need_a_log_in(console: ConsoleUnderTest, client: httpx.Client) -> None:
    """They are text that starts with what each number means; a stranger gets none."""
    url = f"https://localhost:{console.running.api_port}/metrics"
    with console.client(token="") as stranger:
        assert stranger.get(url).status_code == 401
    answer = client.get(url)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'bartizan_defenders{state="connected",type="fargate"} 0.0' in lines
    assert "bartizan_audit_write_failures_total 0.0" in lines
    assert any(line.startswith("bartizan_database_bytes ") for line in lines)
    assert any(
        line.startswith('bartizan_certificate_expiry_timestamp_seconds{certificate="authority"}') for line in lines
    )


def test_retention_is_changed(client: httpx.Client) -> None:
    """What was set is what is told."""
    assert client.get("/settings/retention").json()["runtime"] == {"days": 30, "audits": 1_000_000, "mebibytes": 0}
    assert client.put("/settings/retention", json=_WANTED).status_code == 200
    assert client.get("/settings/retention").json() == _WANTED


@pytest.mark.parametrize(
    "wrong",
    [
        {**_WANTED, "cleanUpHour": 24},
        {**_WANTED, "runtime": {**_BOUNDS, "days": 0}},
        {**_WANTED, "firewall": {**_BOUNDS, "mebibytes": -1}},
        {**_WANTED, "forever": True},
        {"runtime": _BOUNDS},
    ],
)
def test_a_retention_that_cannot_be_is_refused(client: httpx.Client, wrong: dict[str, object]) -> None:
    """One error, and what was set stays."""
    before = client.get("/settings/retention").json()
    assert client.put("/settings/retention", json=wrong).status_code == 400
    assert client.get("/settings/retention").json() == before
