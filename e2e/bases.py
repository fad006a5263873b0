"""The base images of the Dockerfiles that the tests build, made of busybox and a script."""

from __future__ import annotations

from pathlib import Path

from bartizan.registry import File, ImageConfig, Link, write_image
from builder import Builder
from images import ROOT

DOCKERFILES = ROOT / "e2e/dockerfiles"
BUSYBOX = Path("/bin/busybox").resolve()
# The probe names them by path: so they are programs of their own, though they are one file.
PROGRAMS = ("env", "grep", "hostid", "id", "nc", "sleep", "sort")
PLAIN = ImageConfig(env=("PATH=/usr/local/bin:/bin",))
BASES = {
    "base.test/plain:1": PLAIN,
    "base.test/number:1": ImageConfig(env=PLAIN.env, user="65532:65532", working_dir="/srv"),
    "base.test/starts:1": ImageConfig(
        env=(*PLAIN.env, "FLAVOUR=base"),
        entrypoint=("/probe.sh", "of the base"),
        cmd=("default one", "two"),
        working_dir="/srv",
        stop_signal="SIGINT",
    ),
}


def add_bases(builder: Builder, folder: Path) -> dict[str, str]:
    """Write all base images and give them to the builder; return image reference → source."""
    sources = {}
    for number, (reference, config) in enumerate(BASES.items()):
        files = base_files() if "number" in reference else [*base_files(), *account_files()]
        write_image(folder / f"base{number}", files=files, config=config, reference=reference, architecture="amd64")
        builder.add_base(reference, folder / f"base{number}")
        sources[reference] = f"oci:{folder / f'base{number}'}"
    return sources


def base_files() -> list[File]:
    """A root with a shell, a few programs and the probe, and without accounts."""
    return [
        File("/bin/busybox", 0o755, BUSYBOX),
        File("/bin/sh", 0o777, Link("/bin/busybox")),
        *(File(f"/bin/{program}", 0o777, Link("/bin/busybox")) for program in PROGRAMS),
        File("/probe.sh", 0o755, DOCKERFILES / "probe.sh"),
        File("/srv/page.txt", 0o644, b"a page\n"),
    ]


def account_files() -> list[File]:
    """The user `app`, whose number is 1000."""
    return [
        File("/etc/passwd", 0o644, b"root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/srv:/bin/sh\n"),
        File("/etc/group", 0o644, b"root:x:0:\napp:x:1000:\n"),
    ]
