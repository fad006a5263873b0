"""Protecting apps of Cloud Foundry: pure text of a manifest in, text and edits out.

`protect(text, settings=…)` returns a `ManifestProtection` (edits, text, report, and where the Defender has to lie);
`unprotect(text)` gives the input back; `verify(text, version=…)` finds what is not protected. Bad input raises
`EmbedError`, nothing else.
"""

from bartizan.embed.cloud_foundry.archive import defender_in, with_defender, without_defender
from bartizan.embed.cloud_foundry.protect import (
    AppFolder,
    Installed,
    ManifestProtection,
    app_folders,
    explain_protection,
    installed,
    is_manifest,
    protect,
    unprotect,
)
from bartizan.embed.cloud_foundry.report import AppReport, ManifestReport, StartReport, render_report, report_value
from bartizan.embed.cloud_foundry.settings import ManifestSettings
from bartizan.embed.cloud_foundry.variables import filled_in, read_variables
from bartizan.embed.cloud_foundry.verify import verify

__all__ = [
    "AppFolder",
    "AppReport",
    "Installed",
    "ManifestProtection",
    "ManifestReport",
    "ManifestSettings",
    "StartReport",
    "app_folders",
    "defender_in",
    "explain_protection",
    "filled_in",
    "installed",
    "is_manifest",
    "protect",
    "read_variables",
    "render_report",
    "report_value",
    "unprotect",
    "verify",
    "with_defender",
    "without_defender",
]
