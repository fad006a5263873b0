"""Image references such as `nginx`, `quay.io/a/b:1` or `localhost:5000/c@sha256:…` (pure).

Grammar: distribution `reference/reference.go`; the defaults are Docker's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bartizan.registry.errors import ImageError

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
)
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST = 512


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


def parse_reference(text: str) -> Reference:
    """Parse a reference; raises `ImageError` for one that no registry can have."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ImageError(f"image `{text}` has a digest that is not `sha256:` and 64 hexadecimal digits")
    host, repository = _split_host(rest)
    name, colon, tag = repository.rpartition(":")
    if not colon:
        name, tag = repository, "latest"
    if len(text) > _LONGEST or not _HOST.fullmatch(host) or not _REPOSITORY.fullmatch(name) or not _TAG.fullmatch(tag):
        raise ImageError(
            f"image `{text}` is no reference: write it as `host/repository:tag`, host and tag may be left out"
        )
    return Reference(host, name, tag, digest or None)


def _split_host(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return ("registry-1.docker.io" if first in {"docker.io", "index.docker.io"} else first), _library(first, rest)
    return "registry-1.docker.io", _library("docker.io", text)


def _library(host: str, repository: str) -> str:
    official = host in {"docker.io", "index.docker.io"} and "/" not in repository
    return f"library/{repository}" if official else repository
