"""How far inside an IP address is (pure)."""

from __future__ import annotations

import enum
import ipaddress

_CARRIER_GRADE = ipaddress.ip_network("100.64.0.0/10")
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))  # RFC 6052, RFC 8215
_COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291 section 2.5.5.1
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200")))


class Depth(enum.IntEnum):
    """How far inside an address is."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    FORBIDDEN = 3


def depth_of(address: str) -> Depth:
    """Return how far inside an IP address is; link-local and metadata ones are forbidden."""
    found = plain(address)
    if found.is_loopback:
        return Depth.LOOPBACK
    if found.is_link_local or found.is_multicast or found.is_unspecified or found in _METADATA:
        return Depth.FORBIDDEN
    if found.version == 6 and found in _COMPATIBLE:  # noqa: PLR2004 - IPv6
        return Depth.FORBIDDEN
    if found.is_global and found not in _CARRIER_GRADE:
        return Depth.PUBLIC
    return Depth.FORBIDDEN if found.version == 4 and found.is_reserved else Depth.PRIVATE  # noqa: PLR2004 - IPv4


def plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address without its zone, and the IPv4 address where an IPv6 one stands for it. Raises ValueError."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if inner := found.ipv4_mapped or found.sixtofour:
            return inner
        if any(found in network for network in _TRANSLATED):
            return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found
