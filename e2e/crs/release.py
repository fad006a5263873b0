"""A rule set in a folder, as scripts/rules.sh, a release of the Core Rule Set, or Debian's package lays it out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SETTINGS = ("setup.conf", "crs-setup.conf", "crs-setup.conf.example")


@dataclass(frozen=True, slots=True)
class Release:
    """Where a rule set's parts are."""

    rules: Path
    """The folder with `*.conf` and `*.data`."""
    tests: Path
    """The folder with its regression tests."""
    settings: Path
    """What its rules need to be set."""

    @classmethod
    def at(cls, folder: Path) -> Release:
        """The rule set in a folder.

        :raises FileNotFoundError: when the folder has no rules, or no settings.
        """
        rules = folder / "rules" if (folder / "rules").is_dir() else folder
        if not any(rules.glob("*.conf")):
            raise FileNotFoundError(f"`{rules}` has no rules (`*.conf`)")
        settings = next((path for name in _SETTINGS for path in [folder / name, rules / name] if path.is_file()), None)
        if settings is None:
            raise FileNotFoundError(f"`{folder}` has none of {', '.join(_SETTINGS)}")
        regression = folder / "tests/regression/tests"
        return cls(rules, regression if regression.is_dir() else folder / "tests", settings)

    def files(self) -> list[Path]:
        """Its rules in their order, then the words that these name; without its settings."""
        rules = [path for path in sorted(self.rules.glob("*.conf")) if path != self.settings]
        return [*rules, *sorted(self.rules.glob("*.data"))]


def fetched() -> Path:
    """Where scripts/rules.sh puts the pinned rule set."""
    return Path(os.environ.get("BARTIZAN_CACHE", ROOT / ".cache")) / "rules/crs4"
