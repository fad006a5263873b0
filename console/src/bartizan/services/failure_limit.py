"""Slows down guessing: after a number of failures an address has to wait."""

import ipaddress
from collections import OrderedDict

from bartizan.services.errors import TooManyAttemptsError
from bartizan.services.interfaces import Clock

_MOST_ADDRESSES = 10_000
_IPV6_SITE = 64


class FailureLimit:
    """A bucket of `burst` failures for each address, which fills again by one each `refill` milliseconds."""

    def __init__(self, *, clock: Clock, burst: int = 10, refill: int = 6_000) -> None:
        self._clock = clock
        self._burst = burst
        self._refill = refill
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise TooManyAttemptsError when the address has used up its failures."""
        left = self._level(_site(address))
        if left > self._burst - 1:
            wait = int((left - (self._burst - 1)) * self._refill / 1000) + 1
            raise TooManyAttemptsError("too many failed attempts from your address, wait a little", retry_after=wait)

    def failed(self, address: str) -> None:
        """Count a failure."""
        site = _site(address)
        self._failures[site] = (self._level(site) + 1, self._clock())
        self._failures.move_to_end(site)
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def forgive(self, address: str) -> None:
        """Take one failure back: it was counted before its outcome was known."""
        site = _site(address)
        self._failures[site] = (max(0.0, self._level(site) - 1), self._clock())

    def _level(self, site: str) -> float:
        failures, when = self._failures.get(site, (0.0, 0))
        return max(0.0, failures - (self._clock() - when) / self._refill)


def _site(address: str) -> str:
    """Return what is counted as one party: an IPv4 address, or an IPv6 /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), _IPV6_SITE), strict=False))
    return str(parsed)
