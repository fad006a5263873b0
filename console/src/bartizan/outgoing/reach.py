"""How far outgoing requests may go: everywhere in public, further inside only where the operator said so (pure)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from bartizan.outgoing.addresses import Depth, depth_of, plain

_NAME = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$")  # resolvers take a name that ends so for an address
_MOST = 100
_LONGEST = 253
_LINK_LOCAL = tuple(map(ipaddress.ip_network, ("169.254.0.0/16", "fe80::/10")))


@dataclass(frozen=True, slots=True)
class Reach:
    """
    The hosts that may be spoken to though they are not public, and without TLS if a URL says so.

    A name covers whatever it resolves to, `*.name` all names below it but no loopback address, a network its addresses.
    Link-local addresses, where clouds keep their metadata, are out of reach whatever is listed.
    """

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def lists(self, host: str) -> bool:
        """Return whether a host is listed by the name or number that a URL has for it."""
        name = host.strip("[]").rstrip(".").lower()
        if name in self.names or name.endswith(self.suffixes):
            return True
        try:
            address = plain(name)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def permits(self, host: str, address: str) -> bool:
        """Return whether a host may be spoken to at one of its addresses."""
        depth, name = depth_of(address), host.strip("[]").rstrip(".").lower()
        if depth is Depth.PUBLIC:
            return True
        if depth is Depth.FORBIDDEN:
            return False
        if name in self.names or (depth is Depth.PRIVATE and name.endswith(self.suffixes)):
            return True
        found = plain(address)
        return any(found in network for network in self.networks)


def parse_reach(entries: tuple[str, ...]) -> Reach:
    """
    Return what a list of names (`mail.corp`, `*.corp`), addresses and networks (`10.1.0.0/16`) allows.

    Raises ValueError with the entry in its message.
    """
    if len(entries) > _MOST:
        raise ValueError(f"at most {_MOST} hosts and networks can be listed")
    names: set[str] = set()
    suffixes: list[str] = []
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for entry in (item.strip().lower() for item in entries):
        network = _network(entry)
        if network is not None:
            if any(network.version == other.version and network.subnet_of(other) for other in _LINK_LOCAL):  # type: ignore[arg-type] # the versions are equal
                raise ValueError(f"`{entry}`: link-local addresses, where clouds keep secrets, are never spoken to")
            networks.append(network)
        elif len(entry) > _LONGEST or not _NAME.fullmatch(entry) or _NUMBER.search(entry):
            raise ValueError(f"`{entry[:_LONGEST]}` is no name, `*.name`, address or network such as `10.1.0.0/16`")
        elif entry.startswith("*."):
            suffixes.append(entry[1:])
        else:
            names.add(entry)
    return Reach(frozenset(names), tuple(suffixes), tuple(networks))


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"))
    except ValueError:
        return None
