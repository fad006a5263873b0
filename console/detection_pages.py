"""What is made from `contract/detections.json`: the Console's own table, and the page for people."""

import json
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
MODULE = "console/src/bartizan/audit/detections.py"
PAGE = "docs/reference/detections.md"
_MARK = "<!-- made by `make gen` from contract/detections.json -->\n"
_SECTIONS = {
    "process": "Processes",
    "network": "Network",
    "file": "Files",
    "custom": "Custom rules",
    "defender": "The Defender itself",
}


def detection_files(vendor_names: dict[str, str], asked_by: dict[str, str]) -> dict[str, str]:
    """
    Return the generated files by their path in the repository.

    `vendor_names` are the attack types of the API by detection, `asked_by` the vendor's field that asks for one.
    """
    detections = json.loads((_ROOT / "contract" / "detections.json").read_text(encoding="utf-8"))
    page = (_ROOT / PAGE).read_text(encoding="utf-8")
    before, _, _ = page.partition(_MARK)
    return {MODULE: _module(detections), PAGE: before + _MARK + _tables(detections, vendor_names, asked_by)}


def _module(detections: list[dict[str, Any]]) -> str:
    lines = ['"""Made by `make gen` from `contract/detections.json`; do not edit."""', ""]
    lines += ["from bartizan.audit.facts import DetectionFacts", "", "DETECTIONS = {"]
    for item in detections:
        lines.append(f"    {_quoted(item['name'])}: DetectionFacts(")
        lines += [f"        {name}={_quoted(item[name])}," for name in ("section", "severity")]
        lines.append(f"        techniques={_tuple(item['techniques'])},")
        lines += [f"        {name}={_quoted(item[name])}," for name in ("incident", "title")]
        lines.append("    ),")
    return "\n".join([*lines, "}", '"""The facts of every detection, by its name."""', ""])


def _quoted(value: str | None) -> str:
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


def _tuple(values: list[str]) -> str:
    inner = ", ".join(map(_quoted, values))
    return f"({inner},)" if len(values) == 1 else f"({inner})"


def _tables(detections: list[dict[str, Any]], vendor_names: dict[str, str], asked_by: dict[str, str]) -> str:
    lines = []
    for section, title in _SECTIONS.items():
        lines += ["", f"## {title}", ""]
        lines += ["| detection | what it is | severity | techniques | `attackType` | incident | asked for by |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for item in detections:
            if item["section"] == section:
                name = item["name"]
                cells = (
                    f"`{name}`",
                    item["title"],
                    item["severity"],
                    ", ".join(map(_linked, item["techniques"])) or "-",
                    f"`{vendor_names.get(name, name)}`",
                    f"`{item['incident']}`" if item["incident"] else "-",
                    asked_by.get(name, "`detections`"),
                )
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines[1:], ""])


def _linked(technique: str) -> str:
    return f"[{technique}](https://attack.mitre.org/techniques/{technique.replace('.', '/')}/)"
