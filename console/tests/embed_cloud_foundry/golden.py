"""Golden cases of manifests, `contract/vectors/cloud-foundry/<name>/`: reads them, and writes their results anew.

`python -m tests.embed_cloud_foundry.golden`, run in `console/`, rewrites `protected.yml` and `report.txt` of every
case; the difference is then reviewed like code.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.embed_cloud_foundry.manifests import BUNDLE, VECTORS

from bartizan.embed.cloud_foundry import ManifestProtection, ManifestSettings, protect, render_report


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what goes in. Texts are kept byte for byte, line ends included."""

    folder: Path
    text: str
    settings: ManifestSettings
    procfiles: dict[str, str]

    def run(self) -> ManifestProtection:
        """Protect the input."""
        return protect(self.text, settings=self.settings, procfiles=self.procfiles)


def cases() -> list[Case]:
    """Return all cases by name."""
    return [_read(folder) for folder in sorted(VECTORS.iterdir()) if folder.is_dir()]


def _read(folder: Path) -> Case:
    given = json.loads((folder / "settings.json").read_text("utf-8"))
    procfiles = given.pop("procfiles", {})
    bundle = {} if "bundle_variable" in given else {"install_bundle": BUNDLE}
    lists = {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
    settings = ManifestSettings(**{"version": "0.1.0", **bundle, **given, **lists})
    return Case(folder, (folder / "manifest.yml").read_bytes().decode(), settings, procfiles)


def main() -> None:
    """Write the results of all cases."""
    for case in cases():
        protection = case.run()
        (case.folder / "protected.yml").write_bytes(protection.text.encode())
        (case.folder / "report.txt").write_bytes(render_report(protection.report).encode())


if __name__ == "__main__":
    main()
