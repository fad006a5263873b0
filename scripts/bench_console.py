"""Measures what one Console on this machine bears (docs/spec.md); `--quick` only checks that all can be measured.

The load comes from this process and shares the two processors with the Console, so times are an upper bound; what the
Console itself spends is read from the kernel's account of its process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "e2e"), str(ROOT / "console/src")]

from console import Console, running_console  # noqa: E402 - the path is set just above
from console_load import Fleet, send_at  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PATHS_IN_POLICY = 640


@dataclass(frozen=True)
class Sizes:
    """How much of each: Defenders in all, those for policies and restarts, seconds and rates of audits."""

    defenders: int
    steady: int
    seconds: int
    burst_seconds: int
    burst_rate: int
    flood: int


WHOLE = Sizes(defenders=9_800, steady=5_000, seconds=30, burst_seconds=60, burst_rate=10_000, flood=40)
QUICK = Sizes(defenders=40, steady=20, seconds=1, burst_seconds=1, burst_rate=4_000, flood=3)


def main() -> int:
    """Measure everything; return the process's exit status."""
    sizes = QUICK if "--quick" in sys.argv[1:] else WHOLE
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory(prefix="bartizan-load-") as name,
        running_console(Path(name) / "console") as console,
    ):
        return uvloop.run(measure(console, Path(name), sizes))


async def measure(console: Console, folder: Path, sizes: Sizes) -> int:
    """Run all measurements on one Console; return 1 when an acknowledged audit is missing."""
    fleet = Fleet(f"wss://localhost:{console.channel_port}", console.ca_file, folder)
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()["bundle"]
    with spent(console) as enrolling:
        await fleet.enrol(bundle, sizes.defenders)
    tell("console.enrol_cpu_ms", enrolling[0] / sizes.defenders * 1000)
    await measure_policies(console, fleet, sizes)
    await measure_audits(console, fleet, sizes)
    lost = missing(console, fleet)
    tell("console.acknowledged_and_lost", lost)
    await measure_restart(console, fleet, sizes)
    await measure_memory(console, fleet, sizes)
    # Last, since the Console then wants nothing more to do with this address.
    await measure_flood(console, fleet, sizes)
    await fleet.close()
    return 1 if lost else 0


async def measure_policies(console: Console, fleet: Fleet, sizes: Sizes) -> None:
    """Send a policy of 20 KB to all; the time runs from the request to the last answer."""
    before = resident(console)
    with spent(console) as connecting:
        await fleet.connect(sizes.steady)
    tell("console.connect_cpu_ms", connecting[0] / sizes.steady * 1000)
    tell("console.first_kib_per_connection", (resident(console) - before) / sizes.steady)
    paths = [f"/opt/application/libexec/tool-{number:04}" for number in range(PATHS_IN_POLICY)]
    rule = {"name": "load", "processes": {"effect": "prevent", "blacklist": paths}}
    times = []
    for _ in range(3):
        times.append(await policy_seconds(console, fleet, rule))
        rule = {**rule, "notes": f"after {len(times)}"}
    tell("console.policy_20kb_to_all_s", statistics.median(times), f"{sizes.steady} Defenders")


async def policy_seconds(console: Console, fleet: Fleet, rule: dict[str, object]) -> float:
    """Put a policy in force and wait until every connected Defender has answered it."""
    begun = time.perf_counter()
    answer = await asyncio.to_thread(console.request, "PUT", "policies/runtime/app-embedded", json={"rules": [rule]})
    revision = int(answer.headers["Policy-Revision"])
    while fleet.revisions.get(revision, 0) < len(fleet.links):  # noqa: ASYNC110 - counted by callbacks
        await asyncio.sleep(0.01)
    return fleet.when[revision] - begun


