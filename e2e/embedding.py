"""A Dockerfile in a context of its own, as it is and with the Defender in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bases import BUSYBOX, DOCKERFILES
from builder import Builder, Built
from console import BARTIZAN, PASSWORD, USER, Console
from task import CONSOLE_NAME


@dataclass(frozen=True)
class Case:
    """One Dockerfile of ``dockerfiles/``: how it is built, and with which options it is embedded."""

    name: str
    build: tuple[str, ...] = ()
    embed: tuple[str, ...] = ()
    base: str = ""

    @property
    def app_id(self) -> str:
        """The App ID, which an audit is found by."""
        return f"shop:{self.name}"


@dataclass
class Workshop:
    """Builds cases against one Console."""

    console: Console
    builder: Builder
    bases: dict[str, str]
    folder: Path
    contexts: dict[str, Path] = field(default_factory=dict)

    def context(self, name: str) -> Path:
        """A fresh build context with the Dockerfile of a case."""
        context = self.folder / f"{name}-{len(self.contexts)}"
        self.contexts[str(context)] = context
        shutil.copytree(DOCKERFILES / name, context)
        shutil.copy(BUSYBOX, context / "busybox")
        shutil.copy(DOCKERFILES / "probe.sh", context / "probe.sh")
        return context

    def original(self, case: Case) -> Built:
        """The image as its author wants it."""
        return self.builder.build(self.context(case.name), *case.build)

    def protected(self, case: Case) -> Built:
        """The image from what the command line made of the Dockerfile, unpacked as a user would."""
        context = self.context(case.name)
        archive = self.embed(context, case)
        subprocess.run(["unzip", "-q", "-o", str(archive), "-d", str(context)], check=True)
        return self.builder.build(context, *case.build)

    def embed(self, context: Path, case: Case) -> Path:
        """Run the command against the Console; return the ZIP."""
        archive = context.parent / f"{context.name}.zip"
        console = ("--address", self.console.url, "--ca-file", str(self.console.ca_file), "--user", USER)
        image = (f"--image={case.base}={self.bases[case.base]}",) if case.base else ()
        words = (*console, "--console-host", CONSOLE_NAME, "--app-id", case.app_id, "--output-file", str(archive))
        subprocess.run(
            [*BARTIZAN, "app-embedded", "embed", *words, *image, *case.embed, str(context / "Dockerfile")],
            check=True,
            env={**os.environ, "BARTIZAN_PASSWORD": PASSWORD},
            capture_output=True,
        )
        return archive
