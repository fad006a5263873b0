"""Mixed load in rounds: `load.py SECONDS`. For every line on standard input one round, then JSON: what was done.

Everything that a policy denies is counted by the reason under which the Defender must report it. At the end of a round
nothing is left: no thread, no child, no socket.
"""

from __future__ import annotations

import collections
import errno
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

WORKERS = 4
DENIED_PROGRAM, DENIED_PORT, DENIED_NAME = "soak-denied", 6666, "some.evil.test"
RESOLVER = ("127.0.0.1", 53)
noted = 0


def note(*_: object) -> None:
    """Count a signal."""
    global noted
    noted += 1


class Load:
    """What is done, and how often it was."""

    def __init__(self, folder: Path) -> None:
        """Open what the operations talk to."""
        self.folder = folder
        self.denied = folder / DENIED_PROGRAM
        self.denied.symlink_to("/bin/true")
        self.server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.done: collections.Counter[str] = collections.Counter()
        self.reports: collections.Counter[str] = collections.Counter()
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        """Take every connection and close it."""
        while True:
            self.server.accept()[0].close()

    def start(self) -> None:
        """An allowed program."""
        assert subprocess.run(["true"]).returncode == 0

    def start_denied(self) -> str:
        """A denied one."""
        try:
            subprocess.run([str(self.denied)])
        except PermissionError:
            return "deniedProcess"
        raise AssertionError("a denied program ran")

    def pipeline(self) -> None:
        """A shell with children of its own."""
        assert subprocess.check_output("seq 9 | tail -n 1", shell=True) == b"9\n"

    def kill(self) -> None:
        """A child that is stopped, continued and ended by signals."""
        child = subprocess.Popen(["sleep", "60"])
        for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM):
            child.send_signal(number)
        assert child.wait() == -signal.SIGTERM

    def fork(self) -> None:
        """A child without any program."""
        child = os.fork()
        if child == 0:
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3

    def connect(self) -> None:
        """A connection."""
        socket.create_connection(self.server.getsockname()).close()

    def connect_denied(self) -> str:
        """One to a denied port."""
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", DENIED_PORT)) == errno.ECONNREFUSED
        return "deniedPort"

    def send(self) -> None:
        """Datagrams, with an address and connected."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"one", self.datagrams.getsockname())
            client.sendmsg([b"two"], [], 0, self.datagrams.getsockname())
            client.connect(self.datagrams.getsockname())
            client.send(b"three")

    def send_denied(self) -> str:
        """One to a denied port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            try:
                client.sendto(b"no", ("127.0.0.1", DENIED_PORT))
            except OSError:
                return "deniedPort"
        raise AssertionError("a denied datagram was sent")

    def look(self, name: str = "good.test", code: int = 0) -> None:
        """One question."""
        identity = random.randrange(1 << 16)
        question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(20)
            client.connect(RESOLVER)
            client.send(struct.pack("!6H", identity, 0x100, 1, 0, 0, 0) + question + struct.pack("!2H", 1, 1))
            answer = client.recv(512)
        assert struct.unpack("!2H", answer[:4])[0] == identity
        assert answer[3] & 15 == code, f"{name}: {answer!r}"

    def look_denied(self) -> str:
        """One for a denied name."""
        self.look(DENIED_NAME, 3)
        return "deniedName"

    def look_many(self) -> None:
        """Twenty questions, half of them for names that are not there."""
        for number in range(10):
            self.look()
            self.look(f"missing{number}-{random.randrange(1 << 30)}.test", 3)

    def thread(self) -> None:
        """A thread that connects and ends."""
        thread = threading.Thread(target=self.connect)
        thread.start()
        thread.join()

    def write_denied(self) -> str:
        """A file at a denied path."""
        try:
            Path("/opt/denied").write_text("no")
        except PermissionError:
            return "deniedFile"
        raise AssertionError("a denied file was written")

    def write(self) -> None:
        """A file, written, renamed and removed."""
        name = self.folder / f"file{threading.get_ident()}"
        name.write_text("kept")
        name.replace(f"{name}.new")
        Path(f"{name}.new").unlink()

    def interrupt(self) -> None:
        """A signal to ourselves."""
        os.kill(os.getpid(), signal.SIGUSR1)

    def round(self, seconds: float) -> None:
        """Do all of it on all workers until the time is over."""
        end = time.monotonic() + seconds
        failures: list[BaseException] = []
        threads = [threading.Thread(target=self.work, args=(end, failures)) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        # Longer than the Defender keeps handles of ended threads when there are new ones.
        time.sleep(1.5)
        last = threading.Thread(target=self.talk)
        last.start()
        last.join()

    def talk(self) -> None:
        """Connect, send and listen."""
        self.connect()
        self.send()
        socket.create_server(("127.0.0.1", 0)).close()

    def work(self, end: float, failures: list[BaseException]) -> None:
        """One worker."""
        usual: list[Callable[[], str | None]] = [
            *(self.start, self.pipeline, self.kill, self.fork, self.connect, self.send, self.look, self.write),
            *(self.interrupt, self.look_many, self.thread),
        ]
        denied: list[Callable[[], str | None]] = [
            self.start_denied,
            self.connect_denied,
            self.send_denied,
            self.look_denied,
            self.write_denied,
        ]
        try:
            while time.monotonic() < end and not failures:
                operation = random.choice(usual * 2 + denied)
                reason = operation()
                with self.lock:
                    self.done[operation.__name__] += 1
                    if reason:
                        self.reports[reason] += 1
        except BaseException as failure:
            failures.append(failure)


def main(seconds: float) -> int:
    """One round per line; return 0."""
    signal.signal(signal.SIGUSR1, note)
    # A call interrupted before the supervisor has taken it fails with EINTR: docs/reference/compatibility.md.
    signal.siginterrupt(signal.SIGUSR1, False)
    load = Load(Path.cwd())
    for _ in sys.stdin:
        load.round(seconds)
        print(json.dumps({"done": load.done, "reports": load.reports, "signals": noted}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