async def measure_audits(console: Console, fleet: Fleet, sizes: Sizes) -> None:
    """Send at a steady rate, then in a flood; each link waits for its acknowledgement."""
    links = fleet.links[:100]
    for name, rate, seconds in (
        ("steady", 2_000, sizes.seconds),
        ("burst", sizes.burst_rate, sizes.burst_seconds),
    ):
        begun, before = time.perf_counter(), sum(link.acked for link in links)
        with spent(console) as spending:
            taken = await send_at(links, rate, seconds)
        committed = sum(link.acked for link in links) - before
        tell(
            f"console.audits_{name}_per_s", committed / (time.perf_counter() - begun), f"{rate} offered for {seconds} s"
        )
        tell(f"console.audits_{name}_cpu_us", spending[0] / committed * 1e6)
        tell(f"console.audits_{name}_commit_ms", statistics.median(taken) * 1000, f"largest {max(taken) * 1000:.0f}")


async def measure_flood(console: Console, fleet: Fleet, sizes: Sizes) -> None:
    """Guess passwords over many connections; how much longer a commit takes meanwhile."""
    links = fleet.links[:10]
    quiet = await send_at(links, 500, max(1, sizes.seconds // 6), size=5)
    flood = asyncio.create_task(log_ins(console, sizes.flood))
    flooded = await send_at(links, 500, max(1, sizes.seconds // 6), size=5)
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
    ratio = statistics.median(flooded) / statistics.median(quiet)
    tell("console.commit_under_login_flood_ratio", ratio, f"median {statistics.median(flooded) * 1000:.1f} ms")


async def log_ins(console: Console, at_once: int) -> None:
    """Guess passwords until cancelled, at most 10,000 times."""
    async with httpx.AsyncClient(verify=console.tls(), base_url=console.url, timeout=30) as client:

        async def guess(number: int) -> None:
            for attempt in range(10_000 // at_once):
                body = {"username": f"user{number}", "password": f"guess {attempt} of many"}
                with contextlib.suppress(httpx.HTTPError):
                    await client.post("/api/v1/authenticate", json=body)

        await asyncio.gather(*(guess(number) for number in range(at_once)))


def missing(console: Console, fleet: Fleet) -> int:
    """Return how many acknowledged audits the Console does not have."""
    answer = console.request("GET", "audits/runtime/app-embedded", params={"limit": 1})
    return max(0, sum(link.acked for link in fleet.links) - int(answer.headers["Total-Count"]))


async def measure_restart(console: Console, fleet: Fleet, sizes: Sizes) -> None:
    """End the Console and start it again; all Defenders come back by themselves."""
    fleet.coming_back = True
    await asyncio.to_thread(console.end)
    for link in fleet.links:
        link.ready.clear()
    begun = time.perf_counter()
    await asyncio.to_thread(console.start)
    await fleet.all_back()
    tell("console.reconnect_all_s", time.perf_counter() - begun, f"{sizes.steady} Defenders, from the start on")


async def measure_memory(console: Console, fleet: Fleet, sizes: Sizes) -> None:
    """Connect the rest; what each connection since the last figure cost."""
    before, connected = resident(console), len(fleet.links)
    await fleet.connect(sizes.defenders)
    grown = resident(console) - before
    tell("console.kib_per_connection", grown / (len(fleet.links) - connected), f"{len(fleet.links)} connected")
    tell("console.resident_mib", resident(console) / 1024)


@contextlib.contextmanager
def spent(console: Console) -> Iterator[list[float]]:
    """Give a list of one: the processor seconds that the Console spends in the block."""
    took = [0.0]
    before = processor_seconds(console)
    yield took
    took[0] = processor_seconds(console) - before


def processor_seconds(console: Console) -> float:
    """Return the Console's user and system time (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid(console)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(console: Console) -> int:
    """Return the Console's resident KiB."""
    lines = Path(f"/proc/{pid(console)}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def pid(console: Console) -> int:
    """Return the Console's process."""
    if console.process is None:
        raise RuntimeError("the Console does not run")
    return console.process.pid


def tell(name: str, figure: float, note: str = "") -> None:
    """Print one figure."""
    print(f"{name} {figure:.3g}{f'  ({note})' if note else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
