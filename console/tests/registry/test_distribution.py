"""Images from a real registry, with TLS and a password, on loopback."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.server
import ipaddress
import json
import re
import ssl
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bartizan.registry import (
    Access,
    Credential,
    File,
    ImageConfig,
    ImageError,
    open_image,
    unpack_layer,
    write_image,
)
from bartizan.registry.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGIN = ("tester", "tr0ub4dor")
CREDENTIAL = Credential(kind="basic", user=LOGIN[0], secret=LOGIN[1])
# The bcrypt form of LOGIN's password; docker-registry takes no other.
HTPASSWD = "tester:$2b$04$9eaX0KcyZLXie/B25NXfA.KRvRmZRmbdwEqm/mBV7gNlQKm9yEEkq\n"


@dataclass(frozen=True)
class Registry:
    """A running registry: `host` with port, and the certificate to trust."""

    host: str
    ca: Path

    def access(self, login: tuple[str, str] | None = LOGIN) -> Access:
        """Access with a login for this host only."""
        given = None if login is None else Credential(kind="basic", user=login[0], secret=login[1])
        return Access(ca_bundle=self.ca, credentials=lambda host: given if host == self.host else None)


def certificate(directory: Path) -> Path:
    """Make a self-signed certificate for loopback, its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    out = directory / "tls.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    out.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return out


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Debian's docker-registry with TLS and one account, and an image `team/tool:1` in it."""
    home = tmp_path_factory.mktemp("registry")
    pem = certificate(home)
    (home / "htpasswd").write_text(HTPASSWD)
    config = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": str(home / "data")}},
        "http": {"addr": "127.0.0.1:0", "tls": {"certificate": str(pem), "key": str(pem)}},
        "auth": {"htpasswd": {"realm": "test", "path": str(home / "htpasswd")}},
    }
    (home / "config.yml").write_text(json.dumps(config))
    with subprocess.Popen(
        ["docker-registry", "serve", str(home / "config.yml")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"listening on (127\.0\.0\.1:\d+)", line) for line in process.stderr)))
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        running = Registry(found.group(1), pem)
        push(running, home)
        yield running
        process.terminate()
        process.wait()
        drain.join()


