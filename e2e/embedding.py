"""A Dockerfile in a context of its own, as it is and with the Defender in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bases import BUSYBOX, DOCKERFILES, PROGRAMS
from builder import Builder, Built
from console import BARTIZAN, PASSWORD, USER, Console, Json
from task import CONSOLE_NAME


@dataclass(frozen=True)
class Case:
    """One Dockerfile of ``dockerfiles/``: which of its stages, with which arguments, and the image to be looked up."""

    name: str
    target: str = ""
    build_args: dict[str, str] = field(default_factory=dict)
    base: str = ""

    @property
    def options(self) -> list[str]:
        """What the builder and the command are told alike."""
        arguments = [f"--build-arg={name}={value}" for name, value in self.build_args.items()]
        return [*arguments, *([f"--target={self.target}"] if self.target else [])]

    @property
    def fields(self) -> Json:
        """The same for the API."""
        return {"buildArgs": self.build_args, **({"target": self.target} if self.target else {})}

    @property
    def app_id(self) -> str:
        """The App ID, which an audit is found by."""
        return f"shop:{self.name}"


@dataclass
class Workshop:
    """Builds cases against one Console; a protected image is built once."""

    console: Console
    builder: Builder
    bases: dict[str, str]
    folder: Path
    built: dict[str, Built] = field(default_factory=dict)
    contexts: int = 0

    def context(self, name: str) -> Path:
        """A fresh build context with the Dockerfile of a case."""
        self.contexts += 1
        context = self.folder / f"{name}-{self.contexts}"
        shutil.copytree(DOCKERFILES / name, context)
        (context / "bin").mkdir()
        shutil.copy(BUSYBOX, context / "bin/busybox")
        for program in ("sh", *PROGRAMS):
            (context / "bin" / program).symlink_to("busybox")
        shutil.copy(DOCKERFILES / "probe.sh", context / "probe.sh")
        return context

    def original(self, case: Case) -> Built:
        """The image as its author wants it."""
        return self.builder.build(self.context(case.name), *case.options)

    def protected(self, case: Case) -> Built:
        """The image from what the Console made of the Dockerfile, unpacked as a user would."""
        if case.name not in self.built:
            self.built[case.name] = self.builder.build(self.unpacked(case), *case.options)
        return self.built[case.name]

    def unpacked(self, case: Case) -> Path:
        """A build context with the ZIP of a case unpacked in it."""
        context = self.context(case.name)
        archive = context.parent / f"{context.name}.zip"
        archive.write_bytes(self.by_command(case) if case.base else self.by_request(case))
        subprocess.run(["unzip", "-q", "-o", str(archive), "-d", str(context)], check=True)
        return context

    def by_request(self, case: Case) -> bytes:
        """The ZIP that the API gives for a case."""
        body = {
            "appID": case.app_id,
            "consoleAddr": CONSOLE_NAME,
            "dataFolder": "/bartizan/",
            "dockerfile": (DOCKERFILES / case.name / "Dockerfile").read_text(),
            "filesystemMonitoring": False,
        }
        return self.console.request("POST", "defenders/app-embedded", json={**body, **case.fields}).content

    def by_command(self, case: Case) -> bytes:
        """The ZIP that the command gives for a case, against the Console."""
        words = ["--address", self.console.url, "--ca-file", str(self.console.ca_file), "--user", USER]
        words += ["--console-host", CONSOLE_NAME, "--app-id", case.app_id, "--output-file", "-", *case.options]
        words += [f"--image={case.base}={self.bases[case.base]}"] if case.base else []
        command = [*BARTIZAN, "app-embedded", "embed", *words, str(DOCKERFILES / case.name / "Dockerfile")]
        environment = {**os.environ, "BARTIZAN_PASSWORD": PASSWORD}
        return subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE).stdout
