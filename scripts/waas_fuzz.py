"""Mutated requests, judged inside the engine with a watch on each: for bench_waas.py."""

from __future__ import annotations

import json
import struct
import subprocess
from typing import Any

from ftw import stages
from samples import ATTACKS, ATTACKS_TOO, ORDINARY, ORDINARY_TOO

from waas_load import requests_of
from waas_servers import CACHE, example

SEED = 20261121
# Of the rule set's own tests each so many-th.
STEP = 7


def fuzzed(count: int) -> dict[str, Any]:
    """How long the engine took for so many requests (`most`, `mean`: nanoseconds), how many took too long (`over`)."""
    rules = CACHE / "rules/crs4"
    files = [rules / "setup.conf", *sorted((rules / "rules").glob("*.conf")), *sorted((rules / "rules").glob("*.data"))]
    command = [example("detect"), "balanced", "--mutate", str(count), str(SEED), *files]
    given = b"".join(struct.pack(">I", len(seed)) + seed for seed in seeds())
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def seeds() -> list[bytes]:
    """What is mutated: ordinary requests, attacks, and requests of the rule set's tests."""
    kinds = [requests_of(kind, 1, number=0)[0] for kind in ("get", "form", "json", "attack", "tokens_again")]
    known = [*ORDINARY.values(), *ORDINARY_TOO.values(), *ATTACKS.values(), *ATTACKS_TOO.values()]
    return [*kinds, *known, *(stage.request for stage in list(stages(CACHE / "rules/crs4/tests"))[::STEP])]
