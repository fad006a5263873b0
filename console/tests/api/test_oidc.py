"""Signing in by a real identity provider, and what a forged answer of one gets."""

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.channel.running import ConsoleUnderTest, running_console
from tests.registry.servers import certificate

SECRET = "client & secret: 100 %"
CALLBACK = "/api/v1/session/oidc/callback"


@dataclass
class Provider:
    """An identity provider: discovery, authorization, token and keys; `changes` spoil its next token."""

    port: int = 0
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    forged: str = ""
    groups: list[str] = field(default_factory=lambda: ["staff", "shop-operators"])

    @property
    def issuer(self) -> str:
        """Its name."""
        return f"https://localhost:{self.port}"

    def description(self) -> dict[str, Any]:
        """Return what it says of itself (Discovery, section 3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Let Ann in, and return where her browser goes back to."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"], "iss": self.issuer})

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Give the token of a code once, to who has secret and verifier (RFC 6749, section 4.1.3; RFC 7636)."""
        asked = self.codes.pop(form["code"], None)
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        )
        if asked is None or pair != "bartizan:client%20%26%20secret%3A%20100%20%25":
            return None
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": "bartizan", "sub": "1", "exp": now + 60, "iat": now, "nonce": asked["nonce"],
            "preferred_username": "ann", "groups": self.groups, **self.changes,
        }  # fmt: skip
        return {"id_token": self.signed(claims), "access_token": "x", "token_type": "Bearer"}

    def signed(self, claims: dict[str, Any]) -> str:
        """Sign, or forge in the way of an attacker."""
        if self.forged == "another key":
            return jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048, {"kid": "one"}))
        if self.forged == "none":
            parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
            return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
        if self.forged == "public key as secret":
            parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "one"}, claims)]
            text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
            code = hmac.digest(self.key.as_pem(private=False), text.encode(), "sha256")
            return f"{text}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}"
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)


