"""Parts of which the tests put hostile registries together: an honest one, and ways in which it is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.registry.servers import CREDENTIAL, LOGIN, OCI_MANIFEST, PATIENCE, Server, basic, digest_of
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from bartizan.registry import Access, ImageError, look_up

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/v2/a/manifests/latest"
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/run"]}}).encode()
MANIFEST = json.dumps({"schemaVersion": 2, "config": {"digest": digest_of(CONFIG)}, "layers": []}).encode()
SECRET = basic(*LOGIN)["authorization"]
BASIC = {"www-authenticate": 'Basic realm="x"'}


def honest(request: Request) -> Response:
    """Answer as a registry with one image does."""
    if request.path == "/v2/":
        return Response(b"{}")
    if request.path == PATH:
        return Response(MANIFEST, content_type=OCI_MANIFEST)
    return Response(CONFIG) if request.path.endswith(digest_of(CONFIG)) else Response(status=404)


def lying(path: str, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Answer honestly but for one path."""
    return lambda request: answer(request) if request.path == path else honest(request)


def guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Want the password for everything below `/v2/`."""

    def checked(request: Request) -> Response:
        allowed = request.path == "/v2/" or request.headers.get("authorization") == SECRET
        return answer(request) if allowed else Response(status=401, headers=BASIC)

    return checked


def access(**choices: object) -> Access:
    """Give access with the credential for every host, so that only our own rules keep it from a thief."""
    return Access(patience=PATIENCE, credentials=lambda _host: CREDENTIAL, **choices)  # type: ignore[arg-type]


def failure(server: Server, match: str, given: Access | None = None) -> str:
    """Look the image up, which must fail with words that hold no secret."""
    with pytest.raises(ImageError, match=match) as caught:
        look_up(f"{server.host}/a", access=given or access())
    message = str(caught.value)
    assert LOGIN[1] not in message
    assert "Basic " not in message
    assert "\n" not in message
    return message


class AsItIs(Response):
    """A response whose headers werkzeug does not put right."""

    def get_wsgi_headers(self, environ: object) -> Headers:  # noqa: ARG002 - the interface is werkzeug's
        """Return the headers of the test, and that there is no body."""
        return Headers([*self.headers, ("content-length", "0")])


def redirect(location: str, status: int = 307) -> Response:
    """Redirect to what may be no address at all."""
    return AsItIs(status=status, headers={"location": location})
