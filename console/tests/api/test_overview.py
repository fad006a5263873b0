"""The overview of a real Console with a Defender's end that reports."""

from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd

from bartizan.app.base import milliseconds


@pytest.fixture(scope="module")
def quiet(console: ConsoleUnderTest) -> dict[str, Any]:
    """Return the overview before anything connected."""
    return _overview(console)


def test_an_empty_console_has_zeros(quiet: dict[str, Any]) -> None:
    """Nothing is protected, nothing happened, and that is said in full."""
    assert quiet["defenders"]["total"] == quiet["defenders"]["connected"] == 0
    assert (quiet["events"]["day"], quiet["events"]["week"], quiet["incidents"]) == ({}, {}, {})
    assert len(quiet["events"]["hours"]) == 7 * 24
    assert quiet["events"]["searchedTo"] == ""
    assert quiet["learning"] == {"profiles": 0, "byStage": {"discover": 0, "alert": 0, "prevent": 0}}
    assert "console.test" in quiet["console"]["names"]
    assert quiet["console"]["defenderArchitectures"] == ["amd64"]
    assert quiet["console"]["caDays"] > 0


def test_what_connects_and_what_it_reports_is_counted(
    console: ConsoleUnderTest, quiet: dict[str, Any], tmp_path: Path
) -> None:
    """Audits of today and of three days ago are told apart; those of eight days ago are not counted."""
    assert quiet["defenders"]["total"] == 0
    end = DefenderEnd(console, console.bundle(), tmp_path)
    end.connect()
    now = milliseconds()
    message = end.audits(1, 2, 3)
    for audit, age in zip(message["audits"], (0, 3, 8), strict=True):
        audit["time"] = now - age * 24 * 3_600_000
    end.send(message)
    assert end.receive()["type"] == "ack"
    answer = _overview(console, after=quiet["time"])
    end.close()
    assert answer["defenders"]["connected"] == 1
    assert answer["defenders"]["byType"] == {"fargate": 1}
    assert (answer["events"]["day"], answer["events"]["week"]) == ({"prevent": 1}, {"prevent": 2})
    assert answer["events"]["hours"][-1]["effects"] == {"prevent": 1}
    assert answer["events"]["topRules"] == [{"value": "shop", "count": 1}]
    assert answer["events"]["topApps"] == [{"value": "shop:1", "count": 1}]


def test_unknown_parameters_are_refused(console: ConsoleUnderTest) -> None:
    """A filter that is ignored would give wrong answers."""
    with console.client() as client:
        answer = client.get("/overview", params={"days": 3})
    assert answer.status_code == 400
    assert "`days`" in answer.json()["err"]


def _overview(console: ConsoleUnderTest, *, after: str = "") -> dict[str, Any]:
    """Return the overview; an answer is given again for two seconds, so ask until it is a newer one."""
    with console.client() as client:
        while True:
            answer = client.get("/overview")
            assert answer.status_code == 200, answer.text
            if answer.json()["time"] > after:
                return dict(answer.json())
