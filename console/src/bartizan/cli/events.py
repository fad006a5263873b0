"""`bartizan audits`, `bartizan defenders` and `bartizan policy`."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text, write_text
from bartizan.cli.terminal import Json, local, say, say_rest, shown, write_json, write_table

policy = typer.Typer(help="The runtime policy.", no_args_is_help=True)
_POLICY = "policies/runtime/app-embedded"
_AUDITS = "audits/runtime/app-embedded"
_PLACE = 16


@connects
def audits(
    connection: Connection,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=250)] = 50,
    app_id: Annotated[str, typer.Option("--app-id", help="Only of these applications, separated by commas.")] = "",
    container: Annotated[str, typer.Option(help="Only of these containers.")] = "",
    effect: Annotated[str, typer.Option(help="Only alert, or only prevent.")] = "",
    since: Annotated[str, typer.Option(help="Only from this time on (RFC 3339).", metavar="TIME")] = "",
    raw: Json = False,  # noqa: FBT002
) -> None:
    """Show runtime audits, the oldest first; with --follow go on as they happen."""
    client = connection.client()
    given = {"appID": app_id, "container": container, "effect": effect, "from": since}
    wanted = {name: value for name, value in given.items() if value}
    newest, total = client.page(_AUDITS, query={"limit": str(limit), **wanted})
    for audit in reversed(newest):
        _print(audit, raw=raw)
    if follow:
        with client.lines(f"{_AUDITS}/follow", query=wanted) as lines:
            for audit in _events(lines):
                _print(audit, raw=raw)
    elif not newest:
        say("no audits: nothing that a rule speaks of has happened")
    else:
        say_rest(len(newest), total, "audit")


@connects
def defenders(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List the Defenders that the Console knows, connected ones first."""
    found, total = connection.client().page("defenders", query={"limit": "250"})
    if raw:
        write_json(found)
        return
    rows = [
        ("connected" if item["connected"] else "disconnected", item["type"], item["version"], item["hostname"])
        for item in found
    ]
    write_table(("STATE", "TYPE", "VERSION", "APP ID"), rows, nothing="no Defender has connected yet")
    say_rest(len(found), total, "Defender")


@policy.command("get")
@connects
def get_policy(
    connection: Connection,
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
) -> None:
    """Write the runtime policy as JSON."""
    client = connection.client()
    write_text(output_file, json.dumps(client.call("GET", _POLICY), indent=2, ensure_ascii=False) + "\n")


@policy.command("put")
@connects
def put_policy(
    connection: Connection,
    file: Annotated[str, typer.Argument(help="The policy as JSON; - is standard input.")],
) -> None:
    """Replace the runtime policy; connected Defenders get it at once."""
    try:
        document = json.loads(read_text(file))
    except ValueError as error:
        raise Failure(f"`{file}` is no JSON: {error}") from None
    client = connection.client()
    client.call("PUT", _POLICY, body=document)
    sys.stdout.write(f"`{file}` is the runtime policy now\n")


def _events(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """Read server-sent events (WHATWG HTML, section 9.2.6): each audit is the data of one event, on one line."""
    for line in lines:
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def _print(audit: dict[str, Any], *, raw: bool) -> None:
    if raw:
        write_json([audit])
    else:
        sys.stdout.write(describe(audit) + "\n")
    sys.stdout.flush()


def describe(audit: dict[str, Any]) -> str:
    """Return an audit as one line for people; lines of several are in columns, unless a name is very long."""
    where = shown(audit.get("containerName") or audit.get("appID") or "")
    times = f" (x{audit['count']:,})" if audit.get("count", 1) > 1 else ""
    what = f"{shown(audit['msg'])}{times}{_techniques(audit)}"
    severity = shown(audit.get("severity", ""))
    return f"{local(audit['time'])}  {shown(audit['effect']):8}{severity:10}{where:{_PLACE}}  {what}"


def _techniques(audit: dict[str, Any]) -> str:
    from bartizan.audit.techniques import with_name  # noqa: PLC0415 - keeps `--help` quick

    named = ", ".join(shown(with_name(technique)) for technique in audit.get("attackTechniques", ()))
    return f" [{named}]" if named else ""
