"""Comma-separated values (RFC 4180) for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Mapping

# A spreadsheet takes such a cell for a formula (OWASP, "CSV Injection"), and what an attacker names is in our cells.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, object]], *, header: bool = True) -> str:
    """Return rows as lines that end in CRLF, with a header if wanted; a row has nothing in columns it lacks."""
    text = io.StringIO()
    names = list(columns)
    writer = csv.writer(text)
    if header:
        writer.writerow(names)
    writer.writerows([_cell(row.get(name, "")) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
