"""`bartizan backup` and `bartizan restore`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text, write_bytes
from bartizan.cli.options import Address, CaFile, Insecure

_PassphraseFile = Annotated[str, typer.Option(help="A file whose first line is the passphrase of the keys.")]


def back_up(
    output_file: Annotated[str, typer.Option(help="Where the backup is written, mode 0600.")],
    passphrase_file: _PassphraseFile = "",
    address: Address = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002 - an option
) -> None:
    """Make a backup of a running Console and fetch it; with a passphrase its keys are in it, sealed."""
    from bartizan.cli.client import Client  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import read_client_settings  # noqa: PLC0415

    client = Client(read_client_settings(address=address, ca_file=ca_file, insecure=insecure))
    name = client.call("POST", "backups", body={"passphrase": _passphrase(passphrase_file)})["name"]
    while True:
        (backup,) = (item for item in client.call("GET", "backups") if item["name"] == name)
        if backup["state"] != "running":
            break
        time.sleep(0.2)
    if backup["state"] == "failed":
        raise Failure(f"the Console: {backup['error']}")
    write_bytes(output_file, client.download(f"backups/{name}", query={}), mode=0o600)
    client.call("DELETE", f"backups/{name}")
    typer.echo(f"{backup['rows']} rows in `{output_file}`")


def put_back(
    file: Annotated[Path, typer.Argument(help="The backup.", show_default=False)],
    data_dir: Annotated[Path | None, typer.Option(help="The Console's data directory.")] = None,
    passphrase_file: _PassphraseFile = "",
    replace: Annotated[bool, typer.Option("--replace", help="Lose what is in the database now.")] = False,  # noqa: FBT002
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Keep the present keys.")] = False,  # noqa: FBT002
) -> None:
    """Put a backup into the place of a Console that does not run; BARTIZAN_DATABASE says where, as for `console`."""
    from bartizan.app.backup import restore_console  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.data_directory import ConsoleError  # noqa: PLC0415
    from bartizan.settings import SettingsError, read_settings  # noqa: PLC0415

    try:
        settings = read_settings(data_directory=data_dir)
        passphrase = _passphrase(passphrase_file)
        rows = restore_console(settings, file, passphrase=passphrase, replace=replace, without_keys=without_keys)
    except (ConsoleError, SettingsError) as error:
        raise Failure(str(error)) from None
    typer.echo(f"{rows} rows restored; start the Console with `bartizan console`")


def _passphrase(file: str) -> str:
    return read_text(file).splitlines()[0] if file else ""
