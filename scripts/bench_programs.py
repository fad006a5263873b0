"""Measures what whole programs cost with and without the Defender, and under a naive tracer: part of `make bench`.

Processor time of the program and of what watches it; each the least of interleaved runs. The runs have Docker's
capabilities and a network of their own, not Docker's seccomp profile, whose cost is on neither side.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "e2e/compat")]

from chamber import PROGRAMS, SUPERVISE, run  # noqa: E402 - the path is set just above
from comparing import without  # noqa: E402

# Name, what costs.py takes, promised ratio, unit.
COSTS = (("make_j2", ["make", "24"], 1.05, "s"), ("nginx_static", ["nginx", "4"], 1.03, "us/request"))
ROUNDS = 5


def main() -> int:
    """Measure; return 0."""
    for name, words, bound, unit in COSTS:
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            for side in ("plain", "guarded", "traced"):
                seen = cost(side, words)
                best[side] = min(seen, best.get(side, seen))
        note = (
            f"{best['plain']:.3g} → {best['guarded']:.3g} {unit}; naive ptrace {best['traced'] / best['plain']:.1f} x"
        )
        print(f"{name:22}{best['guarded'] / best['plain']:10.2f} x    (≤ {bound})   {note}", flush=True)
    return 0


def cost(side: str, words: list[str]) -> float:
    """One run's figure.

    Raises:
        SystemExit: it did not come to one.
    """
    watcher = [str(SUPERVISE.parent / "tracer")] if side == "traced" else None
    # They start programs, and write programs (make's are compiled).
    policy = without("notMainProcess", "newBinary", "binaryWritten", "modifiedBinary")
    command = ["python3", str(PROGRAMS / "costs.py"), *words]
    outcome = run(command, guarded=side == "guarded", watcher=watcher, policy=policy)
    said = [line for line in outcome.output.splitlines() if line.startswith("cost ")]
    if outcome.code or not said:
        raise SystemExit(f"`costs.py {' '.join(words)}` ended with {outcome.code}: {outcome.output}")
    return float(said[0].split()[1])


if __name__ == "__main__":
    sys.exit(main())
