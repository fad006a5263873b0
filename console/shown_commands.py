"""
Pages that show commands together with what they print: the blocks of a page that say `console` are run by `make gen`.

The first line of such a block is the command, after `$ `; a line that ends with a backslash is continued. It runs with
bash, in a folder that holds the example templates and an install bundle, and with `bartizan` on PATH; both outputs are
shown, standard output first. Long lines are cut, for a page is narrower than a terminal.
"""

import base64
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/how-to/protect-a-cloudformation-template.md", "docs/how-to/protect-a-web-app.md")
"""The pages with such blocks."""
WIDTH = 118
_BLOCK = re.compile(r"^```console\n(?P<command>\$ (?:.*\\\n)*.*\n)(?P<output>(?:.*\n)*?)```$", re.MULTILINE)
# Stands for a Console; nobody has one with this secret.
_BUNDLE = {
    "v": 1,
    "id": "example",
    "secret": "stands-for-a-secret-of-forty-three-letters-",
    "pins": ["0" * 64],
    "addresses": ["wss://console.example.com:8084"],
}


def pages() -> dict[str, str]:
    """Return the pages as they should be, by path in the repository."""
    return {name: refreshed((_ROOT / name).read_text(encoding="utf-8")) for name in PAGES}


def refreshed(page: str) -> str:
    """Return a page with its commands run anew. Raises SystemExit for a page without any."""
    if not _BLOCK.search(page):
        raise SystemExit("a page of console/shown_commands.py shows no command")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        return _BLOCK.sub(lambda block: f"```console\n{block['command']}{_printed(block['command'], folder)}```", page)


def _prepare(folder: Path) -> None:
    shutil.copytree(_ROOT / "examples" / "cloudformation", folder / "work")
    bundle = base64.b64encode(json.dumps(_BUNDLE, separators=(",", ":")).encode()).decode()
    (folder / "work" / "bundle.json").write_text(json.dumps({"bundle": bundle}))
    program = folder / "bartizan"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bartizan.cli "$@"\n')
    program.chmod(0o755)


def _printed(command: str, folder: Path) -> str:
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(_ROOT / "console" / "src"), "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", command.removeprefix("$ ")],
        cwd=folder / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
    return "".join(f"{line if len(line) <= WIDTH else line[: WIDTH - 1] + '…'}\n" for line in lines)
