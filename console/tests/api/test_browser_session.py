"""The session of a browser: its cookie, where it is good, and what other sites cannot do with it."""

from typing import Any

import httpx
import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest

COOKIE = "__Host-bartizan"
OURS = {"X-Bartizan-Request": "1", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def signed_in(console: ConsoleUnderTest) -> str:
    """Sign in as a browser, once, and return the cookie's value."""
    with console.client(token="") as client:
        answer = client.post("/session", json={"username": USER, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
        assert attributes == {"httponly", "path=/", "samesite=lax", "secure"}
        assert answer.json()["role"] == "Administrator"
        return answer.cookies[COOKIE]


def browser(console: ConsoleUnderTest, cookie: str, **headers: str) -> httpx.Client:
    """Return a client that has the cookie."""
    client = console.client(token="")
    client.headers.update({"Cookie": f"{COOKIE}={cookie}", **headers})
    return client


def test_the_cookie_says_who_is_signed_in(console: ConsoleUnderTest, signed_in: str) -> None:
    """The session tells name, role, permissions and limits; it opens what a token opens."""
    with browser(console, signed_in) as client:
        told = client.get("/session").json()
        assert client.get("/defenders").status_code == 200
    assert (told["username"], told["role"], told["collections"]) == (USER, "Administrator", [])
    assert {"policyWrite", "accessWrite"} <= set(told["permissions"])
    assert not {"public", "signedIn"} & set(told["permissions"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OURS, 200),
        ({"X-Bartizan-Request": "1", "Origin": "HERE"}, 200),
        ({"X-Bartizan-Request": "1"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"X-Bartizan-Request": "1", "Sec-Fetch-Site": "none"}, 403),
        ({"X-Bartizan-Request": "1", "Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Bartizan-Request": "1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Bartizan-Request": "1", "Origin": "https://evil.example"}, 403),
        ({"X-Bartizan-Request": "1", "Origin": "null"}, 403),
        ({"X-Bartizan-Request": "1", "Origin": "HTTP"}, 403),
    ],
)
def test_other_sites_cannot_write(
    console: ConsoleUnderTest, signed_in: str, headers: dict[str, str], status: int
) -> None:
    """A write with the cookie needs our header, and the browser's word that it comes from this very origin."""
    host = f"localhost:{console.running.api_port}"
    origins = {"HERE": f"https://{host}", "HTTP": f"http://{host}"}
    sent = {name: origins.get(value, value) for name, value in headers.items()}
    body: dict[str, Any] = {"appEmbeddedDisconnectedMinutes": 60}
    with browser(console, signed_in, **sent) as client:
        before = client.get("/settings/defender", headers=OURS).json()
        answer = client.post("/settings/defender", json={**before, **({} if status == 200 else body)})
        after = client.get("/settings/defender", headers=OURS).json()
    assert answer.status_code == status, answer.text
    assert before == after


def test_a_cookie_is_no_bearer_token_and_the_other_way_round(console: ConsoleUnderTest, signed_in: str) -> None:
    """What can be stolen in one place is good for nothing in the other."""
    with console.client(token=signed_in) as client:
        assert client.get("/session").status_code == 401
    with browser(console, console.token) as client:
        assert client.get("/session").status_code == 401


def test_a_script_of_a_page_gets_no_dialogue(console: ConsoleUnderTest) -> None:
    """`WWW-Authenticate` would open the browser's own log-in before the page can show its."""
    with console.client(token="") as client:
        assert "www-authenticate" not in client.get("/session", headers={"Sec-Fetch-Mode": "cors"}).headers
        assert "www-authenticate" in client.get("/session", headers={"Sec-Fetch-Mode": "navigate"}).headers


def test_signing_in_anew_and_out_ends_the_session(console: ConsoleUnderTest) -> None:
    """The new sign-in has another cookie, the old one opens nothing; after signing out neither does the new one."""
    body = {"username": USER, "password": PASSWORD}
    with console.client(token="") as client:
        first = client.post("/session", json=body).cookies[COOKIE]
    with browser(console, first, **OURS) as client:
        second = client.post("/session", json=body).cookies[COOKIE]
        assert second != first
        assert client.get("/session").status_code == 401
    with browser(console, second, **OURS) as client:
        answer = client.delete("/session")
        assert answer.status_code == 200
        assert "max-age=0" in answer.headers["set-cookie"].lower()
        assert client.get("/session").status_code == 401
