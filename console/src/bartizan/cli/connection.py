"""The options that every command with a Console takes, and the client they make."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bartizan.cli.options import Address, CaFile, Insecure, Password, Token, User

if TYPE_CHECKING:
    from bartizan.cli.client import Client
    from bartizan.settings import ClientSettings

_OPTIONS: dict[str, tuple[Any, object]] = {
    "address": (Address, ""),
    "user": (User, ""),
    "password": (Password, ""),
    "token": (Token, ""),
    "ca_file": (CaFile, None),
    "insecure": (Insecure, False),
}
_PARAMETER = "connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How a Console is to be reached; what a user did not give comes from the environment."""

    address: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    ca_file: Path | None = None
    insecure: bool = False

    def settings(self) -> "ClientSettings":
        """Return the settings of a client; they may be without an address, for work without a Console."""
        from bartizan.settings import read_client_settings  # noqa: PLC0415 - keeps `--help` quick

        return read_client_settings(
            address=self.address,
            user=self.user,
            password=self.password,
            token=self.token,
            ca_file=self.ca_file,
            insecure=self.insecure,
        )

    def client(self) -> "Client":
        """Return a client. Raises Failure without an address."""
        from bartizan.cli.client import Client  # noqa: PLC0415 - keeps `--help` quick

        return Client(self.settings())


def connects(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection, behind its own, in place of its parameter `connection`."""

    @functools.wraps(command)
    def connected(**given: Any) -> None:  # noqa: ANN401 - the options of the command
        connection = Connection(**{name: given.pop(name) for name in _OPTIONS})
        command(**given, connection=connection)

    signature = inspect.signature(command)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != _PARAMETER]
    options = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    # This is where Typer reads the options from.
    connected.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    connected.__annotations__ = {item.name: item.annotation for item in (*own, *options)}
    return connected