def handler_of(provider: Provider) -> type[BaseHTTPRequestHandler]:
    """Return the provider's HTTP side."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            if place.path == "/authorize":
                query = {name: value[0] for name, value in parse_qs(place.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorize(query))
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif place.path == "/keys":
                self.answer({"keys": [provider.key.as_dict(private=False)]})
            else:
                self.answer(provider.description())

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: value[0] for name, value in parse_qs(text).items()}
            given = provider.token(form, self.headers.get("authorization", ""))
            self.answer(given or {"error": "invalid_grant"}, 200 if given else 400)

        def answer(self, body: dict[str, Any], status: int = 200) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, str]]:
    """Run the provider behind TLS; give it and the certificate to trust."""
    made = Provider()
    pem = certificate(tmp_path_factory.mktemp("provider"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made, pem.read_text()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, provider: tuple[Provider, str]) -> Iterator[ConsoleUnderTest]:
    """Run a Console that knows the provider, with a group for its operators."""
    ca = provider[1][provider[1].index("-----BEGIN CERTIFICATE") :]
    with running_console(tmp_path_factory.mktemp("oidc") / "data", outgoing_allow=("localhost",)) as running:
        running.sign_up()
        settings = {
            "enabled": True, "issuer": provider[0].issuer, "clientID": "bartizan", "clientSecret": SECRET, "caCert": ca,
            "redirectURI": f"https://localhost:{running.running.api_port}{CALLBACK}",
        }  # fmt: skip
        with running.client() as client:
            for name, role in (("first", "Operator"), ("second", "Administrator")):
                group = {"groupName": name, "role": role, "oidcGroup": f"shop-{role.lower()}s"}
                assert client.post("/groups", json=group).status_code == 200
            answer = client.put("/settings/oidc", json=settings)
            assert answer.status_code == 200, answer.text
        yield running


def came_back(console: ConsoleUnderTest, client: httpx.Client) -> str:
    """Go to the provider as a browser does, and return where it sends the browser."""
    start = client.get("/session/oidc/start")
    assert start.status_code == 303, start.text
    cookie = start.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("__host-", "httponly", "secure", "samesite=lax", "path=/"))
    with httpx.Client(verify=False) as outside:  # noqa: S501 - the browser's side of a test
        answer = outside.get(start.headers["location"])
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(console.url)
    return str(answer.headers["location"])


def test_a_user_signs_in_with_the_role_of_the_first_group(
    console: ConsoleUnderTest, provider: tuple[Provider, str]
) -> None:
    """The order of groups here decides; the session is like any other, and an answer is good once."""
    provider[0].groups = ["staff", "shop-administrators", "shop-operators"]
    with console.client(token="") as client:
        assert client.get("/session/oidc").json() == {"enabled": True}
        place = came_back(console, client)
        answer = client.get(place)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        session = client.get("/session").json()
        assert (session["username"], session["role"]) == ("ann", "Operator")
        assert client.get(place).status_code == 401
    with console.client() as admin:
        user = next(item for item in admin.get("/users").json() if item["username"] == "ann")
        assert (user["authType"], user["role"]) == ("oidc", "Operator")
        log = admin.get("/audits/mgmt?type=login").json()["entries"]
        assert any(entry["username"] == "ann" and entry["via"] == "oidc" for entry in log)
        told = admin.get("/settings/oidc")
        assert told.json()["hasSecret"]
        assert SECRET not in told.text
    held = b"".join(path.read_bytes() for path in Path(console.directory).glob("bartizan.db*"))
    assert SECRET.encode() not in held


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"}, {"aud": "another"}, {"aud": ["bartizan", "another"]}, {"azp": "another"},
        {"nonce": "another"}, {"nonce": None}, {"exp": 1}, {"exp": None}, {"iat": 99_999_999_999}, {"exp": "soon"},
        {"forged": "another key"}, {"forged": "none"}, {"forged": "public key as secret"},
    ],
    ids=str,
)  # fmt: skip
def test_a_forged_token_opens_nothing(
    console: ConsoleUnderTest, provider: tuple[Provider, str], changes: dict[str, Any]
) -> None:
    """A token of others, for others, of another time, or not signed by the provider is refused."""
    provider[0].forged = changes.get("forged", "")
    provider[0].changes = {name: value for name, value in changes.items() if name != "forged"}
    try:
        with console.client(token="") as client:
            answer = client.get(came_back(console, client))
            assert answer.status_code == 401, answer.text
            assert client.get("/session").status_code == 401
    finally:
        provider[0].forged, provider[0].changes = "", {}


def test_an_answer_belongs_to_the_browser_that_asked(console: ConsoleUnderTest) -> None:
    """An attacker cannot sign a victim in as themselves: the cookie and the state belong together."""
    with console.client(token="") as attacker, console.client(token="") as victim:
        place = came_back(console, attacker)
        came_back(console, victim)
        assert victim.get(place).status_code == 401
        assert victim.get(f"/session/oidc/callback?{urlencode({'code': 'x', 'state': 'guess'})}").status_code == 401
        mixed = came_back(console, victim).replace("iss=", "iss=https%3A%2F%2Fevil.example&was=")
        assert victim.get(mixed).status_code == 401


def test_who_has_no_group_here_stays_outside(console: ConsoleUnderTest, provider: tuple[Provider, str]) -> None:
    """Neither somebody without a group, nor the name of a user with a password."""
    present = provider[0].groups
    try:
        provider[0].groups = ["staff"]
        with console.client(token="") as client:
            assert client.get(came_back(console, client)).status_code == 403
        provider[0].groups, provider[0].changes = present, {"preferred_username": "admin"}
        with console.client(token="") as client:
            assert client.get(came_back(console, client)).status_code == 403
    finally:
        provider[0].groups, provider[0].changes = present, {}


def test_settings_that_cannot_work_are_refused(console: ConsoleUnderTest) -> None:
    """The guard keeps the Console from asking places inside; a secret does not go to another provider."""
    with console.client() as client:
        present = client.get("/settings/oidc").json()
        present.pop("hasSecret")
        for changed in (
            {"issuer": "http://localhost"}, {"issuer": "https://169.254.169.254", "clientSecret": SECRET},
            {"redirectURI": "https://console.test/elsewhere"}, {"clientID": "other"}, {"scopes": ["profile"]},
        ):  # fmt: skip
            assert client.put("/settings/oidc", json={**present, **changed}).status_code in {400, 502}, changed
        assert client.put("/settings/oidc", json=present).status_code == 200
