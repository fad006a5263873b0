"""`bartizan policy pull`, `plan` and `apply`: the runtime policy as a file of YAML that is kept in a repository."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text, write_text
from bartizan.cli.terminal import say, shown

if TYPE_CHECKING:
    from bartizan.cli.client import Client

_POLICY = "policies/runtime/app-embedded"
_MEDIA = "application/yaml"
CHANGES = 2
"""The exit code of a plan that changes something."""
_SIGNS = {"same": " ", "added": "+", "removed": "-", "gap": "…"}
_COLOURS = {"added": typer.colors.GREEN, "removed": typer.colors.RED, "gap": typer.colors.CYAN}
_File = Annotated[str, typer.Argument(help="The policy as YAML or JSON; - is standard input.")]


@connects
def pull(
    connection: Connection,
    file: Annotated[str, typer.Argument(help="Where it goes; - is standard output.")] = "-",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that means something else.")] = False,  # noqa: FBT002
) -> None:
    """
    Write the runtime policy as YAML, without what says nothing.

    A file that means the same already is left as it is, with its comments.
    """
    client = connection.client()
    text = client.download(f"{_POLICY}/export", query={}).decode()
    if file == "-":
        write_text(file, text)
        return
    if Path(file).exists():
        if _changes(client, read_text(file))[0] == []:
            say(f"`{file}` is the policy in force already")
            return
        if not force:
            raise Failure(f"`{file}` means something else: see `bartizan policy plan`, or write over it with --force")
    write_text(file, text)
    say(f"`{file}` is written")


@connects
def plan(connection: Connection, file: _File) -> None:
    """
    Show what a file would change in the policy, and change nothing.

    Ends with 0 when it changes nothing, with 2 when it does, with 1 when the Console would refuse it.
    """
    changes, revision = _changes(connection.client(), read_text(file))
    if not changes:
        say(f"no changes: `{file}` is the policy in force (revision {revision})")
        return
    _show(changes)
    say(f"planned against revision {revision}: apply it with --revision {revision}")
    raise typer.Exit(CHANGES)


@connects
def apply(
    connection: Connection,
    file: _File,
    revision: Annotated[
        int | None, typer.Option(help="The revision that it was planned against; else the present one.", min=0)
    ] = None,
    comment: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """
    Put a file in force as the runtime policy; connected Defenders get it at once.

    With --revision it is refused when the policy has changed since it was planned.
    """
    client, text = connection.client(), read_text(file)
    changes, present = _changes(client, text)
    _show(changes)
    base = present if revision is None else revision
    answer = client.send(
        "PUT",
        _POLICY,
        text.encode(),
        media=_MEDIA,
        headers={"If-Match": f'"{base}"'},
        query={"comment": comment} if comment else {},
    )
    after = int(answer.headers["Policy-Revision"])
    say(f"no changes (revision {after})" if not changes else f"in force as revision {after}")


def _changes(client: "Client", text: str) -> tuple[list[dict[str, Any]], int]:
    """Return what a policy would change, and in which revision. Raises Failure with every problem of it."""
    answer = client.send("POST", f"{_POLICY}/check", text.encode(), media=_MEDIA)
    found = answer.json()
    if found["problems"]:
        count = len(found["problems"])
        raise Failure(
            f"the Console would refuse this for {count} {'problem' if count == 1 else 'problems'}",
            problems=tuple(map(shown, found["problems"])),
        )
    return found["changes"], int(answer.headers["Policy-Revision"])


def _show(changes: list[dict[str, Any]]) -> None:
    from bartizan.settings import wants_colour  # noqa: PLC0415 - keeps `--help` quick

    colour = sys.stdout.isatty() and wants_colour()
    for change in changes:
        sys.stdout.write(typer.style(_head(change), bold=True) + "\n" if colour else _head(change) + "\n")
        for line in change["lines"]:
            text = f"  {_SIGNS[line['kind']]} {shown(line['text'])}".rstrip()
            style = _COLOURS.get(line["kind"]) if colour else None
            sys.stdout.write((text if style is None else typer.style(text, fg=style)) + "\n")


def _head(change: dict[str, Any]) -> str:
    place = {
        "added": lambda: f"at place {change['after']}",
        "removed": lambda: f"was at place {change['before']}",
        "moved": lambda: f"from place {change['before']} to {change['after']}",
        "changed": lambda: f"at place {change['after']}",
    }[change["kind"]]()
    return f"{change['kind']} rule `{shown(change['rule'])}`, {place}"
