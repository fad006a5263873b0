"""The options that every command with a Console takes, made into a client of it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bartizan.cli.client import Client


def client_for(*, address: str, user: str, password: str, token: str, ca_file: Path | None, insecure: bool) -> "Client":
    """Return a client; what is not given comes from the environment. Raises Failure without an address."""
    from bartizan.cli.client import Client  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import read_client_settings  # noqa: PLC0415

    settings = read_client_settings(
        address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure
    )
    return Client(settings)
