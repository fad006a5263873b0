"""Set-up, log-in, and what is refused without."""

import base64
from pathlib import Path

import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest, running_console

from bartizan.api import create_api
from bartizan.api.document import permissions
from bartizan.api.permissions import Permission

PUBLIC = {
    "/api/v1/_health",
    "/api/v1/_ping",
    "/api/v1/signup",
    "/api/v1/authenticate",
    "/api/v1/session",
    "/api/v1/session/oidc",
    "/api/v1/session/oidc/start",
    "/api/v1/session/oidc/callback",
    "/api/v1/openapi.json",
    "/api/v1/certs/ca.pem",
    "/api/v1/settings/initialized",
}


def test_every_route_declares_its_permission() -> None:
    """No route is without a permission, and the public ones are a short, known list."""
    found = permissions(create_api(None))
    assert {path for (_, path), permission in found.items() if permission is Permission.PUBLIC} == PUBLIC
    assert len(found) > 15


def test_a_route_without_permission_is_noticed() -> None:
    """The walk over the routes fails for a route that declares none."""
    app = create_api(None)

    @app.get("/forgotten")
    async def forgotten() -> None:
        """Do nothing."""

    with pytest.raises(LookupError, match="/forgotten"):
        permissions(app)


def test_all_but_the_public_routes_need_a_log_in(console: ConsoleUnderTest) -> None:
    """Every route that is not public answers 401 and names basic authentication."""
    found = permissions(create_api(None))
    with console.client(token="") as client:
        for (method, path), permission in found.items():
            if permission is Permission.PUBLIC:
                continue
            answer = client.request(method, console.url.removesuffix("/api/v1") + path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert "err" in answer.json()


def test_ping_answers_without_log_in(console: ConsoleUnderTest) -> None:
    """`_ping` is for probes."""
    with console.client(token="") as client:
        answer = client.get("/_ping")
    assert (answer.status_code, answer.text) == (200, "OK")


def test_set_up_works_once(tmp_path: Path) -> None:
    """A wrong token, a short password and a bad name are refused; afterwards there is no second set-up."""
    with running_console(tmp_path / "data") as console, console.client(token="") as client:
        token = console.running.setup_token
        assert (tmp_path / "data/setup-token").read_text().strip() == token
        good = {"username": USER, "password": PASSWORD, "token": token}
        assert client.post("/signup", json={**good, "token": "guess"}).status_code == 401
        assert client.post("/signup", json={**good, "password": "short"}).status_code == 400
        assert client.post("/signup", json={**good, "username": "a:b"}).status_code == 400
        assert client.post("/signup", json={**good, "role": "Administrator"}).status_code == 400
        assert client.post("/signup", json=good).status_code == 200
        assert client.post("/signup", json=good).status_code == 409
        assert not (tmp_path / "data/setup-token").exists()


def test_there_is_no_default_password(tmp_path: Path) -> None:
    """Before the set-up nobody gets in."""
    with running_console(tmp_path / "data") as console:
        for name, password in (("admin", "admin"), ("admin", ""), ("", "")):
            with console.client(basic=(name, password)) as client:
                assert client.get("/defenders").status_code == 401


def test_basic_and_bearer_open_the_same(console: ConsoleUnderTest) -> None:
    """Both ways of the vendor's pipelines work."""
    with console.client(basic=(USER, PASSWORD)) as client:
        assert client.get("/defenders").status_code == 200
        assert client.get("/defenders").status_code == 200
    with console.client() as client:
        assert client.get("/defenders").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer nonsense",
        "Bearer",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Digest x",
        "",
    ],
)
def test_bad_credentials_are_refused(console: ConsoleUnderTest, header: str) -> None:
    """Credentials that cannot be read, or are of nobody, get 401."""
    with console.client(token="") as client:
        answer = client.get("/defenders", headers={"Authorization": header})
    assert answer.status_code == 401


def test_guessing_passwords_is_slowed_down(tmp_path: Path) -> None:
    """After ten failures an address has to wait; who is logged in does not."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        with console.client(basic=(USER, PASSWORD)) as client:
            assert client.get("/defenders").status_code == 200
        with console.client(token="") as client:
            codes = [
                client.post("/authenticate", json={"username": USER, "password": f"guess number {number}"}).status_code
                for number in range(12)
            ]
            assert codes[:9] == [401] * 9
            answer = client.post("/authenticate", json={"username": USER, "password": "one more guess"})
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) > 0
        with console.client(basic=(USER, PASSWORD)) as client:
            assert client.get("/defenders").status_code == 200
        with console.client() as client:
            assert client.get("/defenders").status_code == 200


def test_the_database_holds_no_secret_in_clear(console: ConsoleUnderTest) -> None:
    """Neither password nor session token can be read from the files."""
    with console.client(basic=(USER, PASSWORD)) as client:
        assert client.get("/defenders").status_code == 200
    content = b"".join(path.read_bytes() for path in console.directory.glob("bartizan.db*"))
    assert PASSWORD.encode() not in content
    assert console.token.encode() not in content
    assert console.bundle()["secret"].encode() not in content
    assert all(path.stat().st_mode & 0o077 == 0 for path in console.directory.iterdir() if path.name != "ca.pem")
