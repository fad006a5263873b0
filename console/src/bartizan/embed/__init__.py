"""Protecting ECS task definitions: pure text in, text and edits out.

`protect(text, images=…, settings=…)` returns a `Protection` (edits, text, report); `unprotect(text)` gives the input
back; `verify(text, version=…)` finds what is not protected; `needed_images(text, settings=…)` says which images must
be looked up first. Bad input raises `EmbedError`, nothing else.
"""

from bartizan.embed.deployed import deployed
from bartizan.embed.edit import Edit, explain, unified_diff
from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.launch import ImageConfig
from bartizan.embed.options import InstallBundle, ProtectSettings, TaskChoices, read_bundle, settings_of
from bartizan.embed.protect import NeededImage, Protection, explain_protection, needed_images, protect, unprotect
from bartizan.embed.reading import is_template
from bartizan.embed.report import ContainerReport, Report, privileged_warning, render_report, report_value
from bartizan.embed.verify import Finding, verify

__all__ = [
    "ContainerReport",
    "Edit",
    "EmbedError",
    "Finding",
    "ImageConfig",
    "InstallBundle",
    "NeededImage",
    "ProtectSettings",
    "Protection",
    "Report",
    "TaskChoices",
    "Where",
    "deployed",
    "explain",
    "explain_protection",
    "is_template",
    "needed_images",
    "privileged_warning",
    "protect",
    "read_bundle",
    "render_report",
    "report_value",
    "settings_of",
    "unified_diff",
    "unprotect",
    "verify",
]
