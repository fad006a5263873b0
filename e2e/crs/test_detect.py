"""The balanced profile with the stock rules: what browsers send passes, one attack of each class is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from detect import judging
from test_crs import ATTACKS, ORDINARY, ROOT, RULES, request

Judge = Callable[[bytes], tuple[int, list[int]]]

ORDINARY_TOO = {
    "json as text": request("/beacon", "text/plain;charset=UTF-8", json.dumps({"events": [{"name": "view", "at": 1}]})),
    "session by another site": request("/back?PHPSESSID=8f2c1d", headers="Referer: https://login.partner.test/\r\n"),
    "prose": request(
        "/search?q=" + "Mark%2C+%27Call+me+when+you+get+to+the+gate+and+I%27ll+come+out+and+open+it+up%27"
    ),
    "escapes": request("/search?q=%5Cu0079%5Cu0065%5Cu0073"),
}
ATTACKS_TOO = {
    "base64": request("/x?a=PHNjcmlwdD5hbGVydChkb2N1bWVudC5jb29raWUpPC9zY3JpcHQ%2B"),
    "json as text": request("/x", "text/plain", json.dumps({"a": "1' UNION SELECT 1,2,version()-- -"})),
    "escapes": request("/x?a=%5Cu003cscript%5Cu003ealert(document.cookie)%5Cu003c/script%5Cu003e"),
    "operator": request("/x?user[$ne]=1&password[$ne]=1"),
    "template": request("/x?a=%7B%7B7*7%7D%7D"),
    "directory": request("/x?a=*)(uid=*))(%7C(uid=*"),
    "entity": request("/x", "application/xml", "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>"),
    "metadata": request("/x?a=http://169.254.169.254/latest/meta-data/"),
}


@pytest.fixture(scope="session")
def balanced() -> Iterator[Judge]:
    """The engine with the stock rules as the balanced profile has them."""
    subprocess.run(["sh", ROOT / "scripts/rules.sh"], check=True)
    command = ["cargo", "build", "--release", "-p", "defender-waf", "--example", "detect", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT / "defender", check=True, capture_output=True)
    messages = (json.loads(line) for line in built.stdout.splitlines())
    program = next(Path(one["executable"]) for one in messages if one.get("executable"))
    with judging(program, RULES, "balanced") as ask:
        yield ask


@pytest.mark.parametrize("name", [*ORDINARY, *ORDINARY_TOO])
def test_ordinary_requests_pass(balanced: Judge, name: str) -> None:
    """What browsers and honest programs send passes, also where the stock rules take it for an attack."""
    status, rules = balanced({**ORDINARY, **ORDINARY_TOO}[name])

    assert status == 200, rules


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(balanced: Judge, name: str) -> None:
    """What the stock rules refuse is refused."""
    status, rules = balanced(ATTACKS[name])

    assert status == 403, rules


@pytest.mark.parametrize("name", ATTACKS_TOO)
def test_disguised_attacks_are_refused(balanced: Judge, name: str) -> None:
    """What the stock rules alone do not see is refused."""
    status, rules = balanced(ATTACKS_TOO[name])

    assert status == 403, rules
