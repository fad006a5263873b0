"""The network of a task: one namespace for all its containers, and one cable to the host."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import secrets
from dataclasses import dataclass
from typing import Literal

from bartizan.runtask.command import run_command
from bartizan.runtask.errors import TaskError

Kind = Literal["task", "none", "host"]

_POOL = ipaddress.ip_network("169.254.172.0/22")


@dataclass(frozen=True, slots=True)
class Network:
    """`namespace` is a path for `nsenter --net`; `host_address` is the host as the task sees it."""

    kind: Kind
    namespace: str
    address: str
    host_address: str


async def make_network(kind: Kind, task: str) -> Network:
    """Make the network of task `task` (a short random id): `none` has loopback only, `host` is the host's.

    Raises `TaskError`; then nothing is left behind.
    """
    if kind == "host":
        return Network(kind, "/proc/self/ns/net", "127.0.0.1", "127.0.0.1")
    name = namespace_name(task)
    await run_command("ip", "netns", "add", name)
    try:
        await run_command("ip", "-n", name, "link", "set", "lo", "up")
        namespace = f"/run/netns/{name}"
        if kind == "none":
            return Network(kind, namespace, "127.0.0.1", "127.0.0.1")
        host, address = await _plug(task, name)
    except BaseException:
        await remove_network(task)
        raise
    return Network(kind, namespace, address, host)


async def remove_network(task: str) -> None:
    """Remove what `make_network` made; a network that is gone is no error."""
    with contextlib.suppress(TaskError):
        await run_command("ip", "link", "delete", f"btz{task}")
    with contextlib.suppress(TaskError):
        await run_command("ip", "netns", "delete", namespace_name(task))


def namespace_name(task: str) -> str:
    """Return the name of a task's namespace in `/run/netns`."""
    return f"bartizan-{task}"


async def _plug(task: str, name: str) -> tuple[str, str]:
    """Lay the cable; returns (host's address, task's address)."""
    cable = f"btz{task}"
    await run_command("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    host, own = await _free_pair()
    await run_command("ip", "addr", "add", f"{host}/30", "dev", cable)
    await run_command("ip", "link", "set", cable, "up")
    await run_command("ip", "-n", name, "addr", "add", f"{own}/30", "dev", "eth0")
    await run_command("ip", "-n", name, "link", "set", "eth0", "up")
    await run_command("ip", "-n", name, "route", "add", "default", "via", host)
    return host, own


async def _free_pair() -> tuple[str, str]:
    interfaces = json.loads(await run_command("ip", "-j", "-4", "addr"))
    taken = [ipaddress.ip_address(entry["local"]) for item in interfaces for entry in item.get("addr_info", [])]
    free = [subnet for subnet in _POOL.subnets(new_prefix=30) if not any(address in subnet for address in taken)]
    if not free:
        raise TaskError(f"no address in {_POOL} is free: stop other tasks first")
    host, own = secrets.choice(free).hosts()
    return str(host), str(own)
