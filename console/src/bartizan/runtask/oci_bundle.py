"""The OCI run-time configuration of one container, as Docker would write it (pure).

Sources: OCI runtime spec 1.0; moby `oci/defaults.go` for mounts, masked and read-only paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bartizan.runtask.definition import Tmpfs
    from bartizan.runtask.plan import ContainerPlan
    from bartizan.runtask.users import User

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Bind:
    """A directory or file of the host at a path of the container."""

    source: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What the configuration is made of; `namespace` is the network namespace's path, None for the host's network."""

    plan: ContainerPlan
    user: User
    root: str
    hostname: str
    namespace: str | None
    binds: tuple[Bind, ...]
    seccomp: dict[str, object]
    cgroup: str


def runtime_config(bundle: Bundle) -> dict[str, object]:
    """Return the content of `config.json`. Resource limits are left alone: some hosts forbid to raise them."""
    namespaces: list[dict[str, str]] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    if bundle.namespace is not None:
        namespaces.append({"type": "network", "path": bundle.namespace})
    return {
        "ociVersion": "1.0.2",
        "process": _process(bundle),
        "root": {"path": bundle.root, "readonly": bundle.plan.container.read_only_root},
        "hostname": bundle.hostname,
        "mounts": [*_system_mounts(), *map(_tmpfs, bundle.plan.container.tmpfs), *map(_bind, bundle.binds)],
        "linux": {
            "namespaces": namespaces,
            "cgroupsPath": bundle.cgroup,
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READ_ONLY_PATHS),
            "seccomp": bundle.seccomp,
        },
    }


def _process(bundle: Bundle) -> dict[str, object]:
    plan, user = bundle.plan, bundle.user
    environment = dict(plan.environment)
    environment.setdefault("HOSTNAME", bundle.hostname)
    environment.setdefault("HOME", user.home)
    held = list(plan.capabilities)
    # As Docker does: what execve would take from a non-root user is not even given.
    root = held if user.uid == 0 else []
    return {
        "terminal": False,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": list(plan.arguments),
        "env": [f"{name}={value}" for name, value in environment.items()],
        "cwd": plan.working_directory,
        "capabilities": {"bounding": held, "effective": root, "permitted": root, "inheritable": [], "ambient": []},
        "rlimits": [],
        "noNewPrivileges": False,
    }


def _system_mounts() -> list[dict[str, object]]:
    quiet = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", "proc", quiet),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        _mount("/sys", "sysfs", "sysfs", [*quiet, "ro"]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*quiet, "relatime", "ro"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", quiet),
        _mount("/dev/shm", "tmpfs", "shm", [*quiet, "mode=1777", "size=65536k"]),  # noqa: S108 - inside the container
    ]


def _tmpfs(tmpfs: Tmpfs) -> dict[str, object]:
    options = tmpfs.options or ("nosuid", "nodev", "noexec")
    return _mount(tmpfs.path, "tmpfs", "tmpfs", [*options, f"size={tmpfs.size}m"])


def _bind(bind: Bind) -> dict[str, object]:
    return _mount(bind.path, "bind", bind.source, ["rbind", "rprivate", "ro" if bind.read_only else "rw"])


def _mount(path: str, kind: str, source: str, options: list[str]) -> dict[str, object]:
    return {"destination": path, "type": kind, "source": source, "options": options}
