"""
Write what is generated: `contract/` (OpenAPI, schemas of policy, audit and channel), and parts of `docs/`.

`generate.py --check` writes nothing and fails when a file differs from what would be written.
"""

import json
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from api_reference import PAGE, api_reference
from cli_reference import cli_reference
from detection_pages import detection_files
from shown_commands import pages

from bartizan.api import create_api
from bartizan.audit import Audit
from bartizan.audit.attacks import VENDOR_NAMES
from bartizan.channel.messages import DIRECTIONS
from bartizan.policy import DefenderPolicy
from bartizan.policy.checks import ADVANCED, FILE_CHECKS, PROCESS_CHECKS

ROOT = Path(__file__).resolve().parents[1]
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_BASE = "urn:bartizan:contract:v1:"


def files() -> dict[str, str]:
    """Return the texts of all generated files by their path in the repository."""
    shapes = documents()
    texts = {
        f"contract/{name}": json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in shapes.items()
    }
    made = texts | pages() | {PAGE: api_reference(shapes["openapi.json"]), "docs/reference/cli.md": cli_reference()}
    return made | detection_files({reason.value: name for reason, name in VENDOR_NAMES.items()}, _asked_by())


def _asked_by() -> dict[str, str]:
    """Return the vendor's field that asks for a detection, by the detection's name."""
    found = dict.fromkeys((item.value for item in ADVANCED), "`advancedProtection` (`alert`), `detections`")
    for section, fields in (("processes", PROCESS_CHECKS), ("filesystem", FILE_CHECKS)):
        for check, asked in fields.items():
            field = f"`{section}.{check.value}`" + ("" if asked.when else " at `false`")
            found.update({item.value: f"{field}, `detections`" for item in asked.detections})
    lists = {
        "deniedListenPort": "`network.blacklistListeningPorts`",
        "listenPortNotAllowed": "`network.whitelistListeningPorts`",
        "deniedFile": "`filesystem.blacklist`",
        "fileNotAllowed": "`filesystem.whitelist`",
        "customRule": "`customRules`",
    }
    return found | lists


def documents() -> dict[str, dict[str, Any]]:
    """Return the generated documents of `contract/` by file name."""
    return {
        "openapi.json": create_api(None).openapi(),
        "defender-policy.schema.json": _schema(DefenderPolicy, "defender-policy", "The policy of one workload"),
        "audit.schema.json": _schema(Audit, "audit", "One audit, as a Defender reports it"),
        "channel.schema.json": _channel(),
    }


def _schema(shape: type, name: str, title: str) -> dict[str, Any]:
    return {"$schema": _DRAFT, "$id": f"{_BASE}{name}", "title": title, **msgspec.json.schema(shape)}


def _channel() -> dict[str, Any]:
    """Describe the messages; `$defs` has one entry for each direction (`fromDefender`, `fromConsole`, …)."""
    directions = {name: get_args(union) or (union,) for name, union in DIRECTIONS.items()}
    shapes = [shape for members in directions.values() for shape in members]
    references, components = msgspec.json.schema_components(shapes, ref_template="#/$defs/{name}")
    by_shape = dict(zip(shapes, references, strict=True))
    senders = {
        f"from{name[:1].upper()}{name[1:]}": {"anyOf": [by_shape[member] for member in members]}
        for name, members in directions.items()
    }
    return {
        "$schema": _DRAFT,
        "$id": f"{_BASE}channel",
        "title": "Messages of the channel (Defender and Console) and of the relay (entrypoint and sidecar)",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in senders],
        "$defs": {**senders, **components},
    }


def main(arguments: list[str]) -> int:
    """Write, or check with `--check`; return the exit code."""
    stale = []
    for name, text in files().items():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run `make gen`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
