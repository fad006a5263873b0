"""Measures what the firewall's proxy costs, beside nginx alone and nginx with libmodsecurity: part of `make bench`.

``bench_waas.py [--quick] [FIGURE…]``. The examples `proxy` and `detect` are taken from the folder `BARTIZAN_PROGRAMS`
(else where cargo puts those built for release), or are what `BARTIZAN_PROXY` and `BARTIZAN_DETECT` name. nginx and
libmodsecurity are those of Debian (scripts/apt-packages-bench.txt); where they are missing the proxy is measured alone.

A cost is all processor time of a server's processes divided by requests, the least of interleaved batches. The server
has a processor of its own, and one worker; client and application have the other. Sixteen connections are kept open,
and wrk always has the next request ready; without wrk, with long bodies and for libmodsecurity sixteen come at a time.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "e2e/crs")]

from waas_fuzz import fuzzed  # noqa: E402 - the path is set just above
from waas_load import Load, requests_of, send_with_wrk  # noqa: E402 - the path is set just above
from waas_servers import Server, application, guarded, inspecting, plain, quick_application  # noqa: E402

# What is asked for, how many of a batch; the promised ratio to libmodsecurity and the microseconds there that belong to
# it (waf.md); whether libmodsecurity ends at all within patience.
KINDS = {
    "get": (4000, "≥ 130 x, ≤ 55 us"),
    "form": (2000, "≥ 160 x, ≤ 120 us"),
    "json": (480, "≥ 770 x, ≤ 400 us"),
    "attack": (2000, "≥ 85 x, ≤ 100 us"),
    "tokens_again": (4000, ""),
    "tokens_fresh": (4000, ""),
    "json_1m": (3, "≤ 60 ms"),
}
# libmodsecurity gets so many of a batch; of the last kind none, since it needs minutes for one.
SLOW = {"get": 64, "form": 32, "json": 2, "attack": 64, "tokens_again": 32, "tokens_fresh": 32}
ORDINARY = tuple(kind for kind in KINDS if kind != "json_1m")
ROUNDS = 6
WRK = shutil.which("wrk")


def main(*words: str) -> int:
    """Measure what is named, or everything; return 0."""
    quick = "--quick" in words
    wanted = [word for word in words if word != "--quick"]
    figures = {"cost": cost, "ready": ready, "memory": memory, "upload": upload, "events": events, "fuzz": fuzz}
    for name, measure in figures.items():
        if not wanted or name in wanted:
            measure(quick=quick)
    return 0


def cost(*, quick: bool) -> None:
    """Processor time of a request, for each kind, by turns."""
    best: dict[tuple[str, str], float] = {}
    with ExitStack() as stack:
        behind = stack.enter_context(quick_application())
        sides = {
            "nginx": plain(behind),
            "modsecurity": inspecting(behind),
            "balanced": guarded(behind),
            "crsStrict": guarded(behind, profile="crsStrict"),
            "unguarded": guarded(behind, effect="disable"),
        }
        running = {name: stack.enter_context(server) for name, server in sides.items() if server is not None}
        for number in range(1 if quick else ROUNDS):
            for kind, (count, _) in KINDS.items():
                for name, server in running.items():
                    size = SLOW.get(kind, 0) if name == "modsecurity" else count // (10 if quick else 1) or 1
                    if not size or (quick and name == "modsecurity" and kind == "json"):
                        continue
                    steady = not quick and WRK and name != "modsecurity" and kind != "json_1m"
                    batch = one_run if steady else one_batch
                    spent = batch(server, kind, size, number)
                    best[kind, name] = min(spent, best.get((kind, name), spent))
    for kind, (_, bound) in KINDS.items():
        _tell_cost(kind, bound, {name: best[kind, name] for name in running if (kind, name) in best})
    again, fresh = best["tokens_again", "balanced"], best["tokens_fresh", "balanced"]
    line("tokens_fresh_to_again", fresh / again, "x", bound="≤ 1.5 x", note=f"{again:.1f} → {fresh:.1f} us")


def one_batch(server: Server, kind: str, size: int, number: int) -> float:
    """Microseconds of processor time for one request of a batch. What came before warms it up."""
    width = min(16, size)
    with Load(server.port, width) as load:
        load.send(requests_of(kind, width, number=1000 + number))
        given = requests_of(kind, size, number=number)
        before = server.spent()
        load.send(given)
        return (server.spent() - before) / size / 1000


def one_run(server: Server, kind: str, size: int, number: int) -> float:
    """The same with wrk, which always has the next request ready: as many as fit a second."""
    given = requests_of(kind, size if kind == "tokens_fresh" else 1, number=number)
    before = server.spent()
    count = send_with_wrk(server.port, 16, given, seconds=1)
    # On a machine with much else to do it may have got nowhere.
    return (server.spent() - before) / count / 1000 if count else float("inf")


def _tell_cost(kind: str, bound: str, spent: dict[str, float]) -> None:
    ours = spent["balanced"]
    notes = [f"crsStrict {spent['crsStrict']:.1f} us, the proxy alone {spent['unguarded']:.1f}"]
    if "nginx" in spent:
        limit = " (≤ 2.1)" if kind == "get" else ""
        notes.append(f"{ours / spent['nginx']:.2f} x of nginx alone{limit}: {spent['nginx']:.1f} us")
    if "modsecurity" in spent:
        notes.append(f"libmodsecurity {spent['modsecurity'] / ours:.0f} x: {spent['modsecurity']:,.0f} us")
    line(f"waas_{kind}", ours, "us", bound=bound or "no promise", note="; ".join(notes))


def ready(*, quick: bool) -> None:
    """From the proxy's start to the first answer through it, with rules and policy."""
    with application() as behind:
        times, spent = [], []
        for _ in range(3 if quick else 9):
            server = guarded(behind)
            with server:
                with Load(server.port, 1) as load:
                    load.send(requests_of("get", 1, number=0))
                times.append(server.seconds())
                spent.append(server.spent() / 1e6)
    note = f"median {1000 * statistics.median(times):.0f}; {min(spent):.0f} ms of processor time"
    line("waas_ready", 1000 * min(times), "ms", bound="≤ 500 ms", note=note)


