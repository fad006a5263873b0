"""The OCI configuration of a container as Docker makes it, with this machine's own files as its image."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bartizan.runtask.oci_bundle import MASKED_PATHS, READ_ONLY_PATHS
from bartizan.runtask.plan import DEFAULT_CAPABILITIES
from bartizan.runtask.seccomp import Host, resolve_seccomp
from bartizan.runtask.users import resolve_user

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILE = Path(os.environ.get("BARTIZAN_SECCOMP_PROFILE", ROOT / ".cache/seccomp.json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What runs, and as whom. ``binds`` are directories at their own paths, true for those that may be written.

    The network is that of whoever starts it; ``tracing`` adds SYS_PTRACE, as Fargate lets a task do.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    user: str
    tracing: bool
    terminal: bool
    binds: Mapping[str, bool]
    root: str
    cgroup: str


def configuration(container: Container) -> dict[str, Any]:
    """Return the content of ``config.json``: Docker's capabilities, seccomp profile, mounts and masked paths."""
    held = sorted({*DEFAULT_CAPABILITIES, *(["CAP_SYS_PTRACE"] if container.tracing else [])})
    passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
    user = resolve_user(container.user, passwd=passwd, group=group)
    effective = held if user.uid == 0 else []
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": container.terminal,
            "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
            "args": list(container.command),
            "env": [f"{name}={value}" for name, value in container.environment.items()],
            "cwd": container.folder,
            "capabilities": {
                "bounding": held,
                "effective": effective,
                "permitted": effective,
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": [],
            "noNewPrivileges": False,
        },
        "root": {"path": container.root, "readonly": False},
        "hostname": "compat",
        "mounts": [*_mounts(), *(_bind(path, writable=writable) for path, writable in container.binds.items())],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "cgroupsPath": container.cgroup,
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READ_ONLY_PATHS),
            "seccomp": _seccomp(held),
        },
    }


def _seccomp(held: list[str]) -> dict[str, object]:
    major, minor = platform.release().split(".")[:2]
    host = Host(platform.machine(), (int(major), int(minor.split("-")[0])))
    return resolve_seccomp(json.loads(PROFILE.read_text()), capabilities=held, host=host)


def _mounts() -> list[dict[str, object]]:
    quiet = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", "proc", quiet),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        _mount("/sys", "sysfs", "sysfs", [*quiet, "ro"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", quiet),
        _mount("/dev/shm", "tmpfs", "shm", [*quiet, "mode=1777", "size=65536k"]),  # noqa: S108 - inside the container
    ]


def _bind(path: str, *, writable: bool) -> dict[str, object]:
    return _mount(path, "bind", path, ["rbind", "rprivate", "rw" if writable else "ro"])


def _mount(path: str, kind: str, source: str, options: list[str]) -> dict[str, object]:
    return {"destination": path, "type": kind, "source": source, "options": options}
