"""Builds the shop's image from this machine's own Python and busybox: no registry, no internet, no daemon."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = Path("/usr/bin/python3")
# Programs of their own, and applets: busybox runs some of its applets (`id`, `chmod`) without starting a program.
PROGRAMS = ("/usr/bin/chmod", "/usr/bin/env", "/usr/bin/find", "/usr/bin/getent", "/usr/bin/id", "/usr/bin/sleep")
APPLETS = ("nslookup", "sh", "wget")
LEFT_OUT = {
    "test",
    "idlelib",
    "ensurepip",
    "tkinter",
    "lib2to3",
    "turtledemo",
    "distutils",
    "pydoc_data",
    "__pycache__",
    "config-3.11-x86_64-linux-gnu",
}


def shop_files() -> list[tuple[str, int, bytes | Path | str]]:
    """List what the image holds as (path, mode, content): bytes, a file of this machine, or ``link:TARGET``."""
    python = SYSTEM_PYTHON.resolve()
    files: list[tuple[str, int, bytes | Path | str]] = [
        ("/shop/shop.py", 0o755, HERE / "shop.py"),
        (
            "/http_server",
            0o755,
            b"#!/usr/bin/python3 -u\nimport runpy\nrunpy.run_path('/shop/shop.py', run_name='__main__')\n",
        ),
        ("/shop/parcels/BTZ-1", 0o644, b"a bucket of pitch, out for delivery\n"),
        ("/bin/busybox", 0o755, Path("/bin/busybox").resolve()),
        ("/etc/passwd", 0o644, b"root:x:0:0:root:/:/bin/sh\nshop:x:1000:1000:shop:/shop:/bin/sh\n"),
        ("/etc/group", 0o644, b"root:x:0:\nshop:x:1000:\n"),
        ("/usr/bin/python3", 0o777, f"link:{python}"),
    ]
    files += [(f"/bin/{applet}", 0o777, "link:/bin/busybox") for applet in APPLETS]
    for program in (python, *(Path(name).resolve() for name in PROGRAMS)):
        files.append((str(program), 0o755, program))
        files += [(str(library), 0o755, library.resolve()) for library in shared_libraries(program)]
    # A library that two programs need is listed twice; one file has one place.
    return list({path: (path, mode, content) for path, mode, content in files + standard_library()}.values())


def shared_libraries(program: Path) -> list[Path]:
    """The libraries that the dynamic loader would load, and the loader itself."""
    listing = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", listing)]


def standard_library() -> list[tuple[str, int, bytes | Path | str]]:
    """Python's own modules, without tests and desktop parts."""
    version = (
        f"{sys.version_info.major}.{sys.version_info.minor}"
        if SYSTEM_PYTHON.samefile(sys.executable)
        else system_version()
    )
    root = Path(f"/usr/lib/python{version}")
    modules = (path for path in sorted(root.rglob("*")) if path.is_file() and not LEFT_OUT.intersection(path.parts))
    files: list[tuple[str, int, bytes | Path | str]] = []
    for path in modules:
        files.append((str(path), 0o644, path.resolve()))
        if path.suffix == ".so":
            files += [(str(library), 0o755, library.resolve()) for library in shared_libraries(path)]
    return files


def system_version() -> str:
    """Version of Debian's Python as ``3.11``; ours may be another one."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([str(SYSTEM_PYTHON), "-c", code], check=True, capture_output=True, text=True).stdout.strip()
