"""The ZIP that a protected Dockerfile is given out in: the same input makes the same bytes."""

import io
import tarfile
import zipfile
from collections.abc import Mapping

from bartizan.embed.dockerfile import block
from bartizan.embed.dockerfile.protect import DockerfileProtection
from bartizan.embed.errors import EmbedError

# The first time a ZIP can tell: 1 January 1980.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def write_archive(protection: DockerfileProtection, *, binaries: Mapping[str, bytes]) -> bytes:
    """Return the ZIP of a protected Dockerfile: the file, the Defenders and a README.

    `binaries` has the Defender's program by architecture (`amd64`, `arm64`), for all of `protection.architectures`;
    others are left out. Each is in a tar file, with the modes and owners that `ADD` gives it in the image. Raises
    `EmbedError` when one is missing.
    """
    missing = [name for name in protection.architectures if not binaries.get(name)]
    if missing:
        raise EmbedError(f"there is no Defender for `{missing[0]}` here: install it beside the Console")
    folder = protection.report.data_folder
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        _put(archive, "Dockerfile", protection.text.encode("utf-8", "surrogateescape"))
        _put(archive, "README.md", _readme(protection).encode())
        for name in protection.architectures:
            _put(archive, block.archive_name(name), defender_tar(binaries[name], data_folder=folder))
    return buffer.getvalue()


def defender_tar(binary: bytes, *, data_folder: str) -> bytes:
    """Return a tar file to unpack at `/`: the data folder (1777, as `/tmp`) and in it the Defender (0755), by root."""
    folder = data_folder.strip("/")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        directory = tarfile.TarInfo(f"{folder}/")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(directory)
        program = tarfile.TarInfo(f"{folder}/defender")
        program.size, program.mode = len(binary), 0o755
        tar.addfile(program, io.BytesIO(binary))
    return buffer.getvalue()


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = _UNIX
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (0o100644) << 16
    archive.writestr(info, content)


def _readme(protection: DockerfileProtection) -> str:
    report = protection.report
    files = "\n".join(
        f"- `{block.archive_name(name)}`: the Defender for linux/{name}; `ADD` unpacks it with its modes and owner"
        for name in protection.architectures
    )
    target = f" --target {report.stage}" if report.target else ""
    return f"""# {report.app_id}, protected by Bartizan {report.version}

- `Dockerfile`: yours, with stage {report.stage} starting its program under the Defender
{files}

1. Unpack this archive in the folder that you build in, where your `Dockerfile` is, and keep a copy of yours.
2. If there is a `.dockerignore`, let `{block.FOLDER}/` through: add the line `!{block.FOLDER}/` at its end.
3. Build, push and deploy as before: `docker build{target} .`
{_platforms(protection)}
The image's program is started as `{report.data_folder}defender app-embedded PROGRAM …`; the Defender keeps what it
writes in `{report.data_folder}`, which any user of the image may write to and none but root may take the Defender from.
`Dockerfile` has the install bundle in it, a secret: keep the file and the image private.

`bartizan app-embedded unprotect Dockerfile` takes all of it out again; protecting the file again upgrades it in place.
"""


def _platforms(protection: DockerfileProtection) -> str:
    if len(protection.architectures) == 1:
        return f"\nThe image is for linux/{protection.architectures[0]}: protect the file anew for another platform.\n"
    return """
The builder's `TARGETARCH` picks the Defender. BuildKit and `docker buildx` set it; other builders take the one for
amd64, so give them `--build-arg TARGETARCH=arm64` where they build for arm64.
"""
