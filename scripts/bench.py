"""Measures the numbers that docs/spec.md promises, one line each; `--quick` only checks that all can be measured.

Both sides of a ratio run in the same kind of container, with Docker's capabilities and seccomp profile, one after the
other in the same run: on the platforms that Bartizan is for there is no container without that profile, and its cost
per system call is not the Defender's.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "e2e"), str(ROOT / "examples"), str(ROOT / "console/src")]

from bartizan.registry import File, ImageConfig, write_image  # noqa: E402
from bartizan.runtask import Event, TaskRun  # noqa: E402
from console import BARTIZAN, running_console  # noqa: E402 - the path is set just above
from images import DEFENDER, DEFENDER_IMAGE, SEED_DEFINITION, build_images  # noqa: E402
from task import CONSOLE_NAME, Task  # noqa: E402
from waiting import eventually  # noqa: E402

# Ratios to no Defender in the same run: promised as such, and with the kernel's cache of constant actions defeated.
RATIOS: dict[str, tuple[float | None, float | None]] = {
    "fork_exec": (1.25, None),
    "posix_spawn": (1.25, None),
    "fork": (1.05, 1.15),
    "thread": (1.05, 1.15),
    "connect_tcp": (2.2, None),
    "dns_lookup": (None, None),
    "udp_send": (1.05, None),
    "udp_sendto": (None, None),
    "getpid": (1.05, 1.15),
    "read_open": (1.05, 1.15),
    "pipe": (1.05, 1.15),
    "signal": (1.05, 1.15),
}
POLICY = b"""{"version":1,"revision":1,"rule":"bench",
 "processes":{"effect":"prevent","allow":[],"deny":["evil","/opt/*/evil"]},
 "dns":{"effect":"prevent","allow":[],"deny":["*.evil.test"]},
 "network":{"effect":"prevent","allowAddresses":[],"denyAddresses":["203.0.113.0/24"],"allowPorts":[],
            "denyPorts":[{"start":6666,"end":6666}]}}"""
# Reads cost nothing more, whatever is watched; what a write costs is shown and not promised.
FILE_RATIOS = {"open_read": 1.05, "open_write": None, "create_remove": None}
FILES = b""","files":{"effect":"%s","allow":[],"deny":["/opt/denied"]}}"""
PLAIN, GUARDED = ["/workload"], ["/supervise", "/policy.json", "/workload"]
# What else is measured beside the two: both without the kernel's cache, and a tracer that stops every call.
SIDES = {
    "plain": (PLAIN, []),
    "guarded": (GUARDED, []),
    "plain uncached": (PLAIN, ["uncached"]),
    "guarded uncached": (GUARDED, ["uncached"]),
    "traced": (["/tracer", *PLAIN], []),
}
# How far files are watched, and the policy for it: not at all, watched and not judged, reported, prevented.
WATCHES = {
    "unwatched": ("off", "/policy.json"),
    "idle": ("on", "/policy.json"),
    "reported": ("on", "/policy-alert.json"),
    "prevented": ("on", "/policy-prevent.json"),
}


def main() -> int:
    """Measure everything; return the process's exit status."""
    quick = "--quick" in sys.argv[1:]
    print(f"# {platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="bartizan-bench-") as name:
        folder = Path(name)
        asyncio.run(measure_ratios(folder, rounds=1 if quick else 5, percent=5 if quick else 100))
        asyncio.run(measure_files(folder, rounds=1 if quick else 5, percent=5 if quick else 100))
        measure_system(folder, times=2 if quick else 15)
    for architecture in ("x86_64", "aarch64"):
        binary = Path(str(DEFENDER).replace("x86_64", architecture))
        if binary.exists():
            line(f"binary_size.{architecture}", binary.stat().st_size / 2**20, "MiB", bound="≤ 12 MiB")
    for bench in ("embed", "templates", "dockerfile"):
        subprocess.run([sys.executable, str(ROOT / f"console/benches/{bench}.py")], check=True)
    return 0


async def measure_ratios(folder: Path, *, rounds: int, percent: int) -> None:
    """Run the workload with and without the Defender by turns; print ratios of the quickest batches."""
    image = workload_image(folder)
    best: dict[tuple[str, str], float] = {}
    starts: dict[str, list[float]] = {"plain": [], "guarded": []}
    for _ in range(rounds):
        for side, (command, options) in SIDES.items():
            share = str(max(percent // 20, 1) if side == "traced" else percent)
            figures, _ = await run(folder, image, [*command, "measure", share, *options])
            for name, nanoseconds in figures.items():
                best[side, name] = min(nanoseconds, best.get((side, name), nanoseconds))
    for _ in range(3 * rounds):
        for side, command in (("plain", PLAIN), ("guarded", GUARDED)):
            starts[side].append((await run(folder, image, [*command, "hello"]))[1])
    for name, (bound, uncached) in RATIOS.items():
        plain, guarded = best["plain", name], best["guarded", name]
        without = best["guarded uncached", name] / best["plain uncached", name]
        told = f"≤ {bound}" if bound else "no promise"
        note = (
            f"{plain:,.0f} → {guarded:,.0f} ns; uncached {without:.2f} x{f' (≤ {uncached})' if uncached else ''}; "
            f"naive ptrace {best['traced', name] / plain:.1f} x"
        )
        line(name, guarded / plain, "x", bound=told, note=note)
    added = 1000 * (statistics.median(starts["guarded"]) - statistics.median(starts["plain"]))
    line("start_up", added, "ms", bound="≤ 50 ms", note="from runc's start to the application's first line, added")


async def measure_files(folder: Path, *, rounds: int, percent: int) -> None:
    """Run the workload with files watched to each extent by turns; print ratios to no Defender at all."""
    image = workload_image(folder)
    best: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for side in ("plain", *WATCHES):
            watch, policy = WATCHES.get(side, ("off", ""))
            command = ["/supervise", policy, "/workload"] if policy else PLAIN
            environment = {"SUPERVISE_FILES": "1"} if watch == "on" else {}
            figures, _ = await run(folder, image, [*command, "files", str(percent)], environment=environment)
            for name, nanoseconds in figures.items():
                best[side, name] = min(nanoseconds, best.get((side, name), nanoseconds))
    for side in WATCHES:
        for name, bound in FILE_RATIOS.items():
            plain, watched = best["plain", name], best[side, name]
            told = f"≤ {bound}" if bound else "no promise"
            line(f"{name}.{side}", watched / plain, "x", bound=told, note=f"{plain:,.0f} → {watched:,.0f} ns")


def workload_image(folder: Path) -> dict[str, str]:
    """Write the image with workload, supervisor and policy."""
    examples = Path(os.environ.get("BARTIZAN_PROGRAMS", DEFENDER.parent / "examples"))
    files = [
        File("/workload", 0o755, examples / "workload"),
        File("/supervise", 0o755, examples / "supervise"),
        File("/tracer", 0o755, examples / "tracer"),
        File("/policy.json", 0o644, POLICY),
        *(
            File(f"/policy-{effect}.json", 0o644, POLICY.rstrip()[:-1] + FILES % effect.encode())
            for effect in ("alert", "prevent")
        ),
    ]
    write_image(folder / "workload", files=files, config=ImageConfig(), reference="workload:1", architecture="amd64")
    return {"workload:1": f"oci:{folder / 'workload'}"}


async def run(
    folder: Path, images: dict[str, str], command: list[str], *, environment: dict[str, str] | None = None
) -> tuple[dict[str, float], float]:
    """Run a command in a container; return the figures that it printed, and seconds from start to its first line."""
    definition: dict[str, Any] = copy.deepcopy(SEED_DEFINITION)
    container = definition["containerDefinitions"][0]
    container |= {"image": "workload:1", "entryPoint": command}
    container["linuxParameters"] = {"capabilities": {"add": ["SYS_PTRACE"]}}
    variables = [{"name": name, "value": value} for name, value in (environment or {}).items()]
    container["environment"] = [*container.get("environment", []), *variables]
    lines: list[str] = []
    times: dict[str, float] = {}

    def on_log(_: str, text: str) -> None:
        times.setdefault("line", time.monotonic())
        lines.append(text)

    def on_event(event: Event) -> None:
        times.setdefault(event.kind, time.monotonic())

    profile = Path(os.environ.get("BARTIZAN_SECCOMP_PROFILE", ROOT / ".cache/seccomp.json"))
    options: dict[str, Any] = {"images": images, "seccomp_profile": profile, "cache_dir": folder / "cache"}
    async with TaskRun(definition, network="none", on_log=on_log, on_event=on_event, **options) as task:
        server = await asyncio.create_subprocess_exec(
            *("nsenter", f"--net={task.namespace}", sys.executable, str(ROOT / "examples/name_server.py")),
            *("127.0.0.1", "53", "good.test=192.0.2.7"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert server.stdout is not None
        await server.stdout.readline()
        drain = asyncio.create_task(server.stdout.read())
        await task.start()
        code = await task.wait()
        server.kill()
        await asyncio.gather(server.wait(), drain)
    if code:
        raise SystemExit(f"`{' '.join(command)}` ended with {code}: {lines}")
    figures = {name: float(value) for name, _, value in (text.partition(" ") for text in lines) if value}
    return figures, times["line"] - times["started"]


def measure_system(folder: Path, *, times: int) -> None:
    """Measure what needs the whole system: memory of a container's Defender, time until an audit can be read."""
    with running_console(folder / "console", CONSOLE_NAME) as console:
        rule = {
            "name": "bench",
            "collections": [{"name": "All"}],
            "processes": {"effect": "alert", "blacklist": ["id"]},
        }
        console.put_policy(rule)
        bundle, plain, protected = folder / "bundle.json", folder / "plain.json", folder / "protected.json"
        answer = console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME})
        bundle.write_text(answer.text)
        plain.write_text(json.dumps(SEED_DEFINITION))
        command = [*BARTIZAN, "app-embedded", "generate-fargate-task", "--bundle", str(bundle)]
        subprocess.run([*command, "--output-file", str(protected), str(plain)], check=True, stderr=subprocess.DEVNULL)
        task = Task(protected, build_images(folder / "images"))
        try:
            task.wait_until_serving(8080)
            late = [audit_latency(console, task, mark) for mark in range(times)]
            line(
                "audit_latency",
                1000 * statistics.median(late),
                "ms",
                bound="≤ 1000 ms",
                note=f"largest {1000 * max(late):.0f}",
            )
            status = Path(f"/proc/{task.process_id('web')}/status").read_text()
            resident = next(int(text.split()[1]) for text in status.splitlines() if text.startswith("VmRSS"))
            line(
                "entrypoint_rss",
                resident / 1024,
                "MiB",
                bound="≤ 12 MiB",
                note=f"{DEFENDER_IMAGE}, after {times} audits",
            )
        finally:
            task.close()


def audit_latency(console: Any, task: Task, mark: int) -> float:
    """Seconds from an event's own time to the moment at which the API showed its audit."""
    task.track(f"BTZ-1 -exec id mark{mark} ;")

    def look() -> float | None:
        found = [audit for audit in console.audits(limit=5) if audit["command"] == f"id mark{mark}"]
        return time.time() - datetime.fromisoformat(found[0]["time"]).timestamp() if found else None

    return eventually(look, what="the audit")


def line(name: str, value: float, unit: str, *, bound: str, note: str = "") -> None:
    """Print one figure."""
    print(f"{name:22}{value:10.2f} {unit:4} ({bound}){f'   {note}' if note else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
