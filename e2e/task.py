"""A real task, run by `bartizan run-task` in its own process, and ways to talk to it."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx

from console import BARTIZAN, Console
from images import ROOT, SHOP_PORT
from waiting import eventually

NAMES = {"good.test": "192.0.2.7", "a.evil.test": "192.0.2.66"}
CONSOLE_NAME = "host.bartizan.internal"


class Task:
    """One task, with a name server of its own in its network namespace."""

    def __init__(
        self, definition: Path, images: dict[str, str], parameters: dict[str, str] | None = None, which: str = ""
    ) -> None:
        options = [word for reference, source in images.items() for word in ("--image", f"{reference}={source}")]
        command = [*BARTIZAN, "run-task", str(definition), "--name-server", "127.0.0.1", *options]
        command += ["--health-scale", "0.1"]
        for name, value in (parameters or {}).items():
            command += ["--parameter", f"{name}={value}"]
        command += ["--task", which] if which else []
        # Both in one pipe: by two, what a container printed last could be read after how it ended.
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        found = re.search(r"address is (\S+), .*namespace (\S+)", self.wait_for_log("the task's address is"))
        assert found is not None
        self.address, self.namespace = found[1], found[2]
        self._names = self._start_name_server()

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def _start_name_server(self) -> subprocess.Popen[str]:
        server = [sys.executable, str(ROOT / "examples/name_server.py"), "127.0.0.1", "53"]
        table = [f"{name}={address}" for name, address in NAMES.items()]
        command = ["nsenter", f"--net={self.namespace}", *server, *table]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        self._asked: list[str] = []
        self._name_reader = threading.Thread(target=self._note_names, args=(process.stdout,), daemon=True)
        self._name_reader.start()
        return process

    def _note_names(self, output: object) -> None:
        for line in output:  # type: ignore[attr-defined]
            self._asked.append(line.split()[1])

    def names_asked(self) -> set[str]:
        """The names that reached the name server."""
        return set(self._asked)

    def log(self) -> str:
        """Everything that the task and its runner have printed."""
        with self._news:
            return "\n".join(self._lines)

    def wait_for_log(self, text: str) -> str:
        """The first line that holds ``text``."""

        def found() -> str | None:
            return next((line for line in self._lines if text in line), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._process.poll() is not None, timeout=60)
            line = found()
        assert line is not None, f"no `{text}` in the log:\n{self.log()}"
        return line

    def wait_until_serving(self, port: int) -> None:
        """Wait until something listens on a port of the task."""

        def serves() -> bool:
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex((self.address, port)) == 0

        eventually(serves, what=f"port {port} of the task", otherwise=self.log)

    def track(self, parcel: str) -> str:
        """Ask the shop for a parcel; through its hole, that is running a command."""
        response = httpx.get(f"http://{self.address}:{SHOP_PORT}/track", params={"parcel": parcel}, timeout=20)
        return html.unescape(response.text.split("<pre>", 1)[1].split("</pre>", 1)[0])

    def converse(self, port: int, text: str) -> str:
        """Send text to a port, return all that comes back."""
        with socket.create_connection((self.address, port), timeout=10) as connection:
            connection.sendall(text.encode())
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def wait_for_policy(self, console: Console) -> None:
        """Wait until every Defender says that the Console's present policy is in force."""

        def in_force() -> bool:
            workloads = [one for defender in console.defenders(connected=True) for one in defender["workloads"]]
            return bool(workloads) and all(one["policyHash"] == one["desiredPolicyHash"] for one in workloads)

        eventually(
            in_force, what="the new policy in force", otherwise=lambda: json.dumps(console.defenders(), indent=1)
        )

    def process_id(self, container: str) -> int:
        """Process id, on this machine, of a container's first process."""
        line = self.wait_for_log(f"{container} started")
        found = re.search(r"pid (\d+)", line)
        assert found is not None, line
        return int(found[1])

    def kill_container(self, container: str) -> None:
        """Kill a container's first process from outside."""
        os.kill(self.process_id(container), signal.SIGKILL)

    def wait(self) -> int:
        """Wait for the task's end; return its exit code."""
        code = self._process.wait(60)
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def stop(self) -> int:
        """Stop the task as the platform would; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End everything."""
        if self._process.poll() is None:
            self.stop()
        else:
            self.wait()
        self._names.kill()
        self._names.wait()
        self._name_reader.join(5)
        if self._names.stdout is not None:
            self._names.stdout.close()
