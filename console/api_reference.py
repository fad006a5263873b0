"""The tables of routes in `docs/reference/api.md`, made from the API itself; the rest is written by hand."""

import re
from pathlib import Path
from typing import Any

PAGE = "docs/reference/api.md"
_PATH = Path(__file__).resolve().parents[1] / PAGE
_TABLE = re.compile(r"(?P<start><!-- routes: (?P<tag>\S+) -->\n)(?:.*\n)*?(?P<end><!-- /routes -->)")
_OTHERS = "others"
"""Stands for all routes that the page has no table for."""


def api_reference(document: dict[str, Any]) -> str:
    """Return the page with its tables as the OpenAPI document has them. Raises SystemExit for a tag without routes."""
    page = _PATH.read_text(encoding="utf-8")
    tags = {found["tag"] for found in _TABLE.finditer(page)} - {_OTHERS}
    rows: dict[str, list[str]] = {_OTHERS: []}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            tag = next((tag for tag in route.get("tags", []) if tag in tags), _OTHERS)
            rows.setdefault(tag, []).append(_row(method, path, route))
    if unknown := tags - set(rows):
        raise SystemExit(f"{PAGE} has a table for `{min(unknown)}`, which is no tag of any route")
    return _TABLE.sub(lambda found: f"{found['start']}{_table(rows[found['tag']])}{found['end']}", page)


def _table(rows: list[str]) -> str:
    return "".join(["| route | | query |\n|---|---|---|\n", *rows]) if rows else "None.\n"


def _row(method: str, path: str, route: dict[str, Any]) -> str:
    sentence = " ".join(route.get("description", "").split("\n\n")[0].split()).replace("|", r"\|")
    query = [item["name"] for item in route.get("parameters", []) if item["in"] == "query"]
    return f"| `{method.upper()} {path}` | {sentence} | {', '.join(f'`{name}`' for name in query)} |\n"
