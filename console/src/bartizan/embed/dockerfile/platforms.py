"""For which machine the image is built, and whether there is a Defender for it."""

import re
from dataclasses import dataclass

from bartizan.embed.dockerfile import shell_words
from bartizan.embed.dockerfile.model import Dockerfile
from bartizan.embed.dockerfile.options import ARCHITECTURES, Architecture, DockerfileSettings
from bartizan.embed.dockerfile.scope import Lineage
from bartizan.embed.errors import EmbedError
from bartizan.embed.launch import ImageConfig

_ALIASES: dict[str, Architecture] = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "arm64v8": "arm64"}
# Namespaces of Docker's official images for one architecture each (docker-library, "Architectures other than amd64").
_NAMESPACES = {
    "amd64": "amd64",
    "arm64v8": "arm64",
    "arm32v5": "arm",
    "arm32v6": "arm",
    "arm32v7": "arm",
    "i386": "386",
    "mips64le": "mips64le",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "winamd64": "windows",
}
_WINDOWS = re.compile(
    r"(^|/)(microsoft/(nanoserver|windows|iis|aspnet)|mcr\.microsoft\.com/windows|windows/|nanoserver|windowsservercore|servercore)"
    r"|/dotnet/framework/|[:-](nanoserver|windowsservercore|servercore)",
    re.IGNORECASE,
).search


@dataclass(frozen=True, slots=True)
class Platform:
    """The architectures the image may be for, and the builder's variable that tells which, when that is open."""

    architectures: tuple[Architecture, ...]
    variable: str | None = None


def platform(file: Dockerfile, line: Lineage, image: ImageConfig | None, settings: DockerfileSettings) -> Platform:
    """Return what the stage is built for; raise `EmbedError` for Windows and for machines without a Defender."""
    _refuse_windows(file, line, image)
    written = line.stages[0].platform or ""
    if "$" not in written and line.platform is not None:
        return _agreed(file, line, Platform((_named(file, line, line.platform),)), settings)
    namespace = _NAMESPACES.get(line.base.split("/")[0]) if "/" in line.base else None
    if namespace is not None:
        return _agreed(file, line, Platform((_named(file, line, namespace),)), settings)
    if settings.architecture is not None:
        return Platform((settings.architecture,))
    if line.platform is None:
        return Platform(ARCHITECTURES, "TARGETARCH")
    named = _named(file, line, line.platform)
    used = shell_words.names(written)
    for variable in ("TARGETARCH", "BUILDARCH"):
        if used <= {variable, variable.replace("ARCH", "PLATFORM")}:
            return Platform(ARCHITECTURES, variable)
    return Platform((named,))


def _named(file: Dockerfile, line: Lineage, name: str) -> Architecture:
    """Return the architecture of a platform `os/architecture/variant`, or of one of these parts alone."""
    parts = name.lower().split("/")
    if parts[0] == "windows":
        raise _windows(file, line, name)
    architecture = parts[1] if len(parts) > 1 else parts[0]
    architecture = _ALIASES.get(architecture, architecture)
    for known in ARCHITECTURES:
        if architecture == known:
            return known
    if architecture == "linux":
        return ARCHITECTURES[0]
    message = f"there is no Defender for the platform `{name}`: it is made for `linux/amd64` and `linux/arm64`"
    raise EmbedError(message, file.where(line.stages[0].start))


def _agreed(file: Dockerfile, line: Lineage, found: Platform, settings: DockerfileSettings) -> Platform:
    if settings.architecture not in (None, found.architectures[0]):
        message = f"the stage is for `{found.architectures[0]}`, not for `{settings.architecture}`"
        raise EmbedError(f"{message}: leave the architecture out", file.where(line.stages[0].start))
    return found


def _refuse_windows(file: Dockerfile, line: Lineage, image: ImageConfig | None) -> None:
    if image is not None and image.os.lower() == "windows":
        raise _windows(file, line, line.base)
    if _WINDOWS(line.base):
        raise _windows(file, line, line.base)
    for stage in line.stages:
        for item in stage.every("SHELL"):
            first = item.arguments.lstrip('[ "').split('"')[0].lower()
            if first.endswith((".exe", "powershell", "cmd")):
                raise _windows(file, line, f"SHELL {item.arguments[:60]}")


def _windows(file: Dockerfile, line: Lineage, what: str) -> EmbedError:
    message = f"`{what}` is Windows, and the Defender runs on Linux only: leave this image as it is"
    return EmbedError(message, file.where(line.stages[0].start))
