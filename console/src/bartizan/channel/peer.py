"""Who is at the other end."""

from collections.abc import Callable

from bartizan.channel.connection import Connection
from bartizan.services.interfaces import ClientIdentity

PeerIdentity = Callable[[Connection], ClientIdentity]
"""Returns what the peer's verified certificate says; raises ValueError when there is none, or it is of no use."""


def identify_with(read: Callable[[bytes], ClientIdentity]) -> PeerIdentity:
    """Return a function that reads a peer's certificate (DER) with `read`."""

    def identify(connection: Connection) -> ClientIdentity:
        if not connection.certificate:
            raise ValueError("a client certificate is required, enrol first")
        return read(connection.certificate)

    return identify
