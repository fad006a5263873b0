"""How lists, times and numbers look on a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, as the API gives it.")]


def shown(text: str) -> str:
    """Return text with control characters escaped: what an attacker named must not steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def local(time: str) -> str:
    """Return a time of the API (RFC 3339) in this machine's time zone, to the second; other text stays as it is."""
    try:
        return datetime.fromisoformat(time).astimezone().isoformat(timespec="seconds")
    except ValueError:
        return shown(time)


def counted(number: int, one: str, many: str = "") -> str:
    """Return `1 audit`, `1,234 audits`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def write_json(values: Iterable[Any]) -> None:
    """Write each value as one line of JSON."""
    sys.stdout.write("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


def write_table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, nothing: str) -> None:
    """Write rows in columns as wide as their cells, the last one as it comes; without rows say `nothing` on stderr."""
    cells = [tuple(shown(str(cell)) for cell in row) for row in rows]
    if not cells:
        say(nothing)
        return
    sys.stdout.write("".join(f"{line}\n" for line in aligned([tuple(heads), *cells])))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose columns begin at one place, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def say_rest(seen: int, total: int, what: str) -> None:
    """Say on standard error that there are more than were shown."""
    if seen < total:
        say(f"these are {seen:,} of {counted(total, what)}; --limit shows more")


def say(text: str) -> None:
    """Tell a person something that is no output: on standard error."""
    sys.stderr.write(f"{text}\n")
