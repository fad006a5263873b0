"""The proxy of outgoing requests, over the API: kept, sealed, and taken."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.channel.running import ConsoleUnderTest, running_console

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/settings/proxy"
SECRET = "s3cret-of-the-proxy"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console."""
    with running_console(tmp_path_factory.mktemp("console")) as running:
        running.sign_up()
        yield running


def test_requests_take_the_proxy(console: ConsoleUnderTest) -> None:
    """A test alert asks the proxy for its receiver, with user and password, which nobody gets back or finds."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, console.client() as client:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        wanted = {"httpProxy": url, "noProxy": ".corp.example, 10.0.0.0/8", "user": "u", "password": {"plain": SECRET}}
        assert client.post(PATH, json=wanted).status_code == 200
        hook = {"name": "x", "policy": {}, "webhook": {"url": "https://hooks.example.com/"}}
        answer = client.post("/alert-profiles/test", json=hook)
        thread.join(20)
        assert (answer.status_code, "403" in answer.json()["err"]) == (502, True)
        assert seen[0].startswith(b"CONNECT hooks.example.com:443 ")
        assert b"\r\nProxy-Authorization: Basic " in seen[0]
        shown = client.get(PATH)
        assert shown.json() == {
            "httpProxy": url,
            "noProxy": ".corp.example,10.0.0.0/8",
            "user": "u",
            "ca": "",
            "passwordSet": True,
        }
        elsewhere = wanted | {"httpProxy": "http://elsewhere.example:1"}
        del elsewhere["password"]
        answer = client.post(PATH, json=elsewhere)
        assert (answer.status_code, "takes the password again" in answer.json()["err"]) == (400, True)
        assert not any(SECRET.encode() in path.read_bytes() for path in console.directory.iterdir() if path.is_file())
        assert client.post(PATH, json={"httpProxy": ""}).status_code == 200
        assert client.get(PATH).json()["passwordSet"] is False


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"httpProxy": "proxy.example:3128"}, "`httpProxy`"),
        ({"httpProxy": "ftp://proxy.example"}, "`httpProxy`"),
        ({"httpProxy": "http://u:p@proxy.example"}, "`user` and `password`"),
        ({"httpProxy": "http://proxy.example/path"}, "`httpProxy`"),
        ({"httpProxy": "http://proxy.example:99999"}, "`httpProxy`"),
        ({"httpProxy": "http://a\nb"}, "`httpProxy`"),
        ({"noProxy": "x"}, "`httpProxy`: without it"),
        ({"httpProxy": "http://p.example", "noProxy": "a b"}, "`noProxy`"),
        ({"httpProxy": "http://p.example", "noProxy": ",".join(["a"] * 101)}, "`noProxy`"),
        ({"httpProxy": "http://p.example", "user": "a:b"}, "`user`"),
        ({"httpProxy": "http://p.example", "password": {"plain": "x"}}, "`user`"),
        ({"httpProxy": "http://p.example", "user": "u", "password": {"plain": "a\r\nb"}}, "`password.plain`"),
        ({"httpProxy": "http://p.example", "ca": "x"}, "`ca`"),
        ({"httpProxy": "http://p.example", "colour": "x"}, "`colour`"),
    ],
)
def test_bad_proxies_get_one_clear_sentence(console: ConsoleUnderTest, wanted: dict[str, Any], words: str) -> None:
    """Each says what is wrong and where."""
    with console.client() as client:
        answer = client.post(PATH, json=wanted)
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["err"]
