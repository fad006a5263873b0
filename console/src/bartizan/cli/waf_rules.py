"""`bartizan waf rules …`: sets of rules for the firewall."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.terminal import Json, local, write_json, write_table

if TYPE_CHECKING:
    from bartizan.policy.rules_left_out import LeftOut

app = typer.Typer(help="Sets of rules: releases of the OWASP Core Rule Set.", no_args_is_help=True)
_PATH = "waas/rulesets"


@app.command("import")
@connects
def import_rules(
    connection: Connection,
    source: Annotated[Path, typer.Argument(help="A release's folder, or its zip archive.")],
    keep_only: Annotated[bool, typer.Option("--keep-only", help="Let Defenders go on as they do.")] = False,  # noqa: FBT002
) -> None:
    """Check a release of the Core Rule Set, keep it in the Console, and let connected Defenders judge by it."""
    archive, left_out = _archive(source)
    client = connection.client()
    kept = client.upload(_PATH, archive, media="application/zip", query={"use": "false"} if keep_only else {})
    what = "is in use" if kept["inUse"] else "is kept"
    sys.stdout.write(f"Core Rule Set {kept['version']}, {kept['files']} files, {what} as {kept['hash']}\n")
    if left_out:
        sys.stdout.write(f"{len(left_out)} of its rules are not judged:\n")
        sys.stdout.writelines(f"  {item.rule}  {item.file}:{item.line}: {item.reason}\n" for item in left_out)


@app.command("use")
@connects
def use_rules(
    connection: Connection,
    which: Annotated[str, typer.Argument(help="How the hash of a set begins, or `built-in`.", metavar="HASH")],
) -> None:
    """Let Defenders judge by a set that was imported, or by the rules that they come with; no request is lost."""
    client = connection.client()
    name = None
    if which != "built-in":
        found = [item["hash"] for item in client.call("GET", _PATH) if item["hash"].startswith(which.lower())]
        if len(found) != 1:
            how = "more than one set of rules begins" if found else "no set of rules begins"
            raise Failure(f"{how} with `{which}`: see `bartizan waf rules list`")
        name = found[0]
    client.call("PUT", f"{_PATH}/in-use", body={"hash": name})
    what = "the rules that they come with" if name is None else name
    sys.stdout.write(f"Defenders judge by {what} now\n")


@app.command("list")
@connects
def list_rules(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List the sets of rules, the latest first."""
    found = connection.client().call("GET", _PATH)
    if raw:
        write_json(found)
        return
    rows = [
        (item["hash"][:16], item["version"], item["files"], "yes" if item["inUse"] else "no", local(item["created"]))
        for item in found
    ]
    write_table(("HASH", "VERSION", "FILES", "IN USE", "BROUGHT IN"), rows, nothing="no set of rules was brought in")


def _archive(source: Path) -> "tuple[bytes, list[LeftOut]]":
    """Return a release's archive, and its rules that are not judged. Raises Failure with every problem."""
    from bartizan.policy import PolicyError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.policy.rules_left_out import rules_left_out  # noqa: PLC0415
    from bartizan.policy.rulesets import LARGEST_ARCHIVE, archive_of, is_taken, read_ruleset  # noqa: PLC0415

    try:
        if source.is_dir():
            names = (path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file())
            archive = archive_of({name: (source / name).read_bytes() for name in names if is_taken(name)})
        else:
            with source.open("rb") as file:
                archive = file.read(LARGEST_ARCHIVE + 1)
        files = json.loads(read_ruleset(archive).content)["files"]
    except OSError as error:
        raise Failure(f"`{source}` cannot be read: {error.strerror}") from None
    except PolicyError as error:
        raise Failure(f"`{source}` is not taken", problems=error.shown) from None
    return archive, rules_left_out({name: text for name, text in files.items() if name.endswith(".conf")})
