"""`bartizan waf …`: the WAAS policy, its events, and what belongs to them."""

import json
import sys
from typing import Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text, write_text
from bartizan.cli.terminal import Json, local, say, say_rest, shown, write_json

app = typer.Typer(help="The web application firewall (WAAS).", no_args_is_help=True)
policy = typer.Typer(help="The WAAS policy.", no_args_is_help=True)
app.add_typer(policy, name="policy")
_POLICY = "policies/firewall/app/app-embedded"
_EVENTS = "audits/firewall/app/app-embedded"
_File = Annotated[str, typer.Argument(help="The WAAS policy as JSON; - is standard input.")]
_PLACE = 16


@policy.command("get")
@connects
def get_policy(
    connection: Connection,
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
) -> None:
    """Write the WAAS policy as JSON, without private keys."""
    client = connection.client()
    write_text(output_file, json.dumps(client.call("GET", _POLICY), indent=2, ensure_ascii=False) + "\n")


@policy.command("set")
@connects
def set_policy(connection: Connection, file: _File) -> None:
    """Replace the WAAS policy; connected Defenders get it at once. Certificates that stay need no key again."""
    try:
        document = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise Failure(f"`{file}` is no JSON: {error}") from None
    client = connection.client()
    client.call("PUT", _POLICY, body=document)
    sys.stdout.write(f"`{file}` is the WAAS policy now\n")


@policy.command("check")
def check_policy(file: _File) -> None:
    """Check a WAAS policy without a Console: every problem is a line. Network lists are not looked up."""
    from bartizan.policy import PolicyError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.policy.firewall import parse_firewall  # noqa: PLC0415

    try:
        rules = parse_firewall(read_text(file)).rules
    except PolicyError as error:
        for problem in error.problems:
            sys.stdout.write(f"{problem}\n")
        count = len(error.problems)
        raise Failure(f"`{file}` has {count} {'problem' if count == 1 else 'problems'}") from None
    sys.stdout.write(f"`{file}` is a WAAS policy of {len(rules)} {'rule' if len(rules) == 1 else 'rules'}\n")


@app.command()
@connects
def events(  # noqa: PLR0913, PLR0917 - one for each filter
    connection: Connection,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=250)] = 50,
    app_id: Annotated[str, typer.Option("--app-id", help="Only of these applications, separated by commas.")] = "",
    kind: Annotated[str, typer.Option("--type", help="Only these, such as sqli,xss.")] = "",
    effect: Annotated[str, typer.Option(help="Only alert, prevent, ban or allow.")] = "",
    subnet: Annotated[str, typer.Option(help="Only of clients in this network.", metavar="CIDR")] = "",
    event_id: Annotated[str, typer.Option("--event-id", help="Only this one, as a block page shows it.")] = "",
    since: Annotated[str, typer.Option(help="Only from this time on (RFC 3339).", metavar="TIME")] = "",
    each: Annotated[bool, typer.Option("--each", help="Like events one by one.")] = False,  # noqa: FBT002
    raw: Json = False,  # noqa: FBT002
) -> None:
    """Show WAAS events, the oldest first; like ones that are less than 5 minutes apart are one, with their count."""
    given = {"appID": app_id, "type": kind, "effect": effect, "subnet": subnet, "eventID": event_id, "from": since}
    query = {name: value for name, value in given.items() if value}
    client = connection.client()
    found, total = client.page(_EVENTS, query={"limit": str(limit), "aggregate": "false" if each else "true", **query})
    if raw:
        write_json(reversed(found))
        return
    sys.stdout.write("".join(f"{describe(event)}\n" for event in reversed(found)))
    if not found:
        say("no WAAS events: no request was spoken of by a rule")
    else:
        say_rest(len(found), total, "event")


@app.command("except")
@connects
def add_exception(
    connection: Connection,
    number: Annotated[str, typer.Argument(help="The event's number.", metavar="ID")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would be.")] = False,  # noqa: FBT002
) -> None:
    """Leave the place of a false alarm out of the protection that found it, in that application."""
    client = connection.client()
    found = client.call("POST", f"{_EVENTS}/{number}/exception", query={"dryRun": "true" if dry_run else "false"})
    place = f"{found['exception']['location']} `{shown(found['exception']['key'])}`"
    whose = f"`{shown(found['appID'])}` of the rule `{shown(found['ruleName'])}`"
    done = "is left out of" if found["applied"] else "would be left out of"
    sys.stdout.write(f"{place} {done} {found['protection']} for {whose}\n")


@app.command("api-spec")
def api_spec(
    file: Annotated[str, typer.Argument(help="The OpenAPI document, JSON or YAML; - is standard input.")],
    internal_port: Annotated[int, typer.Option(help="The application's own port.", min=1, max=65535)] = 8080,
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
) -> None:
    """Turn an OpenAPI document into the `apiSpec` of an application, without a Console."""
    from bartizan.policy import PolicyError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.policy.openapi import api_spec_of, read_spec  # noqa: PLC0415

    try:
        found = api_spec_of(read_spec(read_text(file).encode()), internal_port=internal_port)
    except PolicyError as error:
        raise Failure(f"`{file}`: {error}") from None
    write_text(output_file, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def describe(event: dict[str, Any]) -> str:
    """Return an event as one line for people; lines of several are in columns, unless a name is very long."""
    times = f" (x{event['count']:,})" if event.get("count", 1) > 1 else ""
    request = f"{event.get('method', '')} {event.get('requestHost', '')}{event.get('urlPath', '')}"
    head = f"{local(event['time'])}  {shown(event['effect']):8}{shown(event['type']):17} "
    where = f"{shown(event['appID']):{_PLACE}}  {shown(event.get('subnet', '')):15}"
    return f"{event['_id']:>6}  {head}{where}  {shown(request.strip())}: {shown(event['msg'])}{times}"
