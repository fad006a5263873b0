"""`bartizan incidents`."""

import shlex
import sys
from typing import Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.events import describe
from bartizan.cli.failure import Failure
from bartizan.cli.files import write_bytes
from bartizan.cli.terminal import Json, counted, local, say_rest, shown, write_json, write_table

app = typer.Typer(help="Incidents: attacks, each made of the audits that show it.", no_args_is_help=True)
_PATH = "audits/incidents"
_Id = Annotated[str, typer.Argument(help="The incident's number.", metavar="ID")]


@app.command("list")
@connects
def list_incidents(
    connection: Connection,
    category: Annotated[str, typer.Option(help="Only these, such as cryptoMiner,reverseShell.")] = "",
    app_id: Annotated[str, typer.Option("--app-id", help="Only of these applications.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Acknowledged ones too.")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=250)] = 50,
    raw: Json = False,  # noqa: FBT002
) -> None:
    """List incidents, the newest first."""
    client = connection.client()
    query = {"limit": str(limit), "category": category, "appID": app_id}
    if not everything:
        query["acknowledged"] = "false"
    found, total = client.page(_PATH, query={name: value for name, value in query.items() if value})
    if raw:
        write_json(found)
        return
    nothing = "no incidents" if everything else "no open incidents; --all lists those that were seen to, too"
    rows = [
        (
            incident["_id"],
            local(incident["time"]),
            "seen to" if incident.get("acknowledged") else "open",
            _where(incident),
            _what(incident),
            counted(incident["auditCount"], "audit"),
        )
        for incident in found
    ]
    write_table(("ID", "FIRST", "STATE", "WHERE", "WHAT", "AUDITS"), rows, nothing=nothing)
    say_rest(len(found), total, "incident")


@app.command()
@connects
def show(
    connection: Connection,
    number: _Id,
    raw: Json = False,  # noqa: FBT002
) -> None:
    """Show one incident with its audits."""
    client = connection.client()
    found = client.call("GET", _PATH, query={"id": number})
    if not found:
        raise Failure(f"there is no incident `{number}`; `bartizan incidents list --all` lists them")
    if raw:
        write_json(found)
        return
    sys.stdout.write("".join(f"{line}\n" for line in story(found[0])))


@app.command()
@connects
def acknowledge(
    connection: Connection,
    number: _Id,
    reopen: Annotated[bool, typer.Option("--reopen", help="Take the acknowledgement back.")] = False,  # noqa: FBT002
) -> None:
    """Mark an incident as seen to."""
    client = connection.client()
    client.call("PATCH", f"{_PATH}/acknowledge/{number}", body={"acknowledged": not reopen})
    sys.stdout.write(f"incident {number} is {'open again' if reopen else 'acknowledged'}\n")


@app.command()
@connects
def download(
    connection: Connection,
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
) -> None:
    """Write all incidents as CSV."""
    client = connection.client()
    write_bytes(output_file, client.download(f"{_PATH}/download", query={}))


def story(incident: dict[str, Any]) -> list[str]:
    """Return an incident as lines for people: what, where and when, its audits, and what can be done next."""
    embedded, count = incident["audits"], incident["auditCount"]
    facts = [
        ("where", _where(incident)),
        ("image", incident.get("imageName", "")),
        ("app ID", incident["appID"]),
        ("first", local(incident["time"])),
        ("last", local(incident["lastTime"])),
        ("state", "seen to" if incident.get("acknowledged") else "open"),
    ]
    shown_facts = [f"  {name:8}{shown(value)}" for name, value in facts if value]
    rest = f", the first {len(embedded)}" if len(embedded) < count else ""
    lines = [f"incident {incident['_id']}: {shown(_what(incident))}", *shown_facts, ""]
    lines += [f"{counted(count, 'audit')}{rest}:", *(f"  {describe(audit)}" for audit in embedded), ""]
    fetch = "forensics fetch --app-id " + shlex.quote(incident["appID"])
    if incident.get("containerName"):
        fetch += " --container " + shlex.quote(incident["containerName"])
    lines.append(f"what happened around it: bartizan {shown(fetch)}")
    if not incident.get("acknowledged"):
        lines.append(f"when it is seen to: bartizan incidents acknowledge {incident['_id']}")
    return lines


def _where(incident: dict[str, Any]) -> str:
    return str(incident.get("containerName") or incident["appID"])


def _what(incident: dict[str, Any]) -> str:
    custom = incident.get("customRuleName")
    return f"{incident['category']} `{custom}`" if custom else str(incident["category"])
