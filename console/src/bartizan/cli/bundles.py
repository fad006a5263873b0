"""Where the commands that embed get the install bundle and the Defender from: the Console, or files."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text

if TYPE_CHECKING:
    from bartizan.settings import ClientSettings

# ELF, `e_machine`: EM_X86_64 and EM_AARCH64, little-endian at offset 18 (elf(5)).
_MACHINES = {"amd64": b"\x3e\x00", "arm64": b"\xb7\x00"}
_LARGEST_DEFENDER = 256 << 20


def install_bundle(path: Path | None, client: "ClientSettings", console_host: str) -> dict[str, Any]:
    """Return what the Console's `defenders/install-bundle` says, from a file or from the Console itself."""
    if path is not None:
        text = read_text(str(path))
        try:
            return dict(json.loads(text)) if text.lstrip().startswith("{") else {"bundle": text.strip()}
        except ValueError as error:
            raise Failure(f"`{path}` is no install bundle: {error}") from None
    from bartizan.cli.client import Client  # noqa: PLC0415 - offline work needs no client

    if not client.address:
        raise Failure("there is no Console: give --address and --console-host, or --bundle FILE to work offline")
    if not console_host:
        raise Failure("give --console-host: the name under which Defenders reach the Console")
    answer: dict[str, Any] = Client(client).call("GET", "defenders/install-bundle", query={"consoleaddr": console_host})
    return answer


def defender_files(given: Iterable[str]) -> dict[str, Path]:
    """Read `ARCHITECTURE=FILE` options, several separated by commas. Raises Failure."""
    files = {}
    for item in (part for option in given for part in option.split(",")):
        architecture, equals, path = item.partition("=")
        if architecture not in _MACHINES or not equals or not path:
            raise Failure(f"`{item}` is not ARCHITECTURE=FILE, such as `amd64=./defender`")
        files[architecture] = Path(path)
    return files


def defenders(architectures: Iterable[str], files: dict[str, Path], client: "ClientSettings") -> dict[str, bytes]:
    """Return the Defender for each architecture, from its file or from the Console. Raises Failure."""
    return {
        architecture: _read_defender(architecture, files[architecture])
        if architecture in files
        else _fetch_defender(architecture, client)
        for architecture in architectures
    }


def _read_defender(architecture: str, path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(f"the Defender `{path}` cannot be read: {error.strerror}") from None
    return _checked(content, architecture, f"`{path}`")


def _fetch_defender(architecture: str, client: "ClientSettings") -> bytes:
    from bartizan.cli.client import Client  # noqa: PLC0415 - offline work needs no client

    if not client.address:
        raise Failure(f"there is no Defender for {architecture}: give --defender {architecture}=FILE, or --address")
    path = "images/defender_app_embedded.tar.gz"
    tarball = Client(client).download(path, query={"architecture": architecture})
    try:
        with gzip.open(io.BytesIO(tarball)) as plain:
            content = plain.read(_LARGEST_DEFENDER)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = archive.extractfile("defender")
            if member is None:
                raise KeyError("defender")  # noqa: TRY301 - the same for a folder as for nothing
            return _checked(member.read(), architecture, "what the Console gave")
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise Failure(f"the Console gave no Defender for {architecture}: {error}") from None


def _checked(content: bytes, architecture: str, what: str) -> bytes:
    """Return the content if it is a program for these machines: in an image a wrong one is noticed much later."""
    if content[:4] != b"\x7fELF" or content[18:20] != _MACHINES[architecture]:
        raise Failure(f"{what} is no Defender: it is no Linux program for {architecture}")
    return content
