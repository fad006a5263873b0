"""Who is at the other end."""

import ssl
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection

from bartizan.services.interfaces import ClientIdentity

PeerIdentity = Callable[[ServerConnection], ClientIdentity]
"""Returns what the peer's verified certificate says; raises ValueError when there is none, or it is of no use."""


def identify_with(read: Callable[[bytes], ClientIdentity]) -> PeerIdentity:
    """Return a function that reads a peer's certificate (DER) with `read`."""

    def identify(connection: ServerConnection) -> ClientIdentity:
        tls = connection.transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None
        if not der:
            raise ValueError("a client certificate is required, enrol first")
        return read(der)

    return identify


def peer_address(connection: ServerConnection) -> str:
    """Return the peer's IP address."""
    address = connection.remote_address
    return str(address[0]) if isinstance(address, tuple) else "unknown"
