"""What holds for every request: errors, limits, headers."""

import json
import socket
import ssl
from typing import Any

import pytest
from tests.channel.running import DEADLINE, ConsoleUnderTest

from bartizan.api import create_api


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("DELETE", "/_ping", 405),
        ("GET", "/defenders/", 404),
        ("GET", "/audits/runtime/app-embedded?limit=0", 422),
        ("GET", "/audits/runtime/app-embedded?limit=many", 422),
        ("GET", "/audits/runtime/app-embedded?from=yesterday", 422),
        ("GET", "/audits/runtime/app-embedded?nonsense=1", 400),
        ("GET", "/audits/runtime/app-embedded?sort=msg", 400),
        ("GET", "/audits/runtime/app-embedded?id=x", 400),
        ("GET", "/defenders?type=docker", 400),
        ("GET", "/defenders?clusters=x", 400),
        ("GET", "/images/defender_app_embedded.tar.gz?arch=riscv", 422),
        ("DELETE", "/defenders/install-bundles/unknown", 404),
    ],
)
def test_a_refusal_is_an_err(console: ConsoleUnderTest, method: str, path: str, status: int) -> None:
    """Every refusal has its status and `{"err": "…"}`."""
    with console.client() as client:
        answer = client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["err"]
    assert answer.json()["err"]
    assert answer.headers["content-type"] == "application/json"


def test_security_headers_are_everywhere(console: ConsoleUnderTest) -> None:
    """Answers and refusals alike forbid caching, framing and guessing of types."""
    with console.client() as client:
        for path in ("/_ping", "/nothing", "/defenders", "/certs/ca.pem"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "server" not in headers


def test_a_large_body_is_not_read(console: ConsoleUnderTest) -> None:
    """More than 1 MiB is refused by its length, and when it comes in chunks without one."""
    body = b"x" * ((1 << 20) + 1)
    with console.client() as client:
        assert client.put("/policies/runtime/app-embedded", content=body).status_code == 413
        chunks = (body[start : start + 65536] for start in range(0, len(body), 65536))
        answer = client.put("/policies/runtime/app-embedded", content=chunks)
    assert answer.status_code == 413
    assert "err" in answer.json()


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_another_sites_writes_are_refused(console: ConsoleUnderTest, headers: dict[str, str]) -> None:
    """A browser that remembers the password does not lend it to other sites."""
    with console.client() as client:
        assert client.put("/policies/runtime/app-embedded", json={"rules": []}, headers=headers).status_code == 403


def test_our_own_origin_may_write(console: ConsoleUnderTest) -> None:
    """A page of the Console itself is let through."""
    origin = f"https://localhost:{console.running.api_port}"
    with console.client() as client:
        answer = client.put("/policies/runtime/app-embedded", json={"rules": []}, headers={"Origin": origin})
    assert answer.status_code == 200


@pytest.mark.parametrize("garbage", [b"GET / HTTP/9\r\n\r\n", b"\x00" * 100, b"GET " + b"a" * 100_000 + b"\r\n\r\n"])
def test_garbage_instead_of_http_harms_nobody(console: ConsoleUnderTest, garbage: bytes) -> None:
    """What is no request is refused or cut off, and the next request is served."""
    context = ssl.create_default_context(cafile=str(console.running.ca_file))
    with (
        socket.create_connection(("localhost", console.running.api_port), timeout=DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
    ):
        link.sendall(garbage)
        assert not link.recv(1 << 16).startswith(b"HTTP/1.1 2")
    with console.client(token="") as client:
        assert client.get("/_ping").status_code == 200


@pytest.mark.parametrize("path", ["/signup", "/authenticate", "/settings/certs", "/settings/defender"])
@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"password":["hunter2"]}', "[" * 100_000])
def test_a_body_that_does_not_fit_is_refused_without_repeating_it(
    console: ConsoleUnderTest, path: str, body: str
) -> None:
    """A body of the wrong shape gets 400 (or is not even looked at), and its values do not come back."""
    with console.client() as client:
        answer = client.post(path, content=body)
    assert answer.status_code == 400
    assert "hunter2" not in answer.text


def test_the_description_is_served_as_it_is_checked_in(console: ConsoleUnderTest) -> None:
    """`openapi.json` of the API is that of the code, and needs no log-in."""
    with console.client(token="") as client:
        assert client.get("/openapi.json").json() == create_api(None).openapi()


def test_references_of_the_description_lead_somewhere() -> None:
    """Every `$ref` of the OpenAPI document has its schema, and every operation its refusal."""
    document = create_api(None).openapi()
    schemas = document["components"]["schemas"]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].removeprefix("#/components/schemas/") in schemas
            for item in value.values():
                walk(item)
        if isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)
    assert "HTTPValidationError" not in json.dumps(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            assert "default" in operation["responses"]
            assert operation["x-permission"]
