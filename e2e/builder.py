"""Images built from Dockerfiles by buildah: no daemon, no network, base images from layouts of our own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from console import Json


@dataclass(frozen=True)
class Built:
    """A built image: where it is for `run-task`, and its configuration as Docker has it."""

    source: str
    config: Json


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
        self._run("push", "--quiet", name, f"oci:{layout}:built")
        about = json.loads(self._run("inspect", "--type", "image", name))
        return Built(f"oci:{layout}", about["Docker"]["config"])

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._buildah, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"buildah {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout
