"""`bartizan custom-rules …`: the library of custom rules."""

import json
import sys
from typing import Annotated, Any

import typer

from bartizan.cli.events import shown
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text
from bartizan.cli.options import Address, CaFile, Insecure, Password, Token, User

app = typer.Typer(help="The library of custom rules.", no_args_is_help=True)
_PATH = "custom-rules"


@app.command("list")
def list_rules(
    raw: Annotated[bool, typer.Option("--json", help="All of them as JSON, as `put` takes them.")] = False,  # noqa: FBT002
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """List the custom rules: number, type, name, script."""
    client = _client(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    rules = client.call("GET", _PATH)
    if raw:
        sys.stdout.write(json.dumps(rules, indent=2, ensure_ascii=False) + "\n")
        return
    for rule in rules:
        # On one line, whatever lines the script has.
        script = " ".join(rule["script"].split())
        sys.stdout.write(f"{rule['_id']:<6}{rule['type']:18}{shown(rule['name'])}: {shown(script)}\n")


@app.command("put")
def put_rules(
    file: Annotated[str, typer.Argument(help="One custom rule as JSON, or a list; - is standard input.")],
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Add custom rules, or replace those of the same `_id`; workloads whose policy uses them get them at once."""
    rules = _rules(file)
    client = _client(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    for rule in rules:
        client.call("PUT", f"{_PATH}/{rule['_id']}", body=rule)
        sys.stderr.write(f"custom rule {rule['_id']} is kept\n")


@app.command("delete")
def delete_rule(
    number: Annotated[int, typer.Argument(help="The rule's `_id`.", min=0)],
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Remove a custom rule; one that a policy uses stays, and the error names the rules that do."""
    client = _client(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
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


def _client(**given: Any) -> Any:  # noqa: ANN401 - a Client; imported late to keep `--help` quick
    from bartizan.cli.client import Client  # noqa: PLC0415
    from bartizan.settings import read_client_settings  # noqa: PLC0415

    return Client(read_client_settings(**given))
