"""The servers that the tests talk to: Debian's docker-registry, and small ones in this process, all on loopback."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import re
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from bartizan.outgoing.network import Network, dial
from bartizan.registry import Access, Credential, File, ImageConfig, Patience, write_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import httpcore

LOGIN = ("tester", "tr0ub4dor")
CREDENTIAL = Credential(kind="basic", user=LOGIN[0], secret=LOGIN[1])
ACCOUNT = "123456789012"
ECR_HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
HUB_HOST = "registry-1.docker.io"
HUB_TOKENS = "auth.docker.io"
PUBLIC_ADDRESS = "52.94.1.7"
# The bcrypt forms of LOGIN's password and of the one that moto's ECR gives; docker-registry takes no other.
HTPASSWD = (
    "tester:$2b$04$9eaX0KcyZLXie/B25NXfA.KRvRmZRmbdwEqm/mBV7gNlQKm9yEEkq\n"
    "AWS:$2b$04$9eaX0KcyZLXie/B25NXfA.aVr2z1x6EeCSczXhvoIY4eALqNPsjRm\n"
)
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ENTRYPOINT = ("/bin/tool", "--serve", "two words")


def certificate(directory: Path) -> Path:
    """Make a self-signed certificate for loopback and the names that tests give it, its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = ("localhost", ECR_HOST, HUB_HOST, HUB_TOKENS, "registry.example", "elsewhere.example")
    alternative = [x509.DNSName(item) for item in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *alternative]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    out = directory / "tls.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    out.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return out


@dataclass(frozen=True)
class Registry:
    """A running docker-registry: `host` with port, the certificate to trust, what to push with."""

    host: str
    ca: Path
    push_headers: Callable[[str], Mapping[str, str]]
    scheme: str = "https"

    def access(self, credential: Credential | None = CREDENTIAL) -> Access:
        """Give access with a credential for this host only."""
        return Access(ca_bundle=self.ca, credentials=lambda host: credential if host == self.host else None)

    def put_manifest(self, repository: str, tag: str, content: bytes, media_type: str) -> str:
        """Put a manifest under a tag or digest and return its digest."""
        with self._client(repository) as client:
            place = f"/v2/{repository}/manifests/{tag}"
            client.put(place, content=content, headers={"content-type": media_type}).raise_for_status()
        return digest_of(content)

    def put_blob(self, repository: str, content: bytes) -> str:
        """Put a blob and return its digest."""
        with self._client(repository) as client:
            place = client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status().headers["location"]
            url = httpx.URL(place).copy_merge_params({"digest": digest_of(content)})
            client.put(url, content=content).raise_for_status()
        return digest_of(content)

    def push(self, repository: str, tag: str, image: Path) -> dict[str, object]:
        """Push the image of a layout and return its descriptor."""
        listed = json.loads((image / "index.json").read_text())["manifests"][0]
        manifest = blob(image, listed["digest"])
        document = json.loads(manifest)
        for item in (document["config"], *document["layers"]):
            self.put_blob(repository, blob(image, item["digest"]))
        self.put_manifest(repository, tag or listed["digest"], manifest, document["mediaType"])
        return {key: listed[key] for key in ("mediaType", "digest", "size", "platform")}

    def _client(self, repository: str) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=str(self.ca))
        headers = self.push_headers(repository)
        return httpx.Client(base_url=f"{self.scheme}://{self.host}", headers=dict(headers), verify=trusted)


def blob(image: Path, digest: str) -> bytes:
    """Read a blob of a layout."""
    return (image / "blobs" / digest.replace(":", "/")).read_bytes()


def digest_of(content: bytes) -> str:
    """Return the digest of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of basic authentication."""
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def make_image(home: Path, architecture: str, entrypoint: tuple[str, ...] = ENTRYPOINT) -> Path:
    """Write a small image into a layout and return where it is."""
    out = home / f"image-{architecture}"
    config = ImageConfig(  # noqa: S604 - the shell is a field of an image
        entrypoint=entrypoint,
        cmd=("--for", architecture),
        env=("PATH=/bin",),
        user="1000:1000",
        working_dir="/srv",
        stop_signal="SIGQUIT",
        shell=("/bin/ash", "-c"),
    )
    files = [File("/bin/tool", 0o755, architecture.encode())]
    write_image(out, files=files, config=config, reference="tool:1", architecture=architecture)
    return out


