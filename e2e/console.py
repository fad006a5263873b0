"""A real Console in its own process, and a client for it, as tests and benchmarks use them."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from waiting import eventually

BARTIZAN = [sys.executable, "-m", "bartizan.cli"]
USER, PASSWORD = "admin", "correct horse battery staple"
Json = dict[str, Any]


@dataclass
class Console:
    """One Console on one data directory; ports stay the same over restarts."""

    data_dir: Path
    names: tuple[str, ...] = ()
    api_port: int = 0
    channel_port: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def start(self, *, sign_up: bool = True) -> None:
        """Start it, wait until it announces its ports, and, if wanted, make the administrator the first time."""
        command = [
            *BARTIZAN, "console", "--data-dir", str(self.data_dir),
            "--api-address", f"0.0.0.0:{self.api_port}", "--channel-address", f"0.0.0.0:{self.channel_port}",
        ]  # fmt: skip
        for name in self.names:
            command += ["--san", name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environment or None)
        output = self.process.stdout
        assert output is not None
        if not output.readline().startswith("Console:"):
            raise AssertionError(f"the Console ended with {self.process.wait()} before it was ready")
        state = json.loads((self.data_dir / "console.json").read_text())
        self.api_port, self.channel_port = state["apiPort"], state["channelPort"]
        setup_token = self.data_dir / "setup-token"
        if sign_up and setup_token.exists():
            token = setup_token.read_text().strip()
            self.request("POST", "signup", json={"username": USER, "password": PASSWORD, "token": token}, auth=None)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.communicate(timeout=30)
            self.process = None

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"https://localhost:{self.api_port}"

    @property
    def ca_file(self) -> Path:
        """The Console's authority."""
        return self.data_dir / "ca.pem"

    def tls(self) -> ssl.SSLContext:
        """What verifies the Console."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def request(
        self, method: str, path: str, *, auth: tuple[str, str] | None = (USER, PASSWORD), **options: Any
    ) -> httpx.Response:
        """Call the API; raise on an error status."""
        response = httpx.request(
            method, f"{self.url}/api/v1/{path}", auth=auth, verify=self.tls(), timeout=20, **options
        )
        if response.is_error:
            raise AssertionError(f"{method} {path}: {response.status_code} {response.text}")
        return response

    def put_policy(self, *rules: Json) -> None:
        """Replace the runtime policy."""
        self.request("PUT", "policies/runtime/app-embedded", json={"rules": list(rules)})

    def audits(self, **filters: Any) -> list[Json]:
        """The newest runtime audits."""
        found: list[Json] = self.request("GET", "audits/runtime/app-embedded", params={"limit": 250, **filters}).json()
        return found

    def wait_for_audit(self, matches: Callable[[Json], bool], *, what: str) -> Json:
        """The first audit for which ``matches`` holds."""

        def look() -> Json | None:
            return next((audit for audit in self.audits() if matches(audit)), None)

        return eventually(look, what=f"an audit: {what}", otherwise=lambda: json.dumps(self.audits(), indent=1))

    def defenders(self, **filters: Any) -> list[Json]:
        """The Defenders that the Console knows."""
        found: list[Json] = self.request("GET", "defenders", params=filters).json()
        return found


@contextmanager
def running_console(data_dir: Path, *names: str) -> Iterator[Console]:
    """A started Console, ended afterwards."""
    console = Console(data_dir, names=names)
    console.start()
    try:
        yield console
    finally:
        console.end()
