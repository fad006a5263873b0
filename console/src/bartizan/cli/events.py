"""`bartizan audits`, `bartizan defenders` and `bartizan policy`."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text, write_text
from bartizan.cli.options import Address, CaFile, Insecure, Password, Token, User

policy = typer.Typer(help="The runtime policy.", no_args_is_help=True)
_POLICY = "policies/runtime/app-embedded"


def audits(  # noqa: PLR0913, PLR0917 - the options of the command
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=250)] = 50,
    raw: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Show runtime audits, the oldest first; with --follow go on as they happen."""
    client = _client(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    newest = client.call("GET", "audits/runtime/app-embedded", query={"limit": str(limit)})
    for audit in reversed(newest):
        _print(audit, raw=raw)
    if follow:
        with client.lines("audits/runtime/app-embedded/follow", query={}) as lines:
            for audit in _events(lines):
                _print(audit, raw=raw)


def defenders(
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """List the Defenders that the Console knows."""
    client = _client(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    for defender in client.call("GET", "defenders", query={"limit": "250"}):
        state = "connected" if defender["connected"] else "disconnected"
        sys.stdout.write(f"{state:13}{defender['type']:13}{defender['version']:9}{shown(defender['hostname'])}\n")


@policy.command("get")
def get_policy(
    output_file: Annotated[str, typer.Option(help="Where it goes; - is standard output.")] = "-",
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Write the runtime policy as JSON."""
    client = _client(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    write_text(output_file, json.dumps(client.call("GET", _POLICY), indent=2, ensure_ascii=False) + "\n")


@policy.command("put")
def put_policy(
    file: Annotated[str, typer.Argument(help="The policy as JSON; - is standard input.")],
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Replace the runtime policy; connected Defenders get it at once."""
    try:
        document = json.loads(read_text(file))
    except ValueError as error:
        raise Failure(f"`{file}` is no JSON: {error}") from None
    client = _client(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    client.call("PUT", _POLICY, body=document)
    sys.stdout.write(f"`{file}` is the runtime policy now\n")


def _client(**given: Any) -> Any:  # noqa: ANN401 - a Client; imported late to keep `--help` quick
    from bartizan.cli.client import Client  # noqa: PLC0415
    from bartizan.settings import read_client_settings  # noqa: PLC0415

    return Client(read_client_settings(**given))


def _events(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """Read server-sent events (WHATWG HTML, section 9.2.6): each audit is the data of one event, on one line."""
    for line in lines:
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def _print(audit: dict[str, Any], *, raw: bool) -> None:
    sys.stdout.write((json.dumps(audit) if raw else describe(audit)) + "\n")
    sys.stdout.flush()


def describe(audit: dict[str, Any]) -> str:
    """Return an audit as one line for people."""
    where = audit.get("containerName") or audit.get("appID") or ""
    times = f" (x{audit['count']})" if audit.get("count", 1) > 1 else ""
    techniques = f" [{', '.join(map(shown, audit['attackTechniques']))}]" if audit.get("attackTechniques") else ""
    return f"{audit['time']}  {audit['effect']:8} {shown(where)}: {shown(audit['msg'])}{times}{techniques}"


def shown(text: str) -> str:
    """Return text with control characters escaped: what an attacker named must not steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
