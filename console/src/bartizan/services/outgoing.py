"""Requests that the Console makes of others: identity providers, and the receivers of alerts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bartizan.services.errors import UpstreamError


class OutgoingError(UpstreamError):
    """
    A request was not made, or not answered; the message is one sentence without a secret.

    `refused` tells that the guard did not let it out: nothing will change that but another address or setting. `final`
    tells that who was asked will say the same again.
    """

    def __init__(self, message: str, *, refused: bool = False, timed_out: bool = False, final: bool = False) -> None:
        line = " ".join(message.split())
        super().__init__("".join(sign if sign.isprintable() else "?" for sign in line))
        self.refused = refused
        self.timed_out = timed_out
        self.final = final


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """
    One request. `ca_pem` are the only authorities to trust (empty: those of the system).

    `most` bounds the bytes of the answer, `seconds` the whole of it from the resolver to the last byte.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    ca_pem: str = ""
    most: int = 1 << 20
    seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingAnswer:
    """An answer, whatever its status; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class OutgoingClient(Protocol):
    """Makes requests, past a guard against server-side request forgery."""

    def send(self, request: OutgoingRequest) -> OutgoingAnswer:
        """
        Make a request and wait for the answer (call it in a thread). Raises OutgoingError.

        A redirect is followed only for GET, and only within the same scheme, host and port.
        """
        ...
