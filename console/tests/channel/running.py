"""A real Console on loopback, in a thread of the test process, and a real Defender's end of the channel."""

import asyncio
import base64
import json
import secrets
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bartizan.app import RunningConsole, open_console
from bartizan.channel.messages import SUBPROTOCOL
from bartizan.services.errors import InvalidError
from bartizan.services.image_lookup import ImageRecord, WantedImage
from bartizan.services.protect_task import Embedder, ProtectedTask, ProtectRequest
from bartizan.settings import read_settings

DEADLINE = 20
USER = "admin"
PASSWORD = "a long enough password"


class MarkingEmbedder:
    """Stands in for the transform: refuses what is no JSON, and notes what the transform was told."""

    def needed_images(self, definition: bytes, request: ProtectRequest) -> Sequence[WantedImage]:
        """Need nothing."""
        assert definition
        assert request.install_bundle
        return ()

    def protect(
        self, definition: bytes, request: ProtectRequest, images: Mapping[WantedImage, ImageRecord]
    ) -> ProtectedTask:
        """Note what was told beside the definition."""
        assert not images
        try:
            document = json.loads(definition)
        except ValueError:
            raise InvalidError("line 1, column 1: not JSON") from None
        document["told"] = {
            "image": request.defender_image,
            "address": request.ws_address,
            "bundle": request.install_bundle,
        }
        document["told"]["monitoring"] = request.choices.filesystem_monitoring
        document["told"]["pullSecret"] = request.choices.image_pull_secret
        return ProtectedTask(text=json.dumps(document).encode())


@dataclass
class ConsoleUnderTest:
    """The addresses of a running Console, and clients for them."""

    directory: Path
    running: RunningConsole
    token: str = ""

    @property
    def url(self) -> str:
        """The API's base."""
        return f"https://localhost:{self.running.api_port}/api/v1"

    @property
    def wss(self) -> str:
        """The channel's base."""
        return f"wss://localhost:{self.running.channel_port}"

    def client(self, *, basic: tuple[str, str] | None = None, token: str | None = None) -> httpx.Client:
        """Return an HTTP client that verifies the Console; by default the administrator's."""
        token = self.token if token is None and basic is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        context = ssl.create_default_context(cafile=str(self.running.ca_file))
        return httpx.Client(base_url=self.url, verify=context, auth=basic, headers=headers, timeout=DEADLINE)

    def sign_up(self) -> None:
        """Set up the administrator and log in."""
        with self.client(token="") as client:
            body = {"username": USER, "password": PASSWORD, "token": self.running.setup_token}
            assert client.post("/signup", json=body).status_code == 200
            self.log_in()

    def log_in(self) -> None:
        """Get a session token for the administrator."""
        with self.client(token="") as client:
            answer = client.post("/authenticate", json={"username": USER, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self.token = answer.json()["token"]

    def bundle(self) -> dict[str, Any]:
        """Return the present install bundle, decoded."""
        with self.client() as client:
            answer = client.get("/defenders/install-bundle", params={"consoleaddr": "localhost"})
            assert answer.status_code == 200, answer.text
            return dict(json.loads(base64.b64decode(answer.json()["bundle"])))

    def put_policy(self, *rules: dict[str, Any]) -> None:
        """Put a policy in force."""
        with self.client() as client:
            answer = client.put("/policies/runtime/app-embedded", json={"rules": list(rules)})
            assert answer.status_code == 200, answer.text

    def audits(self, **query: Any) -> list[dict[str, Any]]:
        """Return a page of audits."""
        with self.client() as client:
            answer = client.get("/audits/runtime/app-embedded", params=query)
            assert answer.status_code == 200, answer.text
            return list(answer.json())


@contextmanager
def running_console(directory: Path, *, embedder: Embedder | None = None, **given: Any) -> Iterator[ConsoleUnderTest]:
    """Run a Console in a thread until the block ends; it is up when the block begins."""
    settings = read_settings({}, data_directory=directory, api_port=0, channel_port=0, **given)
    started: list[RunningConsole] = []
    failed: list[BaseException] = []
    ready = threading.Event()
    stop: list[Any] = []

    async def serve() -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ending.set))
        async with open_console(settings, embedder=embedder or MarkingEmbedder()) as console:
            started.append(console)
            ready.set()
            await ending.wait()

    def run() -> None:
        try:
            uvloop.run(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="console")
    thread.start()
    try:
        assert ready.wait(DEADLINE)
        if failed:
            raise failed[0]
        yield ConsoleUnderTest(directory=directory, running=started[0])
    finally:
        if started:
            stop[0]()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a Defender's key."""
    return ec.generate_private_key(ec.SECP256R1())