def memory(*, quick: bool) -> None:
    """Memory that is resident, the most of it: under ordinary requests, with more connections, with long bodies."""
    with application() as behind, guarded(behind) as server:
        seen = [server.resident()]
        for width, kinds in ((64, ORDINARY), (64 if quick else 512, ORDINARY), (4, ("json_1m",))):
            with Load(server.port, width) as load:
                for kind in kinds:
                    load.send(requests_of(kind, 2 * width, number=7))
            seen.append(server.resident(most=True))
    idle, most, wide, long = seen
    note = f"64 connections; idle {idle:.1f}, 512 connections {wide:.1f}, then four 1 MB JSON at once {long:.1f}"
    line("waas_resident", most, "MiB", bound="≤ 60 MiB", note=note)


def upload(*, quick: bool) -> None:
    """What an upload adds to the most memory that was resident."""
    size = (64 if quick else 1024) << 20
    with application() as behind, guarded(behind) as server:
        with Load(server.port, 1) as load:
            load.upload(4 << 20)
            before = server.resident(most=True)
            started = server.spent()
            load.upload(size)
            spent = (server.spent() - started) / 1e6
        after = server.resident(most=True)
    note = f"{before:.1f} → {after:.1f} MiB; {size >> 20} MiB took {spent:.0f} ms of processor time"
    line("waas_upload", after - before, "MiB", bound="≤ 4 MiB", note=note)


def events(*, quick: bool) -> None:
    """What the proxy adds to the time until the first event of a stream that goes on."""
    times = 60 if quick else 200
    with application() as behind, guarded(behind) as server:
        direct, through = [], []
        for _ in range(times):
            direct.append(Load.first_event(behind))
            through.append(Load.first_event(server.port))
    before, after = 1000 * statistics.median(direct), 1000 * statistics.median(through)
    note = (
        f"median of {times}: {before:.2f} → {after:.2f} ms; least {1000 * min(direct):.2f} → {1000 * min(through):.2f}"
    )
    added = after - before
    line("waas_events", added, "ms", bound="≤ 5 ms", note=note)


def fuzz(*, quick: bool) -> None:
    """The most processor time that one of many mutated requests took, inside the engine."""
    count = 5_000 if quick else 1_000_000
    found = fuzzed(count)
    note = (
        f"{count:,} requests, {found['over']} over 100 ms, {found['overrun']} cut short by their budget; "
        f"mean {found['mean'] / 1000:.0f} us"
    )
    line("waas_fuzz", found["most"] / 1e6, "ms", bound="≤ 100 ms", note=note)


def line(name: str, value: float, unit: str, *, bound: str, note: str = "") -> None:
    """Print one figure."""
    print(f"{name:22}{value:10.2f} {unit:4} ({bound}){f'   {note}' if note else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
