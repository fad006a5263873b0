"""Images built from Dockerfiles by buildah: no daemon, no network, base images from layouts of our own."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from bartizan.registry import open_image, parse_platform
from console import Json


@dataclass(frozen=True)
class Built:
    """A built image: where it is for `run-task`, and its configuration as Docker has it."""

    source: str
    config: Json
    architecture: str


class Builder:
    """One buildah store below a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        store = ["--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
        self._buildah = ["buildah", *store]
        self._built = 0

    def add_base(self, reference: str, layout: Path) -> None:
        """Make the image of an OCI layout known under the name that Dockerfiles use."""
        image = self._run("pull", "--quiet", f"oci:{layout}").strip()
        self._run("tag", image, reference)

    def build(self, context: Path, *options: str) -> Built:
        """Build the Dockerfile of a folder. Raises AssertionError with what buildah said."""
        self._built += 1
        name = f"localhost/built:{self._built}"
        layout = self._folder / f"image{self._built}"
        alone = ("--isolation", "chroot", "--pull-never", "--no-cache", "--layers=false")
        self._run("build", *alone, *options, "--format", "docker", "--tag", name, str(context))
        self._run("push", "--quiet", "--disable-compression", name, f"oci:{layout}:built")
        about = json.loads(self._run("inspect", "--type", "image", name))
        return Built(f"oci:{layout}", about["Docker"]["config"], about["Docker"]["architecture"])

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._buildah, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"buildah {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout


@dataclass(frozen=True)
class Found:
    """A file of an image."""

    mode: int
    content: bytes


def layer_file(image: Built, path: str) -> Found:
    """A file as the topmost layer that has it holds it."""
    for layer in reversed(open_image(image.source, platform=parse_platform(image.architecture)).layers):
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                if member.name.strip("./") == path:
                    content = tar.extractfile(member)
                    assert content is not None
                    return Found(member.mode, content.read())
    raise AssertionError(f"{image.source} has no {path}")
