"""Runs the supervisor's tests on an emulated machine with a kernel of its own: `machine.py arm64|amd64 FOLDER`.

* ``arm64``: Debian 12's kernel for arm64, on QEMU's `virt` machine.
* ``amd64``: the oldest kernel that Debian still maintains, 5.10 of Debian 11 (LTS): what newer kernels offer is absent
  for real there, not only switched off.

``FOLDER`` is where cargo put the test programs (``deps/``) and the examples beside them. What the machine holds is
written by `machine_disk.py`; what it says comes over the serial line. It has no network.
``BARTIZAN_MACHINE_MINUTES`` limits its time, ``BARTIZAN_MACHINE_TESTS`` (words) names the test programs if not all,
``BARTIZAN_MACHINE_FILTER`` the tests in them, and ``BARTIZAN_PATIENCE`` is the factor by which tests wait longer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import machine_disk

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache/machine"
MINUTES = float(os.environ.get("BARTIZAN_MACHINE_MINUTES", "60"))
PATIENCE = os.environ.get("BARTIZAN_PATIENCE", "4")
# The test programs that run the supervisor, or ask the kernel; the Makefile builds these.
TESTS = (
    *("probe", "attacks", "detections", "custom_rules", "starts", "files"),
    *("network", "tiers", "duties", "guard", "protection"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a kernel comes from and what runs it."""

    architecture: str
    suite: str
    kernel: str
    console: str
    emulator: tuple[str, ...]


MACHINES = {
    "arm64": Machine(
        *("arm64", "bookworm", "linux-image-cloud-arm64", "ttyAMA0"),
        ("qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on", "-accel", "tcg,thread=multi"),
    ),
    "amd64": Machine(
        *("amd64", "bullseye", "linux-image-cloud-amd64", "ttyS0"),
        ("qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-accel", "tcg,thread=multi"),
    ),
}


def main(words: list[str]) -> int:
    """Run it; return 0 when every test program was there and ended with 0."""
    if len(words) != 2 or words[0] not in MACHINES:
        print(f"usage: machine.py {'|'.join(MACHINES)} FOLDER", file=sys.stderr)
        return 64
    machine, built = MACHINES[words[0]], Path(words[1])
    tests = tuple(os.environ.get("BARTIZAN_MACHINE_TESTS", " ".join(TESTS)).split())
    folder = CACHE / machine.architecture
    machine_disk.fetch(machine.architecture, machine.suite, machine.kernel, folder)
    machine_disk.write(folder, built, tests, os.environ.get("BARTIZAN_MACHINE_FILTER", ""), PATIENCE)
    return report(machine, folder, tests)


def report(machine: Machine, folder: Path, tests: tuple[str, ...]) -> int:
    """Start the machine, pass on what it says, and return 0 when all its tests passed."""
    command = [
        *("timeout", str(int(60 * MINUTES)), *machine.emulator),
        *("-m", "1024", "-smp", "2", "-nographic", "-no-reboot", "-nic", "none", "-monitor", "none"),
        *("-kernel", str(folder / "kernel"), "-initrd", str(folder / "initial.cpio")),
        *("-drive", f"file={folder / 'disk'},format=raw,if=virtio,cache=unsafe,snapshot=on"),
        *("-append", f"console={machine.console} quiet loglevel=3 panic=-1 rdinit=/init"),
    ]
    start = time.monotonic()
    codes: dict[str, int] = {}
    passed = 0
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(f"{time.monotonic() - start:6.0f} {line.rstrip()}", flush=True)
            if ended := re.search(r"machine: (\S+) ended with (\d+)", line):
                codes[ended[1]] = int(ended[2])
            if result := re.search(r"test result: .* (\d+) passed", line):
                passed += int(result[1])
    failed = [name for name in tests if codes.get(name) != 0]
    took = f"{passed} tests of {len(tests)} programs passed in {time.monotonic() - start:.0f} s"
    if failed:
        print(f"machine: {machine.architecture}: {took}; failed or not over: {', '.join(failed)}", file=sys.stderr)
        return 1
    print(f"machine: {machine.architecture}: {took}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