def csr_of(key: Any, common_name: str = "anything at all") -> str:
    """Return a CSR for a key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class DefenderEnd:
    """A Defender's end of the channel: enrols, connects, and keeps what comes in."""

    console: ConsoleUnderTest
    bundle: dict[str, Any]
    directory: Path
    instance: str = field(default_factory=lambda: secrets.token_hex(16))
    kind: str = "fargate"
    app_id: str = "shop:1"
    workloads: tuple[dict[str, Any], ...] = ({"container": "web", "image": "shop:1"},)
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    certificate: str = ""
    link: ClientConnection | None = None
    waas: list[dict[str, Any]] = field(default_factory=list)
    rulesets: list[dict[str, Any]] = field(default_factory=list)

    def enrol(self, **changed: Any) -> dict[str, Any]:
        """Ask for a certificate and return the Console's answer."""
        request = {
            "type": "enrol",
            "bundle": self.bundle["id"],
            "secret": self.bundle["secret"],
            "csr": csr_of(self.key),
            "instance": self.instance,
            "kind": self.kind,
            "appId": self.app_id,
            **changed,
        }
        with self.open("/enrol") as link:
            link.send(json.dumps(request))
            answer = dict(json.loads(link.recv(DEADLINE)))
        self.certificate = answer.get("certificate", self.certificate)
        return answer

    def open(self, path: str, *, certificate: bool = False) -> ClientConnection:
        """Open a WebSocket, with the Defender's certificate if wanted."""
        context = ssl.create_default_context(cafile=str(self.console.running.ca_file))
        if certificate:
            file = self.directory / f"{self.instance}.pem"
            pem = self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            file.write_bytes(pem + self.certificate.encode())
            context.load_cert_chain(file)
        return connect(
            self.console.wss + path,
            ssl=context,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            open_timeout=DEADLINE,
            legacy=True,
        )

    def hello(self, **changed: Any) -> dict[str, Any]:
        """Return a hello."""
        return {
            "type": "hello",
            "protocol": 1,
            "instance": self.instance,
            "kind": self.kind,
            "appId": self.app_id,
            "version": "0.1.0",
            "architecture": "amd64",
            "hostname": "task-host",
            "task": "shop",
            "workloads": list(self.workloads),
            **changed,
        }

    def connect(self, **hello: Any) -> dict[str, Any]:
        """Enrol if needed, connect, say hello, and return the policies after the welcome; the WAAS policy is put by."""
        if not self.certificate:
            answer = self.enrol()
            assert answer["type"] == "enrolled", answer
        self.link = self.open("/channel", certificate=True)
        self.send(self.hello(**hello))
        assert self.receive()["type"] == "welcome"
        policies = self.receive()
        while (message := self._next())["type"] == "ruleset":
            self.rulesets.append(message)
        self.waas.append(message)
        return policies

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        assert self.link is not None
        self.link.send(json.dumps(message))

    def receive(self) -> dict[str, Any]:
        """Return the next message; WAAS policies and sets of rules that come before it are put by."""
        while (message := self._next())["type"] in {"waas", "ruleset"}:
            (self.waas if message["type"] == "waas" else self.rulesets).append(message)
        return message

    def receive_ruleset(self) -> list[dict[str, Any]]:
        """Return the pieces of the oldest set of rules that was not returned yet."""
        while not self.rulesets or len(self.rulesets) < self.rulesets[0]["parts"]:
            message = self._next()
            assert message["type"] == "ruleset", message
            self.rulesets.append(message)
        count = max(1, self.rulesets[0]["parts"])
        pieces, self.rulesets = self.rulesets[:count], self.rulesets[count:]
        return pieces

    def receive_waas(self) -> dict[str, Any]:
        """Return the oldest WAAS policy that was not returned yet."""
        if not self.waas:
            message = self._next()
            assert message["type"] == "waas", message
            self.waas.append(message)
        return self.waas.pop(0)

    def _next(self) -> dict[str, Any]:
        assert self.link is not None
        return dict(json.loads(self.link.recv(DEADLINE)))

    def audits(self, *numbers: int, source: str | None = None, container: str | None = "web") -> dict[str, Any]:
        """Return an audits message with these sequence numbers."""
        return {
            "type": "audits",
            "source": source or self.instance,
            "container": container,
            "audits": [process_audit(number) for number in numbers],
        }

    def close(self) -> None:
        """Close the link."""
        if self.link is not None:
            self.link.close()


def process_audit(number: int, *, path: str = "/usr/bin/dash", time: int = 1_763_690_000_000) -> dict[str, Any]:
    """Return a wire audit of a denied shell."""
    return {
        "seq": number,
        "time": time + number,
        "rule": "shop",
        "effect": "prevent",
        "reason": "deniedProcess",
        "matched": "sh",
        "event": {
            "kind": "process",
            "path": path,
            "invoked": "/bin/sh",
            "arguments": ["sh", "-c", f"id {number}"],
            "pid": 12,
            "parentPid": 8,
            "parentPath": "/usr/bin/python3.11",
            "user": 0,
            "main": False,
            "interpreted": False,
            "invokedIsExe": True,
        },
    }
