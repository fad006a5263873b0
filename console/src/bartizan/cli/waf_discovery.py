"""`bartizan waf discovery …`: what requests have shown applications to have."""

import json
import sys
from typing import Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.files import write_text
from bartizan.cli.terminal import Json, local, say_rest, shown, write_json, write_table

app = typer.Typer(help="API discovery: what requests have shown applications to have.", no_args_is_help=True)
_PATH = "waas/discovery"
_AppId = Annotated[str, typer.Option("--app-id", help="The App ID.")]
_Application = Annotated[str, typer.Option(help="The application, as the WAAS policy names it.")]
_HEADS = ("APP ID", "APPLICATION", "METHOD", "PATH", "HITS", "LAST SEEN", "FLAGS")


@app.command("list")
@connects
def list_discovered(  # noqa: PLR0913, PLR0917 - one for each filter
    connection: Connection,
    app_id: Annotated[str, typer.Option("--app-id", help="Only of these App IDs, separated by commas.")] = "",
    application: Annotated[str, typer.Option(help="Only of this application of the WAAS policy.")] = "",
    method: Annotated[str, typer.Option(help="Only these methods, such as POST,PUT.")] = "",
    path: Annotated[str, typer.Option(help="Only paths with this in them.", metavar="TEXT")] = "",
    risk: Annotated[str, typer.Option(help="Only with these: sensitive, unauthenticated, unencrypted.")] = "",
    shadow: Annotated[
        bool | None, typer.Option("--shadow/--described", help="Only what the apiSpec lacks, or only what it has.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=250)] = 250,
    raw: Json = False,  # noqa: FBT002
) -> None:
    """List the operations that requests have shown applications to have; `{id}` stands for what differs."""
    given = {"appID": app_id, "application": application, "method": method, "path": path, "risk": risk}
    query = {name: value for name, value in given.items() if value}
    if shadow is not None:
        query["shadow"] = "true" if shadow else "false"
    found, total = connection.client().page(_PATH, query={"limit": str(limit), **query})
    if raw:
        write_json(found)
        return
    write_table(_HEADS, map(_row, found), nothing="nothing was discovered: no request to an API was answered yet")
    say_rest(len(found), total, "operation")


@app.command("export")
@connects
def export_discovered(
    connection: Connection,
    app_id: _AppId,
    application: _Application,
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
) -> None:
    """Write what was discovered of an application as an OpenAPI 3.1 document, such as `waf api-spec` takes."""
    found = connection.client().call("GET", f"{_PATH}/openapi", query={"appID": app_id, "application": application})
    write_text(output_file, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


@app.command("forget")
@connects
def forget_discovered(connection: Connection, app_id: _AppId, application: _Application) -> None:
    """Forget what was discovered of an application, so that it is learnt anew."""
    connection.client().call("DELETE", _PATH, query={"appID": app_id, "application": application})
    sys.stdout.write(f"what was discovered of `{shown(application)}` of `{shown(app_id)}` is forgotten\n")


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    flags = [*item["risks"], *(["shadow"] if item["shadow"] else [])]
    return (
        item["appID"],
        item["application"],
        item["method"],
        item["path"],
        f"{item['hits']:,}",
        local(item["lastSeen"]),
        ", ".join(flags) or "-",
    )
