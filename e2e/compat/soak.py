"""Mixed load under the supervisor for as long as asked: `soak.py MINUTES`.

After every round (a minute, or an eighth of a short run) the load stands still, and then there must be no process but
the supervisor and the load, as many audits as denied operations, and no handle of a thread that has ended but the last
one's. At the end the supervisor may not have more threads, nor more descriptors or memory than growth of the given rate
explains, than after the warm-up.
"""

from __future__ import annotations

import collections
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "console/src"))

from chamber import PROGRAMS, SUPERVISE, Running, chamber, detections

# After the warm-up: pages that an allocator keeps on top of what an hour may add, and descriptors in all.
MEMORY_PER_HOUR_KIB, PAGES_KIB, DESCRIPTOR_MARGIN = 1024, 256, 16
# The load ends its rounds with a thread that is known to each of the caches that connect, send and listen.
HANDLES_OF_ENDED = 3
# Caches are full after so much of the time.
WARM_PART, WARM_ROUNDS = 0.25, 4
DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class State:
    """The supervisor between two rounds: when, memory in KiB, descriptors, threads, processes in its namespace.

    Handles of threads are descriptors, but as many as there were threads, so they count apart; of these, those whose
    thread has ended.
    """

    time: float
    memory: int
    descriptors: int
    handles: int
    ended: int
    threads: int
    processes: tuple[str, ...]


def main(minutes: float) -> int:
    """Run rounds until the time is over; return 0 when nothing was wrong after any of them."""
    round_seconds = min(60.0, minutes * 60 / 8)
    end = time.monotonic() + minutes * 60
    states: list[State] = []
    command = ["python3", str(PROGRAMS / "load.py"), str(round_seconds)]
    with chamber(command, guarded=True, policy=POLICY, talking=True) as running:
        while time.monotonic() < end:
            told = one_round(running)
            states.append(settled(running, told["reports"]))
            print(
                f"soak: {sum(told['done'].values())} operations, {sum(told['reports'].values())} denied and reported, "
                f"{states[-1].memory} KiB, {states[-1].descriptors} descriptors, {states[-1].handles} handles "
                f"({states[-1].ended} of ended threads), {states[-1].threads} threads",
                flush=True,
            )
    check(states)
    print(f"soak: {len(states)} rounds, nothing leaked, stuck or missed")
    return 0


def one_round(running: Running) -> dict[str, Any]:
    """Let the load do one round; what it has done since its start.

    Raises:
        SystemExit: it ended; its last words have been printed.
    """
    assert running.process.stdin is not None
    assert running.process.stdout is not None
    running.process.stdin.write(b"go\n")
    running.process.stdin.flush()
    said = []
    for line in running.process.stdout:
        if line.startswith(b'{"done"'):
            return dict(json.loads(line))
        said.append(line.decode())
    raise SystemExit(f"soak: the load ended with {running.process.wait()}:\n{''.join(said)}")


def settled(running: Running, expected: dict[str, int]) -> State:
    """The state once everything denied is reported and every child is gone.

    Raises:
        SystemExit: that did not happen in time.
    """
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        audits = [json.loads(text) for text in running.audits.read_text().splitlines()]
        reports = collections.Counter(audit["reason"] for audit in audits)
        state = look(running.process.pid)
        if dict(reports) == expected and len(state.processes) == 2:
            if state.ended > HANDLES_OF_ENDED:
                raise SystemExit(f"soak: {state.ended} handles of threads that have ended are kept")
            return state
        if time.monotonic() > end:
            others = [audit["event"] for audit in audits if audit["reason"] not in expected]
            raise SystemExit(
                f"soak: expected {expected}, reported {dict(reports)} {others}; processes: {state.processes}"
            )
        time.sleep(0.1)


def look(top: int) -> State:
    """The state of the supervisor below the process ``top``."""
    below = descendants(top)
    supervisor = next(process for process in below if Path(executable(process)).name == SUPERVISE.name)
    status = Path(f"/proc/{supervisor}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    opened = list(Path(f"/proc/{supervisor}/fd").iterdir())
    handles = [path.name for path in opened if target(path) == "anon_inode:[pidfd]"]
    inside = [supervisor, *descendants(supervisor)]
    return State(
        time=time.monotonic(),
        memory=int(fields["VmRSS"].split()[0]),
        descriptors=len(opened) - len(handles),
        handles=len(handles),
        ended=sum(has_ended(supervisor, handle) for handle in handles),
        threads=int(fields["Threads"]),
        processes=tuple(executable(process) for process in inside),
    )


def has_ended(process: int, handle: str) -> bool:
    """True when a handle of a process is on a thread that is gone (pidfd_open(2): its number is -1)."""
    try:
        return "\nPid:\t-1\n" in Path(f"/proc/{process}/fdinfo/{handle}").read_text()
    except OSError:
        return False


def target(link: Path) -> str:
    """What it leads to; nothing when it is gone."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


def descendants(process: int) -> list[int]:
    """All processes below one."""
    children = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        children += [int(word) for word in task.read_text().split()]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def executable(process: int) -> str:
    """Its program; `ended` for one that only waits to be reaped."""
    try:
        return str(Path(f"/proc/{process}/exe").readlink())
    except OSError:
        return "ended"


def check(states: list[State]) -> None:
    """Compare the last state with the highest of the warm-up.

    Raises:
        SystemExit: it takes more.
    """
    warm = states[: max(WARM_ROUNDS, int(len(states) * WARM_PART))]
    base, last = warm[-1], states[-1]
    hours = (last.time - base.time) / 3600
    allowed = max(state.memory for state in warm) + PAGES_KIB + MEMORY_PER_HOUR_KIB * hours
    print(
        f"soak: since the warm-up {last.memory - base.memory:+} KiB, {last.descriptors - base.descriptors:+} "
        f"descriptors, {last.threads - base.threads:+} threads in {hours * 60:.1f} minutes",
        flush=True,
    )
    if last.memory > allowed:
        raise SystemExit(f"soak: memory grows: {[state.memory for state in states]} KiB")
    if last.descriptors > max(state.descriptors for state in warm) + DESCRIPTOR_MARGIN:
        raise SystemExit(f"soak: descriptors leak: {[state.descriptors for state in states]}")
    if last.threads > max(state.threads for state in warm):
        raise SystemExit(f"soak: threads leak: {[state.threads for state in states]}")


POLICY: dict[str, Any] = {
    "version": 1,
    "revision": 1,
    "rule": "soak",
    "processes": {"effect": "prevent", "allow": [], "deny": ["soak-denied"]},
    "dns": {"effect": "prevent", "allow": [], "deny": ["*.evil.test"]},
    "network": {
        "effect": "prevent",
        "allowAddresses": [],
        "denyAddresses": ["203.0.113.0/24"],
        "allowPorts": [],
        "denyPorts": [{"start": 6666, "end": 6666}],
    },
    "files": {"effect": "prevent", "allow": [], "deny": ["/opt/denied"]},
    # All but those of what the load is there for: it starts programs, and connects to numbers.
    "detections": dict.fromkeys(set(detections()) - {"notMainProcess", "unresolvedAddress"}, "prevent"),
}


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
