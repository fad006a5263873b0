"""The way out through a proxy: which requests take it, and what can still be judged of them."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field

from bartizan.outgoing.addresses import Depth, depth_of, plain

_LOOKS_LIKE_NUMBER = re.compile(r"[0-9a-fx.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressProxy:
    """
    An HTTP proxy that outgoing requests go through; without `url` they go directly.

    `bypass` are hosts that are reached directly: names, `.names` with all below them, addresses, networks, or `*`.
    """

    url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca_pem: str = ""
    bypass: tuple[str, ...] = ()

    def covers(self, host: str) -> bool:
        """Return whether requests to a host take the proxy; this machine is reached without it."""
        name = host.strip("[]").lower()
        number = literal(name)
        if not self.url or name == "localhost" or (number and depth_of(number) is Depth.LOOPBACK):
            return False
        return not any(_matches(entry.strip().lower(), name, number) for entry in self.bypass)


def no_proxy() -> EgressProxy:
    """Return the direct way."""
    return EgressProxy()


def literal(host: str) -> str:
    """Return the address that a host is written as, in any spelling that resolvers take, or nothing for a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    if not _LOOKS_LIKE_NUMBER.fullmatch(host.lower()):
        return ""
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return ""


def _matches(entry: str, name: str, number: str) -> bool:
    domain = entry.removeprefix("*").lstrip(".")
    if entry == "*" or (domain and (name == domain or name.endswith(f".{domain}"))):
        return True
    try:
        return bool(number) and plain(number) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
