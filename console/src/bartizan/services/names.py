"""The names and addresses of the Console: the SANs of its certificate, and the address that Defenders are given."""

import asyncio
import ipaddress
import json
import re
from collections.abc import Callable, Sequence

from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import SettingStore

_SETTING = "consoleSAN"
_MOST_NAMES = 100
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_ALWAYS = ("localhost", "127.0.0.1", "::1")
_HIGHEST_PORT = 65535


class Names:
    """
    The Console's names. `reissue` is called with all of them at start and at every change.

    A list that was set over the API replaces `defaults` (what the machine knows of itself); names given at start are
    always added, and so are the loopback ones.
    """

    def __init__(
        self,
        settings: SettingStore,
        *,
        defaults: Sequence[str],
        added: Sequence[str],
        reissue: Callable[[Sequence[str]], None],
    ) -> None:
        self._settings = settings
        self._added = tuple(normal_name(name) for name in added)
        self._reissue = reissue
        stored = settings.get(_SETTING)
        self._listed: tuple[str, ...] = tuple(json.loads(stored)) if stored else tuple(_usable(defaults))
        self._ports = (0, 0)
        reissue(self.all())

    def set_ports(self, *, api: int, channel: int) -> None:
        """Tell the ports that were bound."""
        self._ports = (api, channel)

    @property
    def page_address(self) -> str:
        """The address of the Console's pages, by its first name."""
        name = self.all()[0]
        return f"https://{f'[{name}]' if ':' in name else name}:{self._ports[0]}"

    def all(self) -> tuple[str, ...]:
        """Return every name of the certificate, the most useful first."""
        return tuple(dict.fromkeys((*self._added, *self._listed, *_ALWAYS)))

    async def replace(self, names: Sequence[str]) -> None:
        """Replace the list; the certificate is issued anew and used at once. Raises InvalidError."""
        if not 0 < len(names) <= _MOST_NAMES:
            raise InvalidError(f"give 1 to {_MOST_NAMES} names")
        listed = tuple(dict.fromkeys(normal_name(name) for name in names))
        await asyncio.to_thread(self._settings.put, _SETTING, json.dumps(listed))
        self._listed = listed
        self.refresh()

    def refresh(self) -> None:
        """Let the certificate be issued anew if it has to be: other names, or soon at its end."""
        self._reissue(self.all())

    def channel_address(self, console: str) -> str:
        """
        Return the `wss://host:port` under which Defenders reach the Console that users call `console` (host[:port]).

        An API port becomes the channel's; any other port is taken as it stands, since it may be a balancer's.
        Raises InvalidError for a name that the certificate does not have: a Defender would refuse it.
        """
        host, port = _split(console)
        name = normal_name(host)
        if name not in self.all():
            raise InvalidError(
                f"`{name}` is not among the names of the Console's certificate, Defenders could not verify it; "
                "add it with POST /api/v1/settings/certs or choose one of: " + ", ".join(self.all())
            )
        api, channel = self._ports
        shown = f"[{name}]" if ":" in name else name
        return f"wss://{shown}:{channel if port in (None, api) else port}"


def normal_name(text: str) -> str:
    """Return a DNS name in lower case or an address in its normal form. Raises InvalidError."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():  # noqa: PLR2004 - RFC 1035
        raise InvalidError(f"`{text[:300]}` is neither a host name nor an IP address")
    return name


def _usable(names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(normal_name(name))
        except InvalidError:  # a host name that no certificate can carry
            continue
    return found


def _split(console: str) -> tuple[str, int | None]:
    try:
        return str(ipaddress.IPv6Address(console)), None
    except ValueError:
        pass
    host, colon, port = console.rpartition(":")
    if not colon or console.endswith("]"):
        return console, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT):
        raise InvalidError(f"`{console[:300]}` is not a host or host:port")
    return host, int(port)
