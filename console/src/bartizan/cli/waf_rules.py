"""`bartizan waf rules …`: sets of rules for the firewall."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.terminal import Json, local, write_json, write_table

app = typer.Typer(help="Sets of rules: releases of the OWASP Core Rule Set.", no_args_is_help=True)
_PATH = "waas/rulesets"


@app.command("import")
@connects
def import_rules(
    connection: Connection,
    source: Annotated[Path, typer.Argument(help="A release's folder, or its zip archive.")],
) -> None:
    """Check a release of the Core Rule Set, and keep it in the Console by its digest."""
    archive = _archive(source)
    client = connection.client()
    kept = client.upload(_PATH, archive, media="application/zip")
    sys.stdout.write(f"Core Rule Set {kept['version']}, {kept['files']} files, is kept as {kept['hash']}\n")


@app.command("list")
@connects
def list_rules(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List the sets of rules, the latest first."""
    found = connection.client().call("GET", _PATH)
    if raw:
        write_json(found)
        return
    rows = [(item["hash"][:16], item["version"], item["files"], local(item["created"])) for item in found]
    write_table(("HASH", "VERSION", "FILES", "BROUGHT IN"), rows, nothing="no set of rules was brought in")


def _archive(source: Path) -> bytes:
    """Return the archive of a release, checked. Raises Failure with every problem."""
    from bartizan.policy import PolicyError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.policy.rulesets import LARGEST_ARCHIVE, archive_of, is_taken, read_ruleset  # noqa: PLC0415

    try:
        if source.is_dir():
            names = (path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file())
            archive = archive_of({name: (source / name).read_bytes() for name in names if is_taken(name)})
        else:
            with source.open("rb") as file:
                archive = file.read(LARGEST_ARCHIVE + 1)
        read_ruleset(archive)
    except OSError as error:
        raise Failure(f"`{source}` cannot be read: {error.strerror}") from None
    except PolicyError as error:
        raise Failure(f"`{source}` is not taken", problems=error.shown) from None
    return archive
