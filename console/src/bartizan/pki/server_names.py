"""The names and addresses under which this machine can be reached, for the server certificate's first SANs."""

import array
import contextlib
import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

_SIOCGIFADDR = 0x8915  # netdevice(7)
_IF_INET6 = Path("/proc/net/if_inet6")
_LINK_LOCAL = "20"  # scope column of /proc/net/if_inet6, proc(5)


def machine_names() -> tuple[str, ...]:
    """Return host name and interface addresses, the most useful first; loopback names come last."""
    host = socket.gethostname().lower()
    found = [host, *_ipv4_addresses(), *_ipv6_addresses(), "localhost", "127.0.0.1", "::1"]
    return tuple(dict.fromkeys(name for name in found if name))


def _ipv4_addresses() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = array.array("B", struct.pack("256s", name.encode()[:15]))
            with contextlib.suppress(OSError):  # an interface without an IPv4 address
                fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                found.append(socket.inet_ntoa(request[20:24].tobytes()))
    return [address for address in found if not address.startswith("127.")]


def _ipv6_addresses() -> list[str]:
    try:
        lines = _IF_INET6.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    rows = [line.split() for line in lines]
    addresses = [ipaddress.IPv6Address(int(row[0], 16)) for row in rows if row[3] != _LINK_LOCAL]
    return [str(address) for address in addresses if not address.is_loopback]
