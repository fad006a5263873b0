"""`bartizan forensics`."""

import json
import sys
import time
from typing import Annotated, Any

import typer

from bartizan.cli.connection import client_for
from bartizan.cli.events import shown
from bartizan.cli.failure import Failure
from bartizan.cli.files import write_bytes
from bartizan.cli.options import Address, CaFile, Insecure, Password, Token, User

app = typer.Typer(help="The records of Defenders: what happened around an attack.", no_args_is_help=True)
_PATH = "forensics"
_PAUSE_SECONDS = 0.3


@app.command("list")
def list_snapshots(
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """List the records that were fetched, the newest first."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    for snapshot in client.call("GET", _PATH, query={"limit": "100"}):
        sys.stdout.write(headline(snapshot) + "\n")


@app.command()
def fetch(  # noqa: PLR0913, PLR0917 - the options of the command
    app_id: Annotated[str, typer.Option("--app-id", help="The application.")] = "",
    defender: Annotated[str, typer.Option(help="The Defender, if there are several of the application.")] = "",
    container: Annotated[str, typer.Option(help="The container of the task.")] = "",
    reason: Annotated[str, typer.Option(help="What for; it is kept with the record.")] = "",
    seconds: Annotated[int, typer.Option(help="How long to wait for the end.", min=0)] = 60,
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Fetch the record of a workload now."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    body = {"appID": app_id, "defenderID": defender, "container": container, "reason": reason}
    snapshot = client.call("POST", _PATH, body={name: value for name, value in body.items() if value})
    end = time.monotonic() + seconds
    while snapshot["state"] == "fetching" and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
        snapshot = client.call("GET", f"{_PATH}/{snapshot['_id']}")
    sys.stdout.write(headline(snapshot) + "\n")
    if snapshot["state"] == "failed":
        raise Failure("the Defender gave no answer")


@app.command()
def show(  # noqa: PLR0913, PLR0917 - the options of the command
    number: Annotated[str, typer.Argument(help="The snapshot's number.", metavar="ID")],
    output_format: Annotated[
        str, typer.Option("--format", help="One of text, json (one object a line) and csv.")
    ] = "text",
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Show what happened, the oldest first."""
    if output_format not in ("text", "json", "csv"):
        raise Failure(f"`{output_format}` is no format; possible are text, json, csv")
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    form = "csv" if output_format == "csv" else "json"
    content = client.download(f"{_PATH}/{number}/download", query={"format": form})
    if output_format == "text":
        lines = [describe_event(json.loads(line)) for line in content.splitlines()]
        content = "".join(f"{line}\n" for line in lines).encode()
    write_bytes(output_file, content)


def headline(snapshot: dict[str, Any]) -> str:
    """Return a snapshot as one line for people."""
    where = snapshot["container"] or snapshot["appID"]
    missed = f", {snapshot['missedCount']} were gone" if snapshot["missedCount"] else ""
    what = f"{snapshot['eventCount']} events{missed}"
    begin = f"{snapshot['_id']:>6}  {snapshot['time']}  {snapshot['state']:9}"
    return f"{begin}{shown(where)}: {what} ({shown(snapshot['reason'])})"


def describe_event(recorded: dict[str, Any]) -> str:
    """Return an event of a record as one line for people."""
    from bartizan.audit.runtime_audit import rfc3339  # noqa: PLC0415 - keeps `--help` quick

    event = recorded["event"]
    judged = recorded.get("judged")
    mark = f"  [{judged['effect']}: {judged['reason']}]" if judged else ""
    return f"{rfc3339(recorded['time'])}  {event['kind']:10} {shown(_told(event))}{mark}"


def _told(event: dict[str, Any]) -> str:
    by = f" by {event['path']} (pid {event['pid']})" if event.get("path") else ""
    match event["kind"]:
        case "process":
            parent = f"pid {event['pid']}, from {event['parentPath'] or '?'} (pid {event['parentPid']})"
            return f"{event['path']} {json.dumps(event['arguments'])} ({parent})"
        case "lookup":
            return f"{event['name']} ({event['recordType']}){by}"
        case "connection":
            return f"{event['protocol']} to {event['address']} port {event['port']}{by}"
        case "listen":
            return f"{event['protocol']} port {event['port']} at {event['address']}{by}"
        case "file":
            return f"{event['operation']} {event['file']}{by}"
        case _:
            return f"{event['notice']}: {event['detail']}"
