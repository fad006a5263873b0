"""The built pages beside the API: what is served, and what never is."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from bartizan.api.pages import Pages

SECRET = "not for browsers"
T = TypeVar("T")


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand behind the pages."""
    await PlainTextResponse(f"api {scope['path']}")(scope, receive, send)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Built pages, with something secret beside them."""
    (tmp_path / "secret.txt").write_text(SECRET)
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text('<meta nonce="@NONCE@"><script nonce="@NONCE@"></script>')
    (web / "assets/app-1a2b.js").write_text("let pages")
    (web / "assets/app-1a2b.js.gz").write_bytes(b"\x1f\x8bpages")
    (web / "favicon.svg").write_text("<svg/>")
    return web


@pytest.fixture
def ask(built: Path) -> httpx.AsyncClient:
    """Return a client that takes nothing compressed unless it says so."""
    transport = httpx.ASGITransport(Pages(api, built))
    return httpx.AsyncClient(
        transport=transport, base_url="https://console.test", headers={"Accept-Encoding": "identity"}
    )


def test_paths_of_the_api_are_left_to_it(ask: httpx.AsyncClient) -> None:
    """Even where a page would answer."""
    assert _get(ask, "/api/v1/nothing").text == "api /api/v1/nothing"
    assert _get(ask, "/api").text == "api /api"


def test_every_page_is_the_document_with_its_own_nonce(ask: httpx.AsyncClient) -> None:
    """The nonce of the policy is that of the document, and of no other answer."""
    answers = [_get(ask, path) for path in ("/", "/monitor/events", "/index")]
    nonces = {answer.headers["content-security-policy"].partition("'nonce-")[2][:24] for answer in answers}
    assert len(nonces) == len(answers)
    for answer in answers:
        nonce = answer.headers["content-security-policy"].partition("'nonce-")[2][:24]
        assert answer.text == f'<meta nonce="{nonce}"><script nonce="{nonce}"></script>'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"]


def test_assets_are_kept_and_compressed(ask: httpx.AsyncClient) -> None:
    """Their names change with their content."""
    plain = _get(ask, "/assets/app-1a2b.js")
    assert (plain.text, plain.headers["content-type"]) == ("let pages", "text/javascript; charset=utf-8")
    assert "immutable" in plain.headers["cache-control"]
    assert _get(ask, "/favicon.svg").headers["cache-control"] == "no-cache"
    request = ask.build_request("GET", "/assets/app-1a2b.js", headers={"Accept-Encoding": "br, gzip;q=0.8"})
    packed = _run(ask.send(request, stream=True))
    assert packed.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt",
     "//etc/passwd.x",
     "/assets/%00.js", "/assets/none.js", "/assets/app-1a2b.js/x.js", "/C:\\secret.txt"],
)  # fmt: skip
def test_nothing_else_is_served(ask: httpx.AsyncClient, path: str) -> None:
    """No path leads to a file that was not built."""
    request = ask.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = _run(ask.send(request))
    assert answer.status_code == 404
    assert SECRET not in answer.text


def test_pages_are_only_read(ask: httpx.AsyncClient) -> None:
    """Nothing is written to them."""
    answer = _run(ask.post("/", content=b"x"))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_console_without_pages_says_how_to_build_them(tmp_path: Path) -> None:
    """Its API works all the same."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(Pages(api, tmp_path)), base_url="https://console.test")
    answer = _get(client, "/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
    assert _get(client, "/api/v1/_ping").text == "api /api/v1/_ping"


def _get(client: httpx.AsyncClient, path: str) -> httpx.Response:
    return _run(client.get(path))


def _run(answer: Coroutine[None, None, T]) -> T:
    return asyncio.run(answer)
