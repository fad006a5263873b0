"""JFrog Artifactory, by a faithful small fake of its paths and its ways to log in.

Taken from JFrog's pages "Docker registry" and "How to troubleshoot Docker problems": the API of a repository is at
`/artifactory/api/docker/<key>/v2/`, its tokens at `…/v2/token`; basic passwords, API keys and access tokens open it.
"""

from __future__ import annotations

import json

import pytest
from tests.registry.hostile import CONFIG, MANIFEST
from tests.registry.servers import LOGIN, OCI_MANIFEST, PATIENCE, Server, digest_of
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from bartizan.registry import Access, Credential, ImageError, look_up

API_KEY = "AKCp8abcdef"
ACCESS_TOKEN = "eyJ2ZXIi.eyJzdWIi.sig"
KEY, IMAGE = "docker-local", "team/app"
ERRORS = {401: "Bad credentials", 404: "The named manifest is not known to the registry."}


class Artifactory:
    """One repository `docker-local` with `team/app:1`; `methods` are the ways in which it is reached.

    `path` is the API by repository path, `domain` the API at the root of the host, as a reverse proxy makes it for
    sub-domains and ports, `proxied` the API at the root with the repository's key in front of the name.
    """

    def __init__(self, method: str) -> None:
        root = {"path": f"/artifactory/api/docker/{KEY}/v2", "domain": "/v2", "proxied": "/v2"}[method]
        self._name = f"{KEY}/{IMAGE}" if method == "proxied" else IMAGE
        self._root = root
        self.elsewhere: Response | None = None
        self._rules = Map(
            [
                Rule(f"{root}/", endpoint="ping"),
                Rule(f"{root}/token", endpoint="token"),
                Rule(f"{root}/<path:name>/manifests/<selector>", endpoint="manifests"),
                Rule(f"{root}/<path:name>/blobs/<selector>", endpoint="blobs"),
            ]
        )
        self.server = Server(self._answer)

    def _answer(self, request: Request) -> Response:
        found = self._rules.bind_to_environ(request.environ)
        if not found.test():
            return self.elsewhere or self._error(404)
        endpoint, values = found.match()
        if endpoint == "token":
            scope = request.args.get("scope")
            good = self._password(request) and scope == f"repository:{self._name}:pull"
            return Response(json.dumps({"token": "jfrog-t0ken", "expires_in": 3600})) if good else self._error(401)
        if not (self._password(request) or self._stands_alone(request)):
            realm = f"http://{request.host}{self._root}/token"
            challenge = f'Bearer realm="{realm}",service="{request.host}",scope="repository:{self._name}:pull"'
            return self._error(401, {"www-authenticate": challenge})
        if values.get("name") != self._name:
            return self._error(404)
        if endpoint == "manifests" and values["selector"] in {"1", digest_of(MANIFEST)}:
            headers = {"docker-content-digest": digest_of(MANIFEST), "x-jfrog-version": "Artifactory/7.90.0"}
            return Response(MANIFEST, headers=headers, content_type=OCI_MANIFEST)
        return Response(CONFIG) if values["selector"] == digest_of(CONFIG) else self._error(404)

    @staticmethod
    def _password(request: Request) -> bool:
        login = request.authorization
        passwords = {LOGIN[1], API_KEY, ACCESS_TOKEN}
        return (
            login is not None and login.type == "basic" and login.username == LOGIN[0] and login.password in passwords
        )

    @staticmethod
    def _stands_alone(request: Request) -> bool:
        bearer = {f"Bearer {ACCESS_TOKEN}", "Bearer jfrog-t0ken"}
        return request.headers.get("x-jfrog-art-api") == API_KEY or request.headers.get("authorization") in bearer

    @staticmethod
    def _error(status: int, headers: dict[str, str] | None = None) -> Response:
        body = json.dumps({"errors": [{"status": status, "message": ERRORS[status]}]})
        return Response(body, status=status, headers=headers, content_type="application/json")


