"""The part that a protected Dockerfile has more than the one given, and its marks.

The Defender comes in a tar file, for `ADD` unpacks one with the modes and owners it has in it: that needs no shell, no
user data base in the image and no `COPY --chmod`, works with builders older than BuildKit, and does not depend on what
unpacked the ZIP. The data folder is there with the modes of `/tmp` (1777), so that whatever user the image ends up with
can write to it and cannot replace the Defender.
"""

import json
import re
from collections.abc import Iterable

from bartizan.embed.dockerfile.options import ARCHITECTURES, DockerfileSettings
from bartizan.embed.waas_ports import VARIABLE, written

BEGIN = "# bartizan:begin"
END = "# bartizan:end"
UNDO = "# bartizan:undo"
FOLDER = "bartizan"
"""the folder beside the Dockerfile that the tar files are in"""
MODE = "app-embedded"

_NOTE = "# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again."
_PLAIN = re.compile(r"[A-Za-z0-9_./:=+,@%-]+").fullmatch
_UNDO_WIDTH = 100
VARIABLES = (
    "DEFENDER_TYPE",
    "DEFENDER_APP_ID",
    "WS_ADDRESS",
    "DATA_FOLDER",
    "INSTALL_BUNDLE",
    "FILESYSTEM_MONITORING",
    "DEFENDER_FAIL_MODE",
)

TIER = "DEFENDER_TIER"
"""the variable that only images in the compat tier have"""
ALLOW_32BIT = "DEFENDER_ALLOW_32BIT"
"""the variable that only images with 32-bit programs have"""
WAAS_PORTS = VARIABLE
"""the variable that only images with a firewall have"""


def archive_name(architecture: str) -> str:
    """Return where the tar file of an architecture is, from the Dockerfile on."""
    return f"{FOLDER}/defender-{architecture}.tar"


def environment(settings: DockerfileSettings) -> dict[str, str]:
    """Return the variables that the Defender reads."""
    values = (
        "appEmbedded",
        settings.app_id,
        settings.ws_address,
        settings.data_folder,
        settings.install_bundle,
        "true" if settings.filesystem_monitoring else "false",
        settings.fail_mode,
    )
    chosen = ({TIER: "compat"} if settings.compat else {}) | ({ALLOW_32BIT: "true"} if settings.allow_32bit else {})
    if settings.waas_ports:
        chosen[WAAS_PORTS] = written(settings.ports)
    return dict(zip(VARIABLES, values, strict=True)) | chosen


def wrapper(program: str) -> tuple[str, str]:
    """Return the arguments that stand before the program's own."""
    return (program, MODE)


def json_array(arguments: Iterable[str]) -> str:
    """Return arguments in exec form, on one line, with escapes for what does not print."""
    return f"[{', '.join(json_string(item) for item in arguments)}]"


def json_string(text: str) -> str:
    """Return one argument in double quotes."""
    shown = json.dumps(text, ensure_ascii=False)
    return shown if shown.isprintable() else "".join(map(_printable, shown))


def _printable(char: str) -> str:
    return char if char.isprintable() else json.dumps(char)[1:-1]


def quoted(value: str, escape: str) -> str:
    """Return a value as ENV takes it: in double quotes unless it needs none."""
    if _PLAIN(value):
        return value
    return '"' + re.sub(rf'(["$]|{re.escape(escape)})', lambda found: escape + found[0], value) + '"'


def compose(
    settings: DockerfileSettings, *, add: Iterable[str], escape: str, commands: Iterable[str], undo: str
) -> list[str]:
    """Return the lines of the block, keywords in capitals; `undo` is left out when it is empty."""
    variables = [f"{name}={quoted(value, escape)}" for name, value in environment(settings).items()]
    joined = f" {escape}\n    ".join(variables).split("\n")
    return [
        f"{BEGIN} {settings.version}",
        _NOTE,
        *undo_lines(undo),
        *add,
        *("ENV " + line if index == 0 else line for index, line in enumerate(joined)),
        *commands,
        END,
    ]


def undo_lines(undo: str) -> list[str]:
    """Return the comment lines that carry the way back."""
    return [f"{UNDO} {undo[at : at + _UNDO_WIDTH]}" for at in range(0, len(undo), _UNDO_WIDTH)]


def add_lines(architectures: tuple[str, ...], variable: str | None) -> list[str]:
    """Return what puts the Defender in: the one of the only architecture, or that of the builder's `variable`."""
    if variable is None:
        return [f"ADD {archive_name(architectures[0])} /"]
    return [f"ARG {variable}", f"ADD {archive_name(f'${{{variable}:-{ARCHITECTURES[0]}}}')} /"]
