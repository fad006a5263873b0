"""The firewall before a workload's web port, as tests steer it by the Console and meet it as its visitors."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx

from console import BARTIZAN, PASSWORD, USER, Console, Json
from waiting import eventually

INJECTION = "' UNION SELECT name, password FROM customers --"
STOLEN = "battery staple"
POLICY = "policies/firewall/app/app-embedded"
EVENTS = "audits/firewall/app/app-embedded"
DISCOVERY = "waas/discovery"


def waas_rule(effect: str, *, exposed: int = 80, internal: int = 8080, **application: object) -> Json:
    """A rule for every workload that looks for SQL injection, with an effect and whatever else its application has."""
    endpoint = {"exposedPort": exposed, "internalPort": internal}
    found = {"appID": "storefront", "apiSpec": {"endpoints": [endpoint]}, "sqli": {"effect": effect}}
    return {"name": "web", "collections": [{"name": "All"}], "applicationsSpec": [{**found, **application}]}


class Firewall:
    """Steers the firewall of one workload through its Console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def put(self, *rules: Json) -> None:
        """Replace the WAAS policy, and wait until it is in force wherever there is a Defender."""
        self.console.request("PUT", POLICY, json={"rules": list(rules)})
        eventually(self.is_in_force, what="the WAAS policy in force", otherwise=self.told)

    def is_in_force(self) -> bool:
        """True when every Defender there is has the Console's present policy."""
        return all(map(_has_policy, self.console.defenders(connected=True)))

    def in_force_at(self, app_id: str) -> bool:
        """True when there is a Defender of this application, and it has the Console's present policy."""
        return any(map(_has_policy, self.console.defenders(connected=True, search=app_id)))

    def told(self) -> str:
        """What the Defenders say, for failures."""
        return json.dumps(self.console.defenders(), indent=1)

    def events(self, **filters: object) -> list[Json]:
        """The newest events, each for itself."""
        found: list[Json] = self.console.request("GET", EVENTS, params={"limit": 250, **filters}).json()
        return found

    def wait_for_event(self, what: str, **filters: object) -> Json:
        """The newest event that the Console finds by these filters."""
        look = lambda: next(iter(self.events(**filters)), None)  # noqa: E731 - it stands here alone
        return eventually(look, what=f"an event: {what}", otherwise=lambda: json.dumps(self.events(), indent=1))

    def discovered(self, app_id: str) -> list[Json]:
        """The operations that requests have shown the workloads of an App ID to have."""
        found: list[Json] = self.console.request("GET", DISCOVERY, params={"appID": app_id}).json()
        return found

    def run(self, *words: str) -> str:
        """Run a `bartizan` command as the administrator; return what it prints."""
        given = {"ADDRESS": self.console.url, "USER": USER, "PASSWORD": PASSWORD, "CA_FILE": str(self.console.ca_file)}
        environment = os.environ | {f"BARTIZAN_{name}": value for name, value in given.items()}
        done = subprocess.run([*BARTIZAN, *words], env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


def _has_policy(defender: Json) -> bool:
    state = defender.get("waas") or {}
    return "policyHash" in state and state["policyHash"] == state["desiredPolicyHash"]


def searched(site: str, goods: str, *, client: str = "") -> httpx.Response:
    """Search the shop for goods; as the load balancer would that has the request from ``client``."""
    headers = {"X-Forwarded-For": client} if client else {}
    return httpx.get(f"{site}/goods", params={"named": goods}, headers=headers, timeout=20)


def logged(goods: str) -> str:
    """How the shop's own log names a search."""
    return quote(goods, safe="").replace("%20", "+")


@contextmanager
def steady_visitors(visit: Callable[[], None], *, count: int) -> Iterator[list[int]]:
    """So many visitors who come again and again; gives how often each has come, and raises what one of them met."""
    done, visits, errors = threading.Event(), [0] * count, list[BaseException]()

    def come(visitor: int) -> None:
        try:
            while not done.is_set():
                visit()
                visits[visitor] += 1
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=come, args=(visitor,)) for visitor in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    if errors:
        raise errors[0]
