"""Runs one container in a small machine of its own; chamber.py starts it in fresh namespaces.

The argument is JSON: ``{"resolver": [command], "layer": directory, "root": directory, "work": path in the container,
"owner": user, "bundle": directory, "command": [command]}``. Brings up the loopback interface, mounts the container's
root (this machine's files below a layer of their own, as Docker would, on ``layer``), puts the resolver's address where
the C libraries look, starts the resolver outside of the container, runs the command and ends with its exit status.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

RESOLV_CONF = "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"


def main(given: dict[str, Any]) -> int:
    """Run it; return the exit status, 128 plus the signal for a killed command."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    mount_root(Path(given["layer"]), Path(given["root"]), Path(given["work"]), given["owner"])
    # Of its own session, so that no signal to the command's terminal reaches it.
    with subprocess.Popen(given["resolver"], stdout=subprocess.PIPE, start_new_session=True) as resolver:
        assert resolver.stdout is not None
        resolver.stdout.readline()
        # It tells every question, and would wait for a reader when the pipe is full.
        threading.Thread(target=resolver.stdout.read, daemon=True).start()
        code = subprocess.run(given["command"], check=False).returncode
        resolver.kill()
    return code if code >= 0 else 128 - code


def mount_root(layer: Path, root: Path, work: Path, owner: str) -> None:
    """Mount this machine's files at ``root``, with what is written going to ``layer``."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(layer)], check=True)
    for name in ("upper", "work"):
        (layer / name).mkdir(mode=0o755)
    options = f"lowerdir=/,upperdir={layer}/upper,workdir={layer}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)], check=True)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text(RESOLV_CONF)
    inside = root / work.relative_to("/")
    inside.mkdir(parents=True)
    if owner:
        shutil.chown(inside, owner if not owner.isdigit() else int(owner))


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
