"""Whether tasks can be run on this machine."""

from __future__ import annotations

import os
import platform
import shutil


def check_platform() -> list[str]:
    """Return what keeps this machine from running tasks, one sentence each with what to do; empty when nothing does."""
    problems = []
    if platform.system() != "Linux":
        return ["tasks run on Linux only: use a Linux machine"]
    if os.geteuid() != 0:
        problems.append("containers need root: run as root, or with sudo")
    packages = {"runc": "runc", "ip": "iproute2", "mount": "mount", "umount": "mount", "cp": "coreutils"}
    problems += [
        f"`{program}` is not installed: install the package `{package}`"
        for program, package in packages.items()
        if shutil.which(program) is None
    ]
    if platform.machine() not in {"x86_64", "aarch64"}:
        problems.append(f"this machine is a `{platform.machine()}`: tasks run on x86_64 and aarch64")
    return problems
