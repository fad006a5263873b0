"""The part of `make run` about WAAS: an SQL injection through the shop's search, told of and then stopped."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx

HERE = Path(__file__).resolve().parent
ATTACK = "' UNION SELECT name, password FROM customers --"
ORDINARY = "pitch"
EVENTS = "audits/firewall/app/app-embedded"


class Console(Protocol):
    """What is needed of the demonstration's Console."""

    data: Path
    http: httpx.Client

    def run(self, *words: str) -> str:
        """Run a `bartizan` command against it."""


def attack(url: str, console: Console, effect: str, *, ports: tuple[int, int], say: Callable[[str], None]) -> None:
    """Put a WAAS policy in force and play the attack; ``ports`` are the firewall's and the shop's."""
    console.run("waf", "policy", "set", str(policy_file(console, effect, ports)))
    wait_for_policy(console)
    for what, goods in (("an SQL injection, through the search for goods", ATTACK), ("an ordinary customer", ORDINARY)):
        answer = httpx.get(f"{url}/goods", params={"named": goods}, timeout=30)
        say(f"\n→ {what}:  {goods}\n  {described(answer)}")
    wait_for(lambda: console.http.get(EVENTS, params={"effect": effect}).json(), what="the event")
    say("")
    for line in console.run("waf", "events", "--effect", effect).splitlines():
        say(f"  ⚑ event{line}")


def described(answer: httpx.Response) -> str:
    """What a visitor sees, in a line."""
    rows = re.findall(r"<tr><td>(.*?)<td>([^<]*)", answer.text)
    if answer.is_success:
        return "the shop answers: " + " / ".join(html.unescape(f"{name} {price}") for name, price in rows)
    return f"the firewall answers: {answer.status_code}, event {answer.headers.get('X-Bartizan-Event-Id')}"


def policy_file(console: Console, effect: str, ports: tuple[int, int]) -> Path:
    """The example's policy; with the ports of a shop that is no task, where it is none."""
    path = HERE / f"shop/waas-{effect}.json"
    exposed, internal = ports
    if exposed == 80:
        return path
    policy = json.loads(path.read_text())
    endpoints = policy["rules"][0]["applicationsSpec"][0]["apiSpec"]["endpoints"]
    endpoints[0] = {"exposedPort": exposed, "internalPort": internal}
    written = console.data / path.name
    written.write_text(json.dumps(policy))
    return written


def wait_for_policy(console: Console) -> None:
    """Wait until the Defender says that the WAAS policy is in force."""

    def in_force() -> bool:
        defenders: list[dict[str, Any]] = console.http.get("defenders", params={"connected": "true"}).json()
        states = [defender.get("waas") or {} for defender in defenders]
        return bool(states) and all(state.get("policyHash", "") == state.get("desiredPolicyHash") for state in states)

    wait_for(in_force, what="the firewall's policy")


def wait_for(look: Callable[[], object], *, what: str) -> None:
    """Wait until it is true."""
    for _ in range(400):
        if look():
            return
        threading.Event().wait(0.05)
    raise SystemExit(f"{what} did not come")
