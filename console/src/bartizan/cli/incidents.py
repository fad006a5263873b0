"""`bartizan incidents`."""

import json
import sys
from typing import Annotated, Any

import typer

from bartizan.cli.connection import client_for
from bartizan.cli.events import describe, shown
from bartizan.cli.failure import Failure
from bartizan.cli.files import write_bytes
from bartizan.cli.options import Address, CaFile, Insecure, Password, Token, User

app = typer.Typer(help="Incidents: attacks, each made of the audits that show it.", no_args_is_help=True)
_PATH = "audits/incidents"
_Id = Annotated[str, typer.Argument(help="The incident's number.", metavar="ID")]


@app.command("list")
def list_incidents(  # noqa: PLR0913, PLR0917 - the options of the command
    category: Annotated[str, typer.Option(help="Only these, such as cryptoMiner,reverseShell.")] = "",
    app_id: Annotated[str, typer.Option("--app-id", help="Only of these applications.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Acknowledged ones too.")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=250)] = 50,
    raw: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """List incidents, the newest first."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    query = {"limit": str(limit), "category": category, "appID": app_id}
    if not everything:
        query["acknowledged"] = "false"
    for incident in client.call("GET", _PATH, query={name: value for name, value in query.items() if value}):
        sys.stdout.write((json.dumps(incident) if raw else headline(incident)) + "\n")


@app.command()
def show(
    number: _Id,
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Show one incident with its audits."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    found = client.call("GET", _PATH, query={"id": number})
    if not found:
        raise Failure(f"there is no incident `{number}`")
    sys.stdout.write("\n".join([headline(found[0]), *(f"  {describe(audit)}" for audit in found[0]["audits"])]) + "\n")


@app.command()
def acknowledge(
    number: _Id,
    reopen: Annotated[bool, typer.Option("--reopen", help="Take the acknowledgement back.")] = False,  # noqa: FBT002
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Mark an incident as seen to."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    client.call("PATCH", f"{_PATH}/acknowledge/{number}", body={"acknowledged": not reopen})
    sys.stdout.write(f"incident {number} is {'open again' if reopen else 'acknowledged'}\n")


@app.command()
def download(
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Write all incidents as CSV."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    write_bytes(output_file, client.download(f"{_PATH}/download", query={}))


def headline(incident: dict[str, Any]) -> str:
    """Return an incident as one line for people."""
    where = incident.get("containerName") or incident["appID"]
    what = incident["category"] + (f" `{incident['customRuleName']}`" if incident.get("customRuleName") else "")
    state = "acknowledged" if incident.get("acknowledged") else "open"
    count = incident["auditCount"]
    audits = "1 audit" if count == 1 else f"{count} audits"
    return f"{incident['_id']:>6}  {incident['time']}  {state:13}{shown(where)}: {shown(what)}, {audits}"
