"""The ports of the web application firewall: where it listens, and where the application does."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bartizan.embed.errors import EmbedError

VARIABLE = "DEFENDER_WAAS_PORTS"
"""The Defender listens on these ports from its start on: `EXPOSED:APP`, joined by commas."""
PRIVILEGED = 1024
"""Ports below are for root, or for who has NET_BIND_SERVICE (capabilities(7))."""
_PORT_LIMIT = 65_535
_PAIR = re.compile(r"(\d{1,5}):(\d{1,5})", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class WaasPort:
    """One port: clients come to `exposed`, what the firewall lets through goes to `app`."""

    exposed: int
    app: int

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.exposed}:{self.app}"


def read_waas_ports(texts: Iterable[str]) -> tuple[WaasPort, ...]:
    """Read `EXPOSED:APP` pairs, of which each text may hold several between commas.

    Raises `EmbedError` for what is no pair, and for pairs that cannot stand together.
    """
    ports = tuple(_read(pair) for text in texts for pair in text.split(","))
    for index, port in enumerate(ports):
        for other in ports[:index]:
            if port.exposed == other.exposed:
                raise EmbedError(f"the firewall's port {port.exposed} is given twice, in `{other}` and `{port}`")
            if port.app == other.app:
                message = f"the application's port {port.app} is given twice, in `{other}` and `{port}`"
                raise EmbedError(f"{message}: give it once, and further ports in the policy's endpoints")
    apps = {port.app: port for port in ports}
    for port in ports:
        if port.exposed in apps:
            message = (
                f"port {port.exposed} is the firewall's in `{port}` and the application's in `{apps[port.exposed]}`"
            )
            raise EmbedError(f"{message}: only one program can listen there, choose another for the firewall")
    return ports


def _read(text: str) -> WaasPort:
    match = _PAIR(text.strip())
    if match is None:
        raise EmbedError(f"`{text}` is no pair of ports: write EXPOSED:APP, such as `80:8080`")
    exposed, app = int(match[1]), int(match[2])
    for port in (exposed, app):
        if not 0 < port <= _PORT_LIMIT:
            raise EmbedError(f"`{text}` is no pair of ports: {port} is not between 1 and {_PORT_LIMIT}")
    if exposed == app:
        message = f"`{text}` has the same port on both sides"
        raise EmbedError(f"{message}: firewall and application share one network, and only one can listen there")
    return WaasPort(exposed, app)


def written(ports: Sequence[WaasPort]) -> str:
    """Return ports as the variable has them."""
    return ",".join(map(str, ports))
