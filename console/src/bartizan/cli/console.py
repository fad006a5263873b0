"""`bartizan console` and `bartizan signup`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bartizan.cli.failure import Failure
from bartizan.cli.options import Address, CaFile, Insecure


def run(
    data_dir: Annotated[Path | None, typer.Option(help="All state lies here, mode 0700.")] = None,
    api_address: Annotated[str | None, typer.Option(help="Where the API listens, [HOST]:PORT.")] = None,
    channel_address: Annotated[str | None, typer.Option(help="Where Defenders connect, [HOST]:PORT.")] = None,
    san: Annotated[list[str] | None, typer.Option(help="A further name of this Console for its certificate.")] = None,
    defender_image: Annotated[str | None, typer.Option(help="The sidecar's image in protected definitions.")] = None,
) -> None:
    """Run the Console: API on 8083, Defender channel on 8084."""
    from bartizan.app import serve_console  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.data_directory import ConsoleError  # noqa: PLC0415
    from bartizan.settings import SettingsError, parse_address, read_settings  # noqa: PLC0415

    try:
        given: dict[str, Any] = {"data_directory": data_dir, "names": tuple(san) if san else None}
        given["defender_image"] = defender_image
        for part, address in (("api", api_address), ("channel", channel_address)):
            if address is not None:
                given[f"{part}_host"], given[f"{part}_port"] = parse_address(address)
        serve_console(read_settings(**given), announce=_say)
    except (ConsoleError, SettingsError) as error:
        raise Failure(str(error)) from None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def sign_up(
    token: Annotated[str, typer.Option(help="The one-time token that the Console printed at its first start.")],
    username: Annotated[str, typer.Option(help="Name of the administrator.")] = "admin",
    address: Address = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002 - an option
) -> None:
    """Set the administrator's password, once. It is asked for, or taken from BARTIZAN_PASSWORD."""
    from bartizan.cli.client import Client  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import read_client_settings  # noqa: PLC0415

    settings = read_client_settings(address=address, ca_file=ca_file, insecure=insecure)
    password = settings.password or typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    Client(settings).call("POST", "signup", body={"username": username, "password": password, "token": token})
    _say(f"`{username}` is the administrator now")
