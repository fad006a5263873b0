"""Rules of the firewall that are imported at the Console, and a Defender that judges by them without a new start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bartizan.policy.rulesets import archive_of
from console import BARTIZAN, PASSWORD, USER, Console, Json, running_console
from waiting import eventually

ATTACK = "/?id=1%27%20or%20%271%27=%271"


@dataclass
class Guarded:
    """A web server with a Defender before its port."""

    console: Console
    port: int
    app_id: str = "shop:1"
    failed: list[str] = field(default_factory=list)
    answered: int = 0

    def status(self, path: str) -> int:
        """Ask for a path on a connection of its own, and return the answer's status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    @property
    def firewall(self) -> Json:
        """What the Console knows of the Defender's firewall."""
        found = [item["waas"] for item in self.console.defenders() if item["hostname"] == self.app_id]
        return dict(found[0]) if found and found[0] else {}

    @property
    def rules(self) -> Json:
        """What the Console knows of the rules that the Defender judges by."""
        return dict(self.firewall.get("ruleset") or {})

    def is_armed(self) -> bool:
        """Say whether the policy has arrived."""
        firewall = self.firewall
        return bool(firewall) and firewall["policyHash"] == firewall["desiredPolicyHash"]

    @contextmanager
    def under_load(self, clients: int = 3) -> Iterator[None]:
        """Send ordinary requests all the time until the block ends, and note each that fails."""
        over = threading.Event()

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            while not over.is_set():
                try:
                    connection.request("GET", "/?q=hello")
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 200:
                        self.failed.append(f"answered with {answer.status}")
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(repr(error))
                    connection.close()
                self.answered += 1
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """Run a Console, and a web server in a Defender whose firewall prevents SQL injection."""
    site = tmp_path / "site"
    site.mkdir()
    exposed, internal = free_port(), free_port()
    with running_console(tmp_path / "console") as console:
        endpoint = {"exposedPort": exposed, "internalPort": internal}
        application = {"appID": "web", "apiSpec": {"endpoints": [endpoint]}, "sqli": {"effect": "prevent"}}
        policy = {"rules": [{"name": "shop", "applicationsSpec": [application]}]}
        console.request("PUT", "policies/firewall/app/app-embedded", json=policy)
        bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
        environment = {
            "PATH": os.environ["PATH"],
            "DEFENDER_TYPE": "appEmbedded",
            "DEFENDER_APP_ID": "shop:1",
            "INSTALL_BUNDLE": bundle["bundle"],
            "WS_ADDRESS": f"wss://localhost:{console.channel_port}",
            "DATA_FOLDER": str(tmp_path),
            "DEFENDER_WAAS_PORTS": f"{exposed}:{internal}",
        }
        server = [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1", str(internal)]
        with (tmp_path / "log").open("wb") as log:
            command = [os.environ["BARTIZAN_DEFENDER"], "app-embedded", *server]
            process = subprocess.Popen(command, env=environment, cwd=site, stdout=log, stderr=log)
        try:
            started = Guarded(console, exposed)
            eventually(started.is_armed, what="the firewall", otherwise=(tmp_path / "log").read_text)
            eventually(lambda: started.status("/") == 200, what="the web server")
            yield started
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def release(word: str, *, version: str, operator: str = "@contains") -> bytes:
    """Return a release whose one rule refuses a word in an argument."""
    rule = f'SecRule ARGS "{operator} {word}" "id:942500,phase:2,deny,status:403,severity:CRITICAL"\n'
    files = {
        "crs-setup.conf.example": "",
        "rules/REQUEST-901-INITIALIZATION.conf": f'SecComponentSignature "OWASP_CRS/{version}"\n',
        "rules/REQUEST-942-APPLICATION-ATTACK-SQLI.conf": rule,
    }
    return archive_of({name: text.encode() for name, text in files.items()})


def bartizan(console: Console, *arguments: str) -> str:
    """Run a command against the Console, and return what it says."""
    environment = {**os.environ, "BARTIZAN_ADDRESS": console.url, "BARTIZAN_CA_FILE": str(console.ca_file)}
    environment |= {"BARTIZAN_USER": USER, "BARTIZAN_PASSWORD": PASSWORD}
    done = subprocess.run([*BARTIZAN, "waf", *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_imported_rules_judge_without_a_new_start(guarded: Guarded, tmp_path: Path) -> None:
    """A rule of an imported set refuses a request, and no request fails while sets change under load."""
    assert guarded.status("/?q=pear") == 200
    pears, plums = tmp_path / "pears.zip", tmp_path / "plums.zip"
    pears.write_bytes(release("pear", version="4.98.0"))
    plums.write_bytes(release("plum", version="4.99.0"))
    with guarded.under_load():
        said = bartizan(guarded.console, "rules", "import", str(pears))
        eventually(lambda: guarded.status("/?q=pear") == 403, what="the imported rule")
        assert guarded.status("/?q=plum") == 200
        eventually(lambda: guarded.rules.get("version") == "4.98.0", what="the report of the rules in use")
        assert guarded.rules["hash"] in said
        bartizan(guarded.console, "rules", "import", str(plums))
        eventually(lambda: guarded.status("/?q=plum") == 403, what="the second set")
        assert guarded.status("/?q=pear") == 200
        bartizan(guarded.console, "rules", "use", "built-in")
        eventually(lambda: guarded.status("/?q=plum") == 200, what="the built-in rules")
    assert (guarded.failed, guarded.answered > 50) == ([], True)
    eventually(lambda: guarded.rules["hash"] is None, what="the report of the built-in rules")


def test_rules_that_do_not_compile_change_nothing(guarded: Guarded, tmp_path: Path) -> None:
    """The set before stays, the Console shows what is wrong, and a set that is sound helps."""
    bad, good = tmp_path / "bad.zip", tmp_path / "good.zip"
    bad.write_bytes(release("pear(", version="4.97.0", operator="@rx"))
    good.write_bytes(release("pear", version="4.98.0"))
    before = guarded.status(ATTACK)
    bartizan(guarded.console, "rules", "import", str(bad))
    error = eventually(
        lambda: guarded.rules.get("error"), what="the error", otherwise=lambda: json.dumps(guarded.rules)
    )
    assert "REQUEST-942-APPLICATION-ATTACK-SQLI.conf:1" in error
    assert (guarded.rules["hash"], guarded.status(ATTACK)) == (None, before)
    bartizan(guarded.console, "rules", "import", str(good))
    eventually(lambda: guarded.status("/?q=pear") == 403, what="the sound set")
    eventually(lambda: guarded.rules["error"] is None, what="the report without an error")


def test_rules_survive_a_console_that_starts_anew(guarded: Guarded, tmp_path: Path) -> None:
    """The Defender goes on with what it has, without another delivery, and gets what came meanwhile."""
    pears = tmp_path / "pears.zip"
    pears.write_bytes(release("pear", version="4.98.0"))
    bartizan(guarded.console, "rules", "import", str(pears))
    eventually(lambda: guarded.status("/?q=pear") == 403, what="the imported rule")
    guarded.console.end()
    assert guarded.status("/?q=pear") == 403
    guarded.console.start()
    eventually(lambda: guarded.rules.get("version") == "4.98.0", what="the Defender's return")
    assert guarded.status("/?q=pear") == 403
