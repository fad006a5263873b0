"""A real Defender around an idle program on this machine, for pages that show what is connected."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console import Console
from waiting import eventually

BUILT = Path(__file__).resolve().parents[2] / "defender/target/x86_64-unknown-linux-gnu/release/defender"


@contextmanager
def embedded_defender(console: Console, app_id: str) -> Iterator[str]:
    """Run `sleep` under a Defender of this App ID until the block ends; give its id once it is connected."""
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
    environment = {
        "PATH": os.environ["PATH"],
        "DEFENDER_TYPE": "appEmbedded",
        "DEFENDER_APP_ID": app_id,
        "WS_ADDRESS": bundle["wsAddress"],
        "INSTALL_BUNDLE": bundle["bundle"],
    }
    program = os.environ.get("BARTIZAN_DEFENDER") or str(BUILT)
    command = [program, "app-embedded", "sleep", "600"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def connected() -> str | None:
        return next((str(item["id"]) for item in console.defenders(hostname=app_id) if item["connected"]), None)

    try:
        yield eventually(connected, what=f"the Defender of `{app_id}` is connected")
    finally:
        process.terminate()
        process.wait(timeout=20)
