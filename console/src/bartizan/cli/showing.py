"""What the commands that embed show: reports and differences."""

import json
import re
import sys
from typing import TYPE_CHECKING, TextIO

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bartizan.embed import Edit, Report

# Base64 of JSON begins so; a diff often ends in the log of a pipeline.
_BUNDLE = re.compile(r"eyJ[A-Za-z0-9+/]{60,}={0,2}")
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}


def show_reports(reports: "Sequence[Report]", report_format: str, free: TextIO) -> None:
    """Report to people on standard error; to programs, as JSON, on `free`."""
    from bartizan.embed import render_report, report_value  # noqa: PLC0415 - keeps `--help` quick

    if report_format == "json":
        value = {"tasks": [report_value(report) for report in reports]}
        free.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stderr.write("\n".join(map(render_report, reports)))


def show_diff(text: str, edits: "Sequence[Edit]", *, name: str) -> None:
    """Print the edits as a unified diff, with colours on a terminal and without the secret of an install bundle."""
    from bartizan.embed import unified_diff  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import wants_colour  # noqa: PLC0415

    colour = sys.stdout.isatty() and wants_colour()
    for line in _BUNDLE.sub("eyJ…", unified_diff(text, edits, name=name)).splitlines(keepends=True):
        style = _COLOURS.get(line[:1]) if colour else None
        sys.stdout.write(line if style is None else typer.style(line, fg=style))