def push(registry: Registry, home: Path) -> None:
    """Put the image into the registry, the way of the distribution API."""
    write_image(
        home / "image",
        files=[File("/tool", 0o755, b"content")],
        config=ImageConfig(cmd=("/tool",)),
        reference="team/tool:1",
        architecture="amd64",
    )
    index = json.loads((home / "image/index.json").read_text())
    manifest = (home / "image/blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_bytes()
    listed = json.loads(manifest)
    trusted = ssl.create_default_context(cafile=str(registry.ca))
    with httpx.Client(base_url=f"https://{registry.host}", auth=LOGIN, verify=trusted) as client:
        for item in (listed["config"], *listed["layers"]):
            place = client.post("/v2/team/tool/blobs/uploads/").headers["location"]
            content = (home / "image/blobs" / item["digest"].replace(":", "/")).read_bytes()
            url = httpx.URL(place).copy_merge_params({"digest": item["digest"]})
            client.put(url, content=content).raise_for_status()
        kind = {"content-type": listed["mediaType"]}
        client.put("/v2/team/tool/manifests/1", content=manifest, headers=kind).raise_for_status()


def test_an_image_is_read_with_a_password(registry: Registry, tmp_path: Path) -> None:
    """Manifest, configuration and layer come from the registry with basic authentication over TLS."""
    image = open_image(f"{registry.host}/team/tool:1", access=registry.access())
    root = unpack_layer(image.layers[0], tmp_path)

    assert image.config.cmd == ("/tool",)
    assert (root / "tool").read_bytes() == b"content"
    again = open_image(f"{registry.host}/team/tool@{image.digest}", access=registry.access())
    assert again.digest == image.digest


def test_without_or_with_false_credentials_the_error_says_so(registry: Registry) -> None:
    """A missing and a false password give two errors, and neither holds the password."""
    with pytest.raises(ImageError, match="wants a password"):
        open_image(f"{registry.host}/team/tool:1", access=registry.access(None))
    with pytest.raises(ImageError, match="credentials are refused") as caught:
        open_image(f"{registry.host}/team/tool:1", access=registry.access(("tester", "fa1se")))
    assert "fa1se" not in str(caught.value)


def test_a_missing_image_is_named(registry: Registry) -> None:
    """A tag that is not there is one clear error."""
    with pytest.raises(ImageError, match="no such image"):
        open_image(f"{registry.host}/team/tool:2", access=registry.access())


def test_an_unknown_certificate_is_refused(registry: Registry) -> None:
    """Without the CA the registry is not trusted, and no password is sent."""
    with pytest.raises(ImageError, match="cannot be reached"):
        open_image(f"{registry.host}/team/tool:1", access=Access(credentials=lambda _host: CREDENTIAL))


class Liar:
    """A hostile registry: it answers from a table and keeps the headers that it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {"/v2/": (200, {}, b"")}
        self.seen: list[tuple[str, str | None]] = []
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                liar.seen.append((path, self.headers.get("authorization")))
                code, headers, body = liar.answers.get(path, (404, {}, b""))
                if code == httpx.codes.UNAUTHORIZED and self.headers.get("authorization"):
                    code, headers, body = liar.answers[path + " in"]
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    """A registry that redirects elsewhere, even to another port, does not make us send its password there."""
    with Liar() as registry, Liar() as thief:
        path = "/v2/a/manifests/latest"
        registry.answers[path] = (401, {"www-authenticate": 'Basic realm="x"'}, b"")
        registry.answers[path + " in"] = (307, {"location": f"http://{thief.host}{path}"}, b"")

        with pytest.raises(ImageError):
            open_image(f"{registry.host}/a", access=Access(credentials=lambda _host: CREDENTIAL))

        assert [auth is not None for _, auth in registry.seen if auth] == [True]
        assert thief.seen == [(path, None)]


def test_a_bearer_token_is_fetched_and_used() -> None:
    """The token service that the challenge names is asked with the password, and its token opens the registry."""
    config = b"{}"
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    manifest = json.dumps({"config": {"digest": digest}, "layers": []}).encode()
    with Liar() as registry:
        challenge = {"www-authenticate": f'Bearer realm="http://{registry.host}/token",service="s"'}
        for path, body in (("/v2/a/manifests/latest", manifest), (f"/v2/a/blobs/{digest}", config)):
            registry.answers[path] = (401, challenge, b"")
            registry.answers[path + " in"] = (200, {}, body)
        registry.answers["/token"] = (200, {}, b'{"token":"abc"}')

        image = open_image(f"{registry.host}/a", access=Access(credentials=lambda _host: CREDENTIAL))

        assert image.layers == ()
        sent = dict(registry.seen)
        assert (sent["/token"] or "").startswith("Basic ")
        assert sent[f"/v2/a/blobs/{digest}"] == "Bearer abc"


def test_false_bytes_are_refused() -> None:
    """A blob that is not what its digest says is refused, whatever the registry claims."""
    digest = "sha256:" + "0" * 64
    with Liar() as registry:
        manifest = json.dumps({"config": {"digest": digest}, "layers": []}).encode()
        registry.answers["/v2/a/manifests/latest"] = (200, {}, manifest)
        registry.answers[f"/v2/a/blobs/{digest}"] = (200, {}, b"{}")

        with pytest.raises(ImageError, match="other bytes"):
            open_image(f"{registry.host}/a")


def test_an_endless_manifest_is_cut_off() -> None:
    """A manifest over the cap is refused before it fills the memory."""
    with Liar() as registry:
        registry.answers["/v2/a/manifests/latest"] = (200, {}, bytes((8 << 20) + 1))

        with pytest.raises(ImageError, match="more than"):
            open_image(f"{registry.host}/a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx", ("registry-1.docker.io", "library/nginx", "latest")),
        ("a/b:1", ("registry-1.docker.io", "a/b", "1")),
        ("docker.io/nginx", ("registry-1.docker.io", "library/nginx", "latest")),
        ("localhost:5000/c", ("localhost:5000", "c", "latest")),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/x/y:z", ("1.dkr.ecr.eu-west-1.amazonaws.com", "x/y", "z")),
    ],
)
def test_references_are_read_as_docker_reads_them(text: str, expected: tuple[str, str, str]) -> None:
    """Host, repository and tag follow Docker's defaults."""
    reference = parse_reference(text)

    assert (reference.host, reference.repository, reference.tag) == expected


@given(st.text(max_size=60))
def test_a_reference_never_reaches_outside_its_path(text: str) -> None:
    """Whatever the text, a reference is refused or has a repository without `..`, query, or credentials."""
    try:
        reference = parse_reference(text)
    except ImageError:
        return
    assert ".." not in reference.repository.split("/")
    assert not set("?#@\\ %") & set(reference.host + reference.repository)
