"""Protecting Dockerfiles: pure text in, text and edits out.

`protect(text, image=…, settings=…)` returns a `DockerfileProtection` (edits, text, report, architectures), which
`write_archive` makes the ZIP of; `needed_image` says which base image must be looked up first; `unprotect(text)` gives
the input back; `verify(text, version=…)` finds what is not protected. Bad input raises `EmbedError`, nothing else.
"""

from bartizan.embed.dockerfile.archive import defender_tar, write_archive
from bartizan.embed.dockerfile.block import archive_name
from bartizan.embed.dockerfile.explain import explain_protection
from bartizan.embed.dockerfile.ignore import is_ignored
from bartizan.embed.dockerfile.options import DockerfileChoices, DockerfileSettings, settings_of
from bartizan.embed.dockerfile.protect import (
    DockerfileProtection,
    build_architectures,
    needed_image,
    protect,
    unprotect,
)
from bartizan.embed.dockerfile.report import DockerfileReport, render_report
from bartizan.embed.dockerfile.verify import verify

__all__ = [
    "DockerfileChoices",
    "DockerfileProtection",
    "DockerfileReport",
    "DockerfileSettings",
    "archive_name",
    "build_architectures",
    "defender_tar",
    "explain_protection",
    "is_ignored",
    "needed_image",
    "protect",
    "render_report",
    "settings_of",
    "unprotect",
    "verify",
    "write_archive",
]
