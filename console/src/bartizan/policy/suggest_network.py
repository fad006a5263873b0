"""Addresses and ports of a suggested rule."""

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Sequence

from bartizan.policy import entries
from bartizan.policy.defender_policy import Detection, PortRange
from bartizan.policy.evidence import ENOUGH, Gathering, Seen, grouped

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_EPHEMERAL = 32768
"""Ports from here on are chosen by Linux (ip(7), `ip_local_port_range`)."""
_HIGHEST_PORT = 65535
_PREFIXES = {4: 24, 6: 64}


def suggest_addresses(
    gathering: Gathering, items: Sequence[Seen], *, with_names: bool
) -> tuple[tuple[str, ...], tuple[Detection, ...]]:
    """
    Return the address blocks, and detections in their place.

    Addresses on the internet change behind their names. Where names are looked up, the names are the rule, and an
    address that no look-up gave is a detection; only a workload that never goes beyond private addresses gets a list.
    """
    found = _read(gathering, items)
    public = [item for address, seen in found.items() if address.is_global for item in seen]
    if with_names and public:
        for item in public:
            gathering.leave_out(item, "its names are allowed instead; an address that no look-up gave is reported")
        return (), (Detection.UNRESOLVED_ADDRESS,)
    blocks: dict[ipaddress.IPv4Network | ipaddress.IPv6Network, list[_Address]] = defaultdict(list)
    for address in found:
        blocks[ipaddress.ip_network(f"{address}/{_PREFIXES[address.version]}", strict=False)].append(address)
    kept = []
    for block, members in sorted(blocks.items(), key=lambda pair: (pair[0].version, int(pair[0].network_address))):
        if len(members) >= ENOUGH:
            covered = [item for address in members for item in found[address]]
            kept.append(gathering.line("network.whitelistIPs", str(block), covered))
        else:
            alone = sorted(members, key=int)
            kept.extend(gathering.line("network.whitelistIPs", str(address), found[address]) for address in alone)
    return tuple(kept), ()


def suggest_ports(
    gathering: Gathering, field: str, items: Sequence[Seen], end: Callable[[Seen], str]
) -> tuple[PortRange, ...]:
    """Return the ports of `tcp/443` and the like; many ephemeral ones stand for all, for the kernel chooses them."""
    found: dict[int, list[Seen]] = defaultdict(list)
    for text, same in grouped(items, end).items():
        number = text.partition("/")[2]
        if not (number.isascii() and number.isdigit() and len(number) <= len(str(_HIGHEST_PORT))):
            for item in same:
                gathering.leave_out(item, "its port cannot be read")
        elif 0 < int(number) <= _HIGHEST_PORT:
            found[int(number)].extend(same)
    ranges = []
    ephemeral = sorted(port for port in found if port >= _EPHEMERAL)
    if len(ephemeral) >= ENOUGH:
        covered = [item for port in ephemeral for item in found.pop(port)]
        gathering.line(field, f"{_EPHEMERAL}-{_HIGHEST_PORT}", covered, warning="ports that the kernel chooses")
        ranges.append(PortRange(start=_EPHEMERAL, end=_HIGHEST_PORT))
    for port in sorted(found):
        gathering.line(field, str(port), found[port])
        ranges.append(PortRange(start=port, end=port))
    return tuple(sorted(ranges, key=lambda each: each.start))


def _read(gathering: Gathering, items: Sequence[Seen]) -> dict[_Address, list[Seen]]:
    """Return what was seen by address, without loopback, which needs no permission."""
    found: dict[_Address, list[Seen]] = defaultdict(list)
    for item in items:
        try:
            address = ipaddress.ip_address(entries.address_entry(item.value))
        except ValueError as error:
            gathering.leave_out(item, str(error))
            continue
        if not address.is_loopback:
            found[address].append(item)
    return found
