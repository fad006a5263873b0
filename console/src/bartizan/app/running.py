"""
Starts and stops a Console, with all its state in one data directory.

    bartizan.db        audits, policies, users (SQLite); not there when they are in PostgreSQL
    ca.pem, ca-key.pem the private authority
    server.pem         key and certificate of both ports
    bundle.key         from which the secrets of install bundles are derived
    setup-token        opens the one-time set-up; gone once it is done
    oidc.key           seals the secret that the identity provider knows the Console by
    changes.key        chains the log of changes
    secrets.key        seals the credentials of registries in the database
    certificates.key   seals the certificates of protected applications there
    alerts.key         seals the secrets of alert profiles there
    proxy.key          seals the password of the proxy for outgoing requests there
    alerts/            files of events that alert profiles write
    console.json       the real addresses while the Console runs, for tools
    lock               held while the Console runs
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from bartizan import pki
from bartizan.app.parts import Parts
from bartizan.app.servers import listener, serving
from bartizan.data_directory import ConsoleError, locked
from bartizan.services.embedding import TaskEmbedder
from bartizan.services.errors import InvalidError
from bartizan.services.protect_task import Embedder
from bartizan.settings import Settings

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningConsole:
    """A Console that accepts connections: real ports, and how to trust it."""

    api_port: int
    channel_port: int
    ca_file: Path
    ca_pin: str
    setup_token: str | None
    names: Sequence[str]


def serve_console(settings: Settings, *, announce: Announce) -> None:
    """Run a Console on the quick event loop until SIGTERM or SIGINT. Raises ConsoleError when it cannot start."""
    uvloop.run(run_console(settings, announce=announce))


async def run_console(
    settings: Settings, *, announce: Announce, stop: asyncio.Event | None = None, embedder: Embedder | None = None
) -> None:
    """
    Run a Console until SIGTERM, SIGINT or `stop`.

    `announce` gets lines for people: the addresses and, until it is done, the one-time set-up command.
    Raises ConsoleError when it cannot start.
    """
    # They tell what the Console tells better, and botocore, when it is asked for details, the passwords of ECR.
    for name in ("alembic", "uvicorn.error", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    ending = stop or asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with open_console(settings, embedder=embedder or TaskEmbedder()) as console:
        for line in _greeting(console):
            announce(line)
        await ending.wait()


@asynccontextmanager
async def open_console(settings: Settings, *, embedder: Embedder) -> AsyncIterator[RunningConsole]:
    """Start everything, and stop it in the reverse order. Raises ConsoleError when it cannot start."""
    with locked(settings.data_directory) as directory:
        parts = _built(settings, directory, embedder)
        try:
            with (
                listener(settings.api_host, settings.api_port) as api,
                listener(settings.channel_host, settings.channel_port) as channel,
            ):
                ports = api.getsockname()[1], channel.getsockname()[1]
                parts.base.names.set_ports(api=ports[0], channel=ports[1])
                async with parts.working(), serving(parts, api, channel):
                    console = _running(parts, *ports)
                    _write_addresses(directory, console, settings.version)
                    try:
                        yield console
                    finally:
                        (directory / "console.json").unlink(missing_ok=True)
        finally:
            parts.close()


def _built(settings: Settings, directory: Path, embedder: Embedder) -> Parts:
    try:
        return Parts(settings, directory, embedder)
    except (pki.LooseModeError, InvalidError, OSError, ValueError) as error:
        raise ConsoleError(str(error)) from None


def _running(parts: Parts, api_port: int, channel_port: int) -> RunningConsole:
    return RunningConsole(
        api_port=api_port,
        channel_port=channel_port,
        ca_file=parts.base.authority.ca_path,
        ca_pin=parts.base.authority.pin,
        setup_token=parts.access.setup_token,
        names=parts.base.names.all(),
    )


def _write_addresses(directory: Path, console: RunningConsole, version: str) -> None:
    document = {
        "version": version,
        "pid": os.getpid(),
        "api": f"https://localhost:{console.api_port}",
        "channel": f"wss://localhost:{console.channel_port}",
        "apiPort": console.api_port,
        "channelPort": console.channel_port,
        "caFile": str(console.ca_file),
        "caPin": console.ca_pin,
    }
    pki.write_atomically(directory / "console.json", msgspec.json.encode(document) + b"\n")


def _greeting(console: RunningConsole) -> list[str]:
    api = f"https://localhost:{console.api_port}"
    lines = [
        f"Console: {api} (API), wss://localhost:{console.channel_port} (Defenders)",
        f"Certificate authority: {console.ca_file}, SHA-256 {console.ca_pin}",
    ]
    if console.setup_token is None:
        return lines
    return [
        *lines,
        "There is no administrator yet. Set the password (at least 12 characters), once:",
        f"  bartizan signup --address {api} --ca-file {console.ca_file} --username admin --token {console.setup_token}",
    ]
