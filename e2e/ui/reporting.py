"""A Defender's end of the channel for pages that show what was reported: it enrols, and reports what a test says."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from bartizan.channel.messages import SUBPROTOCOL
from console import Console

_SECONDS = 20


class Reporter:
    """A connected Defender of one workload."""

    def __init__(self, console: Console, directory: Path, app_id: str, *, container: str = "web") -> None:
        self.instance = secrets.token_hex(16)
        self._container = container
        self._next = 1
        answer = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
        bundle = json.loads(base64.b64decode(answer["bundle"]))
        url = f"wss://localhost:{console.channel_port}"
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        who = {"instance": self.instance, "kind": "fargate", "appId": app_id}
        context = ssl.create_default_context(cafile=str(console.ca_file))
        options: dict[str, Any] = {"subprotocols": [Subprotocol(SUBPROTOCOL)], "compression": None, "legacy": True}
        with connect(f"{url}/enrol", ssl=context, **options) as link:
            csr = request.public_bytes(serialization.Encoding.PEM).decode()
            link.send(
                json.dumps({"type": "enrol", "bundle": bundle["id"], "secret": bundle["secret"], "csr": csr, **who})
            )
            certificate = json.loads(link.recv(_SECONDS))["certificate"]
        pem = directory / f"{self.instance}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.encode()
        )
        context = ssl.create_default_context(cafile=str(console.ca_file))
        context.load_cert_chain(pem)
        self._link = connect(f"{url}/channel", ssl=context, **options)
        hello = {
            "type": "hello", "protocol": 1, "version": "0.1.0", "architecture": "amd64", "hostname": "ip-10-0-3-17",
            "task": "shop", "workloads": [{"container": container, "image": f"registry.example.com/{container}:1.4"}],
        }  # fmt: skip
        self._link.send(json.dumps({**hello, **who}))

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def report(self, *audits: dict[str, Any]) -> None:
        """Report audits, and wait until they are kept."""
        numbered = [
            {"seq": self._next + index, "rule": "shop", "matched": None, "time": int(time.time() * 1000), **audit}
            for index, audit in enumerate(audits)
        ]
        self._next += len(numbered)
        message = {"type": "audits", "source": self.instance, "container": self._container, "audits": numbered}
        self._link.send(json.dumps(message))
        while True:
            answer = json.loads(self._link.recv(_SECONDS))
            if answer["type"] == "ack":
                return


def program(path: str, *arguments: str, reason: str = "deniedProcess", **audit: Any) -> dict[str, Any]:
    """Return an audit of a program start that was prevented."""
    event = {
        "kind": "process", "path": path, "invoked": path, "arguments": [path.rpartition("/")[2], *arguments],
        "pid": 412, "parentPid": 37, "parentPath": "/usr/bin/python3.11", "user": 33, "main": False,
        "interpreted": False, "invokedIsExe": True,
    }  # fmt: skip
    ancestry = [{"pid": 37, "path": "/usr/bin/python3.11"}, {"pid": 1, "path": "/usr/local/bin/gunicorn"}]
    return {"effect": "prevent", "reason": reason, "event": event, "ancestry": ancestry, **audit}


def look_up(name: str, **audit: Any) -> dict[str, Any]:
    """Return an audit of a look-up that was reported."""
    event = {"kind": "lookup", "name": name, "recordType": "A", "pid": 412, "path": "/usr/bin/curl"}
    return {"effect": "alert", "reason": "nameNotAllowed", "event": event, **audit}


def request(kind: str, query: str, **audit: Any) -> dict[str, Any]:
    """Return an audit of a request with an attack in its query."""
    event = {
        "kind": "request", "application": "storefront", "type": kind, "protection": "firewall",
        "message": f"an attack in the query's value `id`: {query}",
        "field": {"type": "queryValues", "key": "id", "value": query}, "eventId": secrets.token_hex(16),
        "method": "GET",
        "url": f"shop.example.com/item?id={query}", "path": "/item", "query": f"id={query}", "host": "shop.example.com",
        "headers": f"GET /item?id={query} HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: sqlmap/1.8\r\n",
        "headerNames": ["Host", "User-Agent"], "status": 403, "userAgent": "sqlmap/1.8", "address": "203.0.113.9",
        "peers": ["203.0.113.9"], "country": "de", "rules": [942100], "score": 5,
    }  # fmt: skip
    return {"effect": "prevent", "reason": "waas", "event": event, **audit}
