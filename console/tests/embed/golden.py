"""Golden cases of protection, `contract/vectors/protect/<name>/`: reads them, and writes their results anew.

`python -m tests.embed.golden`, run in `console/`, rewrites `protected.json` and `report.txt` of every case; the
difference is then reviewed like code.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.embed.samples import VECTORS

from bartizan.embed import ImageConfig, Protection, ProtectSettings, protect, render_report


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what goes in. Texts are kept byte for byte, line ends included."""

    folder: Path
    text: str
    images: dict[str, ImageConfig]
    settings: ProtectSettings

    @property
    def expected(self) -> Path:
        """The file that holds the result."""
        return self.folder / next(self.folder.glob("input.*")).name.replace("input", "protected")

    def run(self) -> Protection:
        """Protect the input."""
        return protect(self.text, images=self.images, settings=self.settings)


def reports(protection: Protection) -> str:
    """Return what people are told."""
    return "\n".join(map(render_report, protection.reports))


def cases() -> list[Case]:
    """Return all cases by name."""
    return [_read(folder) for folder in sorted(VECTORS.iterdir()) if folder.is_dir()]


def _read(folder: Path) -> Case:
    images = json.loads((folder / "images.json").read_text("utf-8"))
    made_with = json.loads((folder / "settings.json").read_text("utf-8"))
    lists = {key: tuple(value) for key, value in made_with.items() if isinstance(value, list)}
    return Case(
        folder,
        next(folder.glob("input.*")).read_bytes().decode(),
        {image: _image(**config) for image, config in images.items()},
        ProtectSettings(**{**made_with, **lists}),
    )


def _image(entrypoint: list[str], cmd: list[str], origin: str, digest: str | None = None) -> ImageConfig:
    return ImageConfig(tuple(entrypoint), tuple(cmd), origin, digest)


def main() -> None:
    """Write the results of all cases."""
    for case in cases():
        protection = case.run()
        case.expected.write_bytes(protection.text.encode())
        (case.folder / "report.txt").write_bytes(reports(protection).encode())


if __name__ == "__main__":
    main()
