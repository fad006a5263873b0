"""Image references such as `nginx`, `quay.io/a/b:1` or `localhost:5000/c@sha256:…` (pure).

Grammar: distribution `reference/reference.go` and `regexp.go`; the defaults are those of its `normalize.go`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bartizan.registry.errors import ImageError

HUB = "docker.io"
"""How references name Docker Hub; its registry answers at another host."""
_HUB_NAMES = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_HOST = "registry-1.docker.io"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::([0-9]{{1,5}}))?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 255
_LONGEST = 512
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: host (with port), repository, and a tag or digest; a digest wins over a tag."""

    host: str
    repository: str
    tag: str
    digest: str | None

    @property
    def selector(self) -> str:
        """What stands for the image in a manifest's URL."""
        return self.digest or self.tag

    @property
    def registry(self) -> str:
        """The name of the registry: its host and port, `docker.io` for Docker Hub."""
        return registry_name(self.host)


def parse_reference(text: str) -> Reference:
    """Parse a reference; raises `ImageError` for one that no registry can have."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ImageError(f"image {_shown(text)} has a digest that is not `sha256:` and 64 hexadecimal digits")
    host, repository = _split_host(rest)
    name, colon, tag = repository.rpartition(":")
    if not colon:
        name, tag = repository, "latest"
    if len(text) > _LONGEST or not (_is_host(host) and _is_repository(name) and _TAG.fullmatch(tag)):
        raise ImageError(
            f"image {_shown(text)} is no reference: write it as `host/repository:tag`, host and tag may be left out"
        )
    return Reference(host, name, tag, digest or None)


def registry_name(host: str) -> str:
    """Return the one name of a registry: lower case, `docker.io` for all names of Docker Hub."""
    name = host.lower()
    return HUB if name in _HUB_NAMES else name


def _split_host(text: str) -> tuple[str, str]:
    """Tell the host by Docker's rule: the part before the first slash if it cannot be part of a repository's name."""
    first, slash, rest = text.partition("/")
    if slash and (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        host, repository = first.lower(), rest
    else:
        host, repository = HUB, text
    if host not in _HUB_NAMES:
        return host, repository
    return _HUB_HOST, repository if "/" in repository else f"library/{repository}"


def _is_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and 0 < int(found.group(1) or 443) <= _HIGHEST_PORT


def _is_repository(name: str) -> bool:
    return bool(len(name) <= _LONGEST_NAME and _REPOSITORY.fullmatch(name)) and not _IDENTIFIER.fullmatch(
        name.removeprefix("library/")
    )


def _shown(text: str) -> str:
    """Quote a reference for a message: printable ASCII, not too long, so that it cannot forge a line of a log."""
    shown = text if len(text) <= _LONGEST else text[:60] + "…"
    return "`" + "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in shown) + "`"
