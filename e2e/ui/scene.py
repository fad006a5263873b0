"""A Console that has something to show: Defenders that connected over the real channel, and a week of what they saw."""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from console import Console

sys.path.append(str(Path(__file__).resolve().parents[2] / "console"))

from tests.channel.running import DefenderEnd, process_audit

HOUR = 3_600_000
APPS = (
    ("battlement-shop:12", "web", "registry.example/battlement/shop:4.2", "fargate", "shop"),
    ("payments:7", "api", "registry.example/payments:2.0", "fargate", "payments: production"),
    ("reports", "", "", "appEmbedded", "reports"),
)
PROGRAMS = ("/usr/bin/dash", "/usr/bin/curl", "/opt/x/miner", "/usr/bin/nc", "/usr/bin/python3.11")


@contextmanager
def lively(console: Console, directory: Path, *, events: int = 400) -> Iterator[list[DefenderEnd]]:
    """Connect three Defenders until the block ends, and let them report events of the last week; one more went away."""
    directory.mkdir(exist_ok=True)
    answer = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
    bundle = json.loads(base64.b64decode(answer["bundle"]))
    place = SimpleNamespace(
        wss=f"wss://localhost:{console.channel_port}", running=SimpleNamespace(ca_file=console.ca_file)
    )
    chance = random.Random(7)  # noqa: S311 - the same week every time
    ends = []
    with ExitStack() as stack:
        for app, container, image, kind, rule in APPS:
            workload = {"container": container or None, "image": image or None}
            end = DefenderEnd(place, bundle, directory, kind=kind, app_id=app, workloads=(workload,))  # type: ignore[arg-type]
            end.connect()
            stack.callback(end.close)
            for first in range(0, events // len(APPS), 50):
                report = end.audits(container=container or None)
                report["audits"] = [
                    audit(number, rule, chance) for number in range(first + 1, min(first + 50, events // len(APPS)) + 1)
                ]
                end.send(report)
                assert end.receive()["type"] == "ack"
            ends.append(end)
        away = DefenderEnd(place, bundle, directory, app_id="batch:3")  # type: ignore[arg-type]
        away.connect(version="0.0.9")
        away.close()
        yield ends


def audit(number: int, rule: str, chance: random.Random) -> dict[str, Any]:
    """Return an audit at some time of the last week, more of them lately."""
    age = min(7 * 24 * HOUR - HOUR, int(chance.expovariate(1 / (40 * HOUR))))
    made = process_audit(number, path=chance.choice(PROGRAMS))
    return {
        **made,
        "time": int(time.time() * 1000) - age,
        "rule": rule,
        "effect": "prevent" if chance.random() < 0.3 else "alert",
    }
