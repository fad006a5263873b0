"""`bartizan custom-rules …`: the library of custom rules."""

import json
import sys
from typing import Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text
from bartizan.cli.terminal import write_table

app = typer.Typer(help="The library of custom rules.", no_args_is_help=True)
_PATH = "custom-rules"


@app.command("list")
@connects
def list_rules(
    connection: Connection,
    raw: Annotated[bool, typer.Option("--json", help="All of them as JSON, as `put` takes them.")] = False,  # noqa: FBT002
) -> None:
    """List the custom rules: number, type, name, script."""
    client = connection.client()
    rules = client.call("GET", _PATH)
    if raw:
        sys.stdout.write(json.dumps(rules, indent=2, ensure_ascii=False) + "\n")
        return
    # A script on one line, whatever lines it has.
    rows = [(rule["_id"], rule["type"], rule["name"], " ".join(rule["script"].split())) for rule in rules]
    write_table(("ID", "TYPE", "NAME", "SCRIPT"), rows, nothing="the library holds no custom rules")


@app.command("put")
@connects
def put_rules(
    connection: Connection,
    file: Annotated[str, typer.Argument(help="One custom rule as JSON, or a list; - is standard input.")],
) -> None:
    """Add custom rules, or replace those of the same `_id`; workloads whose policy uses them get them at once."""
    rules = _rules(file)
    client = connection.client()
    for rule in rules:
        client.call("PUT", f"{_PATH}/{rule['_id']}", body=rule)
        sys.stderr.write(f"custom rule {rule['_id']} is kept\n")


@app.command("delete")
@connects
def delete_rule(
    connection: Connection,
    number: Annotated[int, typer.Argument(help="The rule's `_id`.", min=0)],
) -> None:
    """Remove a custom rule; one that a policy uses stays, and the error names the rules that do."""
    client = connection.client()
    client.call("DELETE", f"{_PATH}/{number}")
    sys.stderr.write(f"custom rule {number} is removed\n")


def _rules(file: str) -> list[dict[str, Any]]:
    """Return the rules of a file, all checked before the first is sent. Raises Failure."""
    from bartizan.policy import PolicyError, parse_custom_rule  # noqa: PLC0415 - keeps `--help` quick

    try:
        found = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise Failure(f"`{file}` is no JSON: {error}") from None
    rules = found if isinstance(found, list) else [found]
    for index, rule in enumerate(rules):
        number = rule.get("_id") if isinstance(rule, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise Failure(f"`{file}`: rule {index + 1} has no number in `_id`")
        try:
            parse_custom_rule(json.dumps(rule), number=number)
        except PolicyError as error:
            raise Failure(f"`{file}`: rule {number}: {error}") from None
    return rules
