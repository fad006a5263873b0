"""Docker's seccomp profile, resolved for one capability set (pure).

The profile's JSON has `includes` and `excludes` rules that runc does not know; Docker resolves them first. Rules:
moby `profiles/seccomp/seccomp_linux.go`, `setupSeccomp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bartizan.runtask.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MACHINES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}


@dataclass(frozen=True, slots=True)
class Host:
    """What the profile's conditions look at: `uname -m` and the kernel's version."""

    machine: str
    kernel: tuple[int, int]


def resolve_seccomp(profile: object, *, capabilities: Collection[str], host: Host) -> dict[str, object]:
    """Return the `linux.seccomp` object of an OCI configuration for Docker's `profile`.

    `capabilities` are names with `CAP_`. Raises `TaskError` for a profile of another shape or a machine we lack.
    """
    if host.machine not in _MACHINES:
        raise TaskError(f"this machine is a `{host.machine}`: only x86_64 and aarch64 can run tasks")
    arch, native = _MACHINES[host.machine]
    if not isinstance(profile, dict) or not isinstance(profile.get("syscalls"), list):
        raise TaskError("the seccomp profile has no `syscalls`: give Docker's default profile")
    rules: list[dict[str, object]] = []
    for rule in profile["syscalls"]:
        if not isinstance(rule, dict) or not _applies(rule, arch, capabilities, host.kernel):
            continue
        kept: dict[str, object] = {"names": rule.get("names") or [rule.get("name")], "action": rule["action"]}
        for key in ("errnoRet", "args"):
            if rule.get(key):
                kept[key] = rule[key]
        rules.append(kept)
    return {
        "defaultAction": profile.get("defaultAction", "SCMP_ACT_ERRNO"),
        "defaultErrnoRet": profile.get("defaultErrnoRet") or 1,
        "architectures": _architectures(profile.get("archMap"), native),
        "syscalls": rules,
    }


def _architectures(arch_map: object, native: str) -> list[str]:
    for entry in arch_map if isinstance(arch_map, list) else []:
        if isinstance(entry, dict) and entry.get("architecture") == native:
            return [native, *entry.get("subArchitectures", [])]
    return [native]


def _applies(rule: Mapping[str, object], arch: str, capabilities: Collection[str], kernel: tuple[int, int]) -> bool:
    includes, excludes = _condition(rule.get("includes")), _condition(rule.get("excludes"))
    caps = _names(includes, "caps")
    arches = _names(includes, "arches")
    if arches and arch not in arches:
        return False
    if not all(cap in capabilities for cap in caps):
        return False
    least = includes.get("minKernel")
    if isinstance(least, str) and kernel < _version(least):
        return False
    if arch in _names(excludes, "arches") or any(cap in capabilities for cap in _names(excludes, "caps")):
        return False
    newest = excludes.get("minKernel")
    return not (isinstance(newest, str) and kernel >= _version(newest))


def _condition(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _names(condition: Mapping[str, object], key: str) -> list[str]:
    value = condition.get(key)
    return [str(name) for name in value] if isinstance(value, list) else []


def _version(text: str) -> tuple[int, int]:
    try:
        major, minor = text.split(".")[:2]
        return int(major), int(minor)
    except ValueError:
        raise TaskError(f"the seccomp profile names kernel `{text}`: it must look like `4.8`") from None
