"""`bartizan forensics`."""

import json
import time
from typing import Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import write_bytes
from bartizan.cli.terminal import Json, counted, local, shown, write_json, write_table

app = typer.Typer(help="The records of Defenders: what happened around an attack.", no_args_is_help=True)
_PATH = "forensics"
_PAUSE_SECONDS = 0.3
_HEADS = ("ID", "TIME", "STATE", "WHERE", "WHAT", "REASON")


@app.command("list")
@connects
def list_snapshots(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List the records that were fetched, the newest first."""
    found = connection.client().call("GET", _PATH, query={"limit": "100"})
    if raw:
        write_json(found)
        return
    write_table(_HEADS, map(_row, found), nothing="no record was fetched yet; `bartizan forensics fetch` does")


@app.command()
@connects
def fetch(
    connection: Connection,
    app_id: Annotated[str, typer.Option("--app-id", help="The application.")] = "",
    defender: Annotated[str, typer.Option(help="The Defender, if there are several of the application.")] = "",
    container: Annotated[str, typer.Option(help="The container of the task.")] = "",
    reason: Annotated[str, typer.Option(help="What for; it is kept with the record.")] = "",
    seconds: Annotated[int, typer.Option(help="How long to wait for the end.", min=0)] = 60,
) -> None:
    """Fetch the record of a workload now."""
    client = connection.client()
    body = {"appID": app_id, "defenderID": defender, "container": container, "reason": reason}
    snapshot = client.call("POST", _PATH, body={name: value for name, value in body.items() if value})
    end = time.monotonic() + seconds
    while snapshot["state"] == "fetching" and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
        snapshot = client.call("GET", f"{_PATH}/{snapshot['_id']}")
    write_table(_HEADS, [_row(snapshot)], nothing="")
    if snapshot["state"] == "failed":
        raise Failure("the Defender gave no answer")


@app.command()
@connects
def show(
    connection: Connection,
    number: Annotated[str, typer.Argument(help="The snapshot's number.", metavar="ID")],
    output_format: Annotated[
        str, typer.Option("--format", help="One of text, json (one object a line) and csv.")
    ] = "text",
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
) -> None:
    """Show what happened, the oldest first."""
    if output_format not in ("text", "json", "csv"):
        raise Failure(f"`{output_format}` is no format; possible are text, json, csv")
    client = connection.client()
    form = "csv" if output_format == "csv" else "json"
    content = client.download(f"{_PATH}/{number}/download", query={"format": form})
    if output_format == "text":
        lines = [describe_event(json.loads(line)) for line in content.splitlines()]
        content = "".join(f"{line}\n" for line in lines).encode()
    write_bytes(output_file, content)


def _row(snapshot: dict[str, Any]) -> tuple[str, ...]:
    missed = f", {snapshot['missedCount']:,} were gone" if snapshot["missedCount"] else ""
    return (
        snapshot["_id"],
        local(snapshot["time"]),
        snapshot["state"],
        snapshot["container"] or snapshot["appID"],
        f"{counted(snapshot['eventCount'], 'event')}{missed}",
        snapshot["reason"],
    )


def describe_event(recorded: dict[str, Any]) -> str:
    """Return an event of a record as one line for people."""
    from bartizan.audit.runtime_audit import rfc3339  # noqa: PLC0415 - keeps `--help` quick

    event = recorded["event"]
    judged = recorded.get("judged")
    mark = f"  [{judged['effect']}: {judged['reason']}]" if judged else ""
    return f"{local(rfc3339(recorded['time']))}  {event['kind']:10} {shown(_told(event))}{mark}"


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
