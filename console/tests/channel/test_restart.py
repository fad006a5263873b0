"""A Console process that is killed: nothing that was acknowledged is lost, nothing is doubled."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.channel.running import DEADLINE, ConsoleUnderTest, DefenderEnd, running_console
from websockets.exceptions import ConnectionClosed

from bartizan.data_directory import ConsoleError

PROGRAM = """
import sys
from pathlib import Path
from bartizan.app import serve_console
from bartizan.settings import Settings
settings = Settings(data_directory=Path(sys.argv[1]), api_port=int(sys.argv[2]), channel_port=int(sys.argv[3]))
serve_console(settings, announce=lambda line: print(line, flush=True))
"""


@contextmanager
def console_process(
    directory: Path, api: int = 0, channel: int = 0
) -> Iterator[tuple[ConsoleUnderTest, "subprocess.Popen[str]"]]:
    """Run a Console as a process of its own; it is up when the block begins."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory), str(api), str(channel)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Console: https://")
        found = json.loads((directory / "console.json").read_text())
        token = directory / "setup-token"
        running = SimpleNamespace(
            api_port=found["apiPort"],
            channel_port=found["channelPort"],
            ca_file=Path(found["caFile"]),
            ca_pin=found["caPin"],
            setup_token=token.read_text().strip() if token.exists() else None,
        )
        yield ConsoleUnderTest(directory=directory, running=running), process  # type: ignore[arg-type]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=DEADLINE)


def test_killed_while_audits_come_in(tmp_path: Path) -> None:
    """After kill -9 in the middle of a flood, what was acknowledged is there, and sending all again doubles nothing."""
    data = tmp_path / "data"
    with console_process(data) as (console, process):
        console.sign_up()
        end = DefenderEnd(console, console.bundle(), tmp_path, app_id="crash:1")
        end.connect()
        committed = 0
        with pytest.raises((ConnectionClosed, ConnectionError)):  # noqa: PT012 - whichever call meets the end
            for start in range(1, 1_000_000, 100):
                end.send(end.audits(*range(start, start + 100)))
                if start > 500:
                    committed = end.receive()["committed"]
                if committed > 2000 and process.poll() is None:
                    process.send_signal(signal.SIGKILL)
        ports = (console.running.api_port, console.running.channel_port)
    assert committed > 2000
    with console_process(data, *ports) as (console, _):
        console.log_in()
        stored = count(console)
        assert stored >= committed
        end.console = console
        end.connect()
        for start in range(1, committed + 1000, 100):
            end.send(end.audits(*range(start, start + 100)))
        last = start + 99
        while end.receive()["committed"] < last:
            pass
        assert count(console) == max(last, stored)
        end.close()


def test_a_term_signal_ends_it_cleanly(tmp_path: Path) -> None:
    """SIGTERM closes sessions as going away, removes the address file and ends with success."""
    with console_process(tmp_path / "data") as (console, process):
        console.sign_up()
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()
        process.terminate()
        assert end.link is not None
        with pytest.raises(ConnectionClosed) as closed:
            end.link.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert process.wait(DEADLINE) == 0
        assert not (tmp_path / "data/console.json").exists()


def test_a_restart_keeps_policy_bundle_and_identity(tmp_path: Path) -> None:
    """Policy, install bundle, authority and a Defender's certificate are good after a restart."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        console.put_policy({"name": "kept", "processes": {"effect": "alert", "blacklist": ["sh"]}})
        bundle, pin = console.bundle(), console.running.ca_pin
        end = DefenderEnd(console, bundle, tmp_path)
        first = end.connect()
        end.close()
    with running_console(tmp_path / "data") as console:
        assert console.running.setup_token is None
        console.log_in()
        assert console.running.ca_pin == pin
        again = console.bundle()
        assert (again["id"], again["secret"]) == (bundle["id"], bundle["secret"])
        end.console = console
        assert end.connect() == first
        end.close()


def test_a_second_console_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """The data directory belongs to one Console at a time."""
    with (
        running_console(tmp_path / "data"),
        pytest.raises(ConsoleError, match="another Console is running"),
        running_console(tmp_path / "data"),
    ):
        pass


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A Console does not start on secrets that may have leaked, and says what to do."""
    with running_console(tmp_path / "data"):
        pass
    (tmp_path / "data/ca-key.pem").chmod(0o644)
    with pytest.raises(ConsoleError, match="chmod 600"), running_console(tmp_path / "data"):
        pass


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"names": ("a b",)}, "a b"),
        ({"api_host": "192.0.2.77"}, "192.0.2.77"),
        ({"api_host": "nowhere.invalid"}, "nowhere"),
    ],
)
def test_what_keeps_it_from_starting_is_told(tmp_path: Path, given: dict[str, Any], named: str) -> None:
    """A setting that cannot be used ends the start with one sentence that names it."""
    with pytest.raises(ConsoleError, match=named), running_console(tmp_path / "data", **given):
        pass


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the place of the directory is named."""
    (tmp_path / "data").write_text("")
    with pytest.raises(ConsoleError, match="data directory"), running_console(tmp_path / "data"):
        pass


def test_it_is_up_soon(tmp_path: Path) -> None:
    """From nothing to answering takes a few seconds of CPU time at most, start of Python included."""
    before = os.times()
    with console_process(tmp_path / "data") as (console, _), console.client(token="") as client:
        assert client.get("/_ping").text == "OK"
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 4


def count(console: ConsoleUnderTest) -> int:
    """Return how many audits there are."""
    with console.client() as client:
        return int(client.get("/audits/runtime/app-embedded", params={"limit": 1}).headers["total-count"])
