"""Golden cases of Dockerfiles, `contract/vectors/dockerfile/<name>/`: reads them, and writes their results anew.

`python -m tests.embed_dockerfile.golden`, run in `console/`, rewrites `protected.Dockerfile` and `report.txt` of every
case; the difference is then reviewed like code.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.embed_dockerfile.samples import VECTORS

from bartizan.embed import ImageConfig
from bartizan.embed.dockerfile import DockerfileProtection, DockerfileSettings, protect, render_report


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what goes in. Texts are kept byte for byte, line ends included."""

    folder: Path
    text: str
    image: ImageConfig | None
    needed: str | None
    """the image that must be looked up"""
    settings: DockerfileSettings

    def run(self) -> DockerfileProtection:
        """Protect the input."""
        return protect(self.text, image=self.image, settings=self.settings)


def cases() -> list[Case]:
    """Return all cases by name."""
    return [_read(folder) for folder in sorted(VECTORS.iterdir()) if folder.is_dir()]


def _read(folder: Path) -> Case:
    made_with = json.loads((folder / "settings.json").read_text("utf-8"))
    images: dict[str, Any] = json.loads((folder / "images.json").read_text("utf-8"))
    name, config = next(iter(images.items())) if images else (None, None)
    image = None
    if config is not None:
        image = ImageConfig(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
        )
    text = (folder / "Dockerfile").read_bytes().decode()
    return Case(folder, text, image, name, DockerfileSettings(**made_with))


def main() -> None:
    """Write the results of all cases."""
    for case in cases():
        protection = case.run()
        (case.folder / "protected.Dockerfile").write_bytes(protection.text.encode())
        (case.folder / "report.txt").write_bytes(render_report(protection.report).encode())


if __name__ == "__main__":
    main()