def credential(user: str, secret: str) -> Credential:
    """Make a credential for Artifactory."""
    return Credential(kind="jfrog", user=user, secret=secret)


def access(given: Credential | None) -> Access:
    """Give access with one credential."""
    return Access(patience=PATIENCE, credentials=lambda _host: given)


GOOD = [
    credential(*LOGIN),
    credential(LOGIN[0], API_KEY),
    credential(LOGIN[0], ACCESS_TOKEN),
    credential("", API_KEY),
    credential("", ACCESS_TOKEN),
]


@pytest.mark.parametrize("given", GOOD, ids=["password", "user-key", "user-token", "key", "token"])
@pytest.mark.parametrize("method", ["path", "domain", "proxied"])
def test_every_way_in_is_found(method: str, given: Credential) -> None:
    """Path, sub-domain and proxy, with password, API key and access token: the image is found by its usual name."""
    name = IMAGE if method == "domain" else f"{KEY}/{IMAGE}"
    made = Artifactory(method)
    with made.server:
        found = look_up(f"{made.server.host}/{name}:1", access=access(given))

    assert found.config.entrypoint == ("/run",)
    assert (found.digest, found.manifest_digest) == (digest_of(MANIFEST), digest_of(MANIFEST))


def test_a_usual_credential_does_at_the_root() -> None:
    """Behind a reverse proxy Artifactory is a registry like others."""
    made = Artifactory("proxied")
    basic = Credential(kind="basic", user=LOGIN[0], secret=API_KEY)
    with made.server:
        assert look_up(f"{made.server.host}/{KEY}/{IMAGE}:1", access=access(basic)).config.entrypoint == ("/run",)


@pytest.mark.parametrize(
    "elsewhere",
    [Response("<html>", content_type="text/html; charset=utf-8"), Response(status=403), Response(status=400)],
)
def test_a_page_is_not_taken_for_the_registry(elsewhere: Response) -> None:
    """A front that answers other paths with its own page, or forbids them, does not hide the API at the root."""
    made = Artifactory("domain")
    made.elsewhere = elsewhere
    with made.server:
        found = look_up(f"{made.server.host}/{IMAGE}:1", access=access(GOOD[3]))
    assert found.digest == digest_of(MANIFEST)


def test_the_way_that_was_found_is_kept() -> None:
    """The configuration is asked for where the manifest was found, not by trial again."""
    made = Artifactory("proxied")
    with made.server:
        look_up(f"{made.server.host}/{KEY}/{IMAGE}:1", access=access(credential("", API_KEY)))
    tried = [request.path for request in made.server.seen if request.path.endswith(digest_of(CONFIG))]

    assert tried == [f"/v2/{KEY}/{IMAGE}/blobs/{digest_of(CONFIG)}"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (credential(LOGIN[0], "fa1se"), "refused by its token service"),
        (credential("", "AKCfa1se"), "refuses the credentials"),
        (credential("", "fa1se"), "refuses the credentials"),
        (None, "wants credentials|no such image|refused by its token service"),
    ],
)
@pytest.mark.parametrize("method", ["path", "proxied"])
def test_false_credentials_are_one_error(method: str, given: Credential | None, message: str) -> None:
    """Nothing is given for a false secret, and the error does not repeat it."""
    made = Artifactory(method)
    with made.server, pytest.raises(ImageError, match=message) as caught:
        look_up(f"{made.server.host}/{KEY}/{IMAGE}:1", access=access(given))
    assert "fa1se" not in str(caught.value)


def test_a_missing_image_is_named_as_the_user_wrote_it() -> None:
    """Both ways are tried, and the error is about the image of the reference."""
    made = Artifactory("path")
    with made.server, pytest.raises(ImageError, match=f"`{KEY}/{IMAGE}:2`: it has no such image"):
        look_up(f"{made.server.host}/{KEY}/{IMAGE}:2", access=access(GOOD[0]))