def push_family(registry: Registry, repository: str, home: Path) -> dict[str, str]:
    """Push an image for amd64 and arm64 under an OCI index, with an attestation, and under nested and Docker lists.

    Returns digests by name: `index`, `list`, `nested`, `amd64`, `arm64`.
    """
    lines = {name: registry.push(repository, "", make_image(home, name)) for name in ("amd64", "arm64")}
    lines["arm64"]["platform"] = {"architecture": "arm64", "os": "linux", "variant": "v8"}
    doubt = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "annotations": {}} | _parts(registry, repository)
    )
    attestation = {
        "mediaType": OCI_MANIFEST,
        "digest": registry.put_manifest(repository, digest_of(doubt.encode()), doubt.encode(), OCI_MANIFEST),
        "size": len(doubt),
        "platform": {"architecture": "unknown", "os": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    index = as_index(OCI_INDEX, [attestation, lines["amd64"], lines["arm64"]])
    digests = {name: str(line["digest"]) for name, line in lines.items()}
    digests["index"] = registry.put_manifest(repository, "1", index, OCI_INDEX)
    digests["list"] = registry.put_manifest(
        repository, "docker", as_index(DOCKER_LIST, list(lines.values())), DOCKER_LIST
    )
    inner = {"mediaType": OCI_INDEX, "digest": digests["index"], "size": len(index)}
    digests["nested"] = registry.put_manifest(repository, "nested", as_index(OCI_INDEX, [inner]), OCI_INDEX)
    return digests


def _parts(registry: Registry, repository: str) -> dict[str, object]:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2}
    return {"config": config | {"digest": registry.put_blob(repository, b"{}")}, "layers": []}


def as_index(media_type: str, lines: list[dict[str, object]]) -> bytes:
    """Encode an index."""
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": lines}).encode()


@contextmanager
def docker_registry(
    home: Path,
    pem: Path | None,
    *,
    auth: Mapping[str, object],
    push_headers: Callable[[str], Mapping[str, str]],
    data: Path | None = None,
) -> Iterator[Registry]:
    """Run Debian's docker-registry on a free port until the context ends; `data` is where its images are."""
    config = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": str(data or home / "data")}},
        "http": {"addr": "127.0.0.1:0"} | ({"tls": {"certificate": str(pem), "key": str(pem)}} if pem else {}),
        "auth": auth,
    }
    path = home / "config.yml"
    path.write_text(json.dumps({key: value for key, value in config.items() if value}))
    with subprocess.Popen(
        ["docker-registry", "serve", str(path)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"listening on (127\.0\.0\.1:\d+)", line) for line in process.stderr)))
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        try:
            yield Registry(found.group(1), pem or home, push_headers, "https" if pem else "http")
        finally:
            process.terminate()
            process.wait()
            drain.join()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the interface is werkzeug's
        """Keep quiet."""


class Server:
    """A small HTTP server in this process; `answer` makes each response, `seen` keeps the requests."""

    def __init__(self, answer: Callable[[Request], Response], pem: Path | None = None) -> None:
        self.seen: list[Request] = []

        @Request.application
        def application(request: Request) -> Response:
            request.get_data()
            self.seen.append(request)
            return answer(request)

        context = None
        if pem is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
        self._server = make_server(
            "127.0.0.1", 0, application, threaded=True, request_handler=_Quiet, ssl_context=context
        )
        self.port = self._server.server_port
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def authorizations(self, path: str) -> list[str | None]:
        """Return the `Authorization` of each request to a path."""
        return [request.headers.get("authorization") for request in self.seen if request.path == path]


class TokenService:
    """The token service of docker-registry: checks a password or refresh token, signs tokens for what was asked."""

    issuer, service = "test-issuer", "test-registry"

    def __init__(self, pem: Path) -> None:
        content = pem.read_bytes()
        self._key = serialization.load_pem_private_key(content, None)
        der = x509.load_pem_x509_certificate(content).public_bytes(serialization.Encoding.DER)
        self._chain = [base64.b64encode(der).decode()]
        self.server = Server(self._answer, pem)

    def token(self, scope: str, actions: tuple[str, ...]) -> str:
        """Sign a token (RFC 7519, ES256) that allows `actions` on the repository of `scope`."""
        kind, _, rest = scope.partition(":")
        name = rest.rpartition(":")[0]
        head = {"typ": "JWT", "alg": "ES256", "x5c": self._chain}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "tester",
            "aud": self.service,
            "exp": now + 300,
            "nbf": now - 60,
            "iat": now - 60,
            "jti": scope,
            "access": [{"type": kind, "name": name, "actions": list(actions)}],
        }
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def _answer(self, request: Request) -> Response:
        scope, service = request.values.get("scope", ""), request.values.get("service", "")
        login = request.authorization
        known = request.form.get("refresh_token") == "refr3sh" if request.method == "POST" else login is None
        known = known or (login is not None and (login.username, login.password) == LOGIN)
        if not known or service != self.service:
            return Response(status=401)
        named = request.method == "POST" or login is not None
        may = ("pull",) if named or scope.startswith("repository:public/") else ()
        return Response(json.dumps({"access_token": self.token(scope, may)}), content_type="application/json")


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Wire:
    """A network in which names have the addresses that a test gives them, and loopback ports stand behind those.

    `places` maps a host to (address, loopback port); other hosts are resolved and dialled as they are.
    """

    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)

    def network(self) -> Network:
        """Return it as what `Access` takes."""
        return Network(resolve=self._resolve, dial=self._dial)

    def _resolve(self, host: str, _port: int) -> list[str]:
        if host not in self.places:
            raise OSError(f"{host} is unknown")
        return [self.places[host][0]]

    def _dial(self, address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        self.dialled.append(address)
        ports = [local for known, local in self.places.values() if known == address]
        return dial("127.0.0.1", ports[0] if ports else port, timeout)


PATIENCE = Patience(connect=15.0, read=15.0, total=45.0)
