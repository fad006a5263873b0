"""Registries that try to get at credentials: with redirects, challenges, and token services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.registry.hostile import BASIC, CONFIG, PATH, SECRET, access, failure, guarded, honest, lying, redirect
from tests.registry.servers import CREDENTIAL, LOGIN, PATIENCE, Server, digest_of
from werkzeug.wrappers import Request, Response

from bartizan.registry import Access, Credential, ImageError, look_up
from bartizan.registry.transport import origin

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_a_redirect_to_another_port(status: int) -> None:
    """Another port is another server: it gets the request, as storage behind a registry must, but no password."""
    with Server(honest) as storage:
        where = f"http://{storage.host}/v2/a/blobs/{digest_of(CONFIG)}"
        with Server(guarded(lying(f"/v2/a/blobs/{digest_of(CONFIG)}", lambda _: redirect(where, status)))) as registry:
            assert look_up(f"{registry.host}/a", access=access()).config.entrypoint == ("/run",)

            assert SECRET in [request.headers.get("authorization") for request in registry.seen]
            assert [request.headers.get("authorization") for request in storage.seen] == [None]


def test_credentials_do_not_follow_a_redirect_to_another_name() -> None:
    """Another name for the very same server is another server."""

    def answer(request: Request) -> Response:
        port = request.host.rpartition(":")[2]
        return redirect(f"http://localhost:{port}{PATH}") if request.host.startswith("127") else honest(request)

    with Server(guarded(lying(PATH, answer))) as registry:
        failure(registry, "did not give")
        asked = [(request.host.rpartition(":")[0], request.headers.get("authorization")) for request in registry.seen]
        assert ("127.0.0.1", SECRET) in asked
        assert ("localhost", None) in asked
        assert ("localhost", SECRET) not in asked


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "https://a.example:443/y", True),
        ("http://a.example/x", "http://a.example:80/y", True),
        ("https://A.example/x", "https://a.example/x", True),
        ("https://a.example:80/", "http://a.example:80/", False),
        ("https://a.example/", "http://a.example/", False),
        ("https://a.example/", "https://a.example.evil.test/", False),
        ("https://a.example/", "https://b.a.example/", False),
        ("https://a.example/", "https://a.example:444/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """All three must be equal for a credential to be sent (RFC 6454)."""
    assert (origin(httpx.URL(one)) == origin(httpx.URL(other))) is same


def test_credentials_are_not_sent_again_where_a_redirect_leads_back() -> None:
    """What another host chose is not asked for with the registry's password, though it is on the registry."""
    places: list[str] = []
    with Server(lambda _: redirect(f"http://{places[0]}/v2/a/other")) as elsewhere:
        away = lying(PATH, lambda _: redirect(f"http://{elsewhere.host}/x"))
        with Server(guarded(away)) as registry:
            places.append(registry.host)
            failure(registry, "did not give")
            assert registry.authorizations(PATH) == [None, SECRET]
            assert registry.authorizations("/v2/a/other") == [None]


@pytest.mark.parametrize(
    ("credential", "header"),
    [
        (Credential(kind="token", secret="t0ken"), "authorization"),
        (Credential(kind="jfrog", secret="AKCs3cret"), "x-jfrog-art-api"),
    ],
)
def test_tokens_and_keys_do_not_follow_a_redirect(credential: Credential, header: str) -> None:
    """Every header that opens something stays with its origin."""
    with (
        Server(honest) as storage,
        Server(lambda request: redirect(f"http://{storage.host}{request.path}")) as registry,
    ):
        given = Access(patience=PATIENCE, credentials=lambda _host: credential)
        assert look_up(f"{registry.host}/a", access=given).config.entrypoint == ("/run",)
        assert {header in request.headers for request in registry.seen if request.path == PATH} == {True}
        assert {header in request.headers for request in storage.seen} == {False}


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://registry.example/x", "only https is followed"),
        ("ftp://127.0.0.1/x", "only https is followed"),
        ("file:///etc/passwd", "only https is followed"),
        ("http://169.254.169.254/latest/meta-data", "only https is followed"),
        ("https://169.254.169.254/latest/meta-data", "where clouds keep their metadata"),
        ("https://[fd00:ec2::254]/latest", "where clouds keep their metadata"),
        ("https://[::ffff:169.254.169.254]/latest", "where clouds keep their metadata"),
        ("https://[64:ff9b::a9fe:a9fe]/latest", "where clouds keep their metadata"),
        ("https://0.0.0.0/latest", "where clouds keep their metadata"),
        ("http://[broken", "only https is followed"),
        ("https://a:b/", "what is no address"),
        ("https://xn--a/", "cannot be resolved"),
        ("", "redirects to"),
        (PATH, "redirects in a circle"),
        ("x" * 9000, "redirects to"),
    ],
)
def test_redirects_to_nowhere_good_are_refused(location: str, message: str) -> None:
    """Plain HTTP, other schemes, metadata addresses in every spelling, circles and nonsense are refused."""
    with Server(lying(PATH, lambda _: redirect(location))) as registry:
        failure(registry, message)


def test_a_redirect_does_not_lead_out_of_tls(pem: Path) -> None:
    """A registry with TLS may not redirect to plain HTTP, though this machine may be spoken to so."""
    with Server(honest) as plain, Server(lambda _: redirect(f"http://{plain.host}{PATH}"), pem) as registry:
        failure(registry, "only https is followed", access(ca_bundle=pem))
        assert plain.seen == []


def test_a_circle_of_challenges_ends() -> None:
    """A registry that is never content is asked twice, not forever; with a token service that always gives, too."""
    with Server(
        lambda request: Response(b"{}") if request.path == "/v2/" else Response(status=401, headers=BASIC)
    ) as registry:
        failure(registry, "credentials are refused")
        assert len(registry.authorizations(PATH)) == 2

    def insatiable(request: Request) -> Response:
        if request.path in {"/v2/", "/token"}:
            return Response(b'{"token":"t0ken"}')
        challenge = f'Bearer realm="http://{request.host}/token",service="x",error="invalid_token"'
        return Response(status=401, headers={"www-authenticate": challenge})

    with Server(insatiable) as registry:
        failure(registry, "credentials are refused")
        assert len(registry.authorizations("/token")) == 1
        assert registry.authorizations(PATH) == [None, "Bearer t0ken"]


@pytest.mark.parametrize(
    ("challenge", "message"),
    [
        ("", "unknown here: none that is named"),
        ("Negotiate, NTLM", "unknown here: `negotiate`, `ntlm`"),
        ('Bearer service="x"', "no token service that can be asked"),
        ('Bearer realm="//x"', "no token service that can be asked"),
        ('Bearer realm="http://["', "it must be https"),
        ('Bearer realm="https://a:b/"', "no token service that can be asked"),
        ('Bearer realm="file:///etc/passwd"', "no token service that can be asked"),
        ('Bearer realm="http://elsewhere.example/token"', "it must be https"),
        ('Bearer realm="http://localhost/token"', "it must be https"),
        ('Bearer realm="https://169.254.169.254/token"', "where clouds keep their metadata"),
    ],
)
def test_challenges_that_lead_nowhere_good_are_refused(challenge: str, message: str) -> None:
    """Unknown schemes, and token services that are none or would be told the password in plain text, are refused."""
    answer = lying(PATH, lambda _: Response(status=401, headers={"www-authenticate": challenge}))
    with Server(answer) as registry:
        failure(registry, message)


def test_a_registry_with_tls_cannot_name_a_token_service_without(pem: Path) -> None:
    """Even on this machine a password that went over TLS does not go on in plain text."""
    with Server(honest) as service:
        challenge = {"www-authenticate": f'Bearer realm="http://{service.host}/token"'}
        with Server(lying(PATH, lambda _: Response(status=401, headers=challenge)), pem) as registry:
            failure(registry, "it must be https", access(ca_bundle=pem))
        assert service.seen == []


def test_the_password_does_not_follow_a_redirect_of_the_token_service() -> None:
    """The token service may redirect, but where it leads gets no password."""
    with Server(lambda _: Response(b'{"token":"t0ken"}')) as thief:

        def answer(request: Request) -> Response:
            if request.path == "/token":
                return redirect(f"http://{thief.host}/token")
            if request.path == "/v2/" or request.headers.get("authorization") == "Bearer t0ken":
                return honest(request)
            return Response(status=401, headers={"www-authenticate": f'Bearer realm="http://{request.host}/token"'})

        with Server(answer) as registry:
            look_up(f"{registry.host}/a", access=access())
            assert registry.authorizations("/token") == [SECRET]
        assert thief.authorizations("/token") == [None]


def test_a_refresh_token_is_not_posted_again_where_a_redirect_leads() -> None:
    """The identity token stands in a body, which a 307 asks to be sent again: it is not."""
    identity = Access(patience=PATIENCE, credentials=lambda _host: Credential(kind="identity", secret="refr3sh"))
    with Server(lambda _: Response(b'{"token":"t0ken"}')) as thief:

        def answer(request: Request) -> Response:
            if request.path == "/token":
                return redirect(f"http://{thief.host}/token")
            return Response(status=401, headers={"www-authenticate": f'Bearer realm="http://{request.host}/token"'})

        with Server(answer) as registry:
            failure(registry, "answers 307", identity)
        assert thief.seen == []


@pytest.mark.parametrize("said", [b"{}", b"[]", b"<html>", b'{"token":1}', b'{"token":"a\\r\\nx: y"}', b'{"token":""}'])
def test_a_token_that_is_none_is_refused(said: bytes) -> None:
    """What would break a header, or is no token at all, is refused and not repeated."""

    def answer(request: Request) -> Response:
        if request.path in {"/v2/", "/token"}:
            return Response(said)
        return Response(status=401, headers={"www-authenticate": f'Bearer realm="http://{request.host}/token"'})

    with Server(answer) as registry:
        failure(registry, "token")


def test_a_configuration_in_memory_is_not_given_to_another_repository() -> None:
    """Whoever names the digest of what only others may read must still get it from a registry that gives it."""
    empty = lying(f"/v2/a/blobs/{digest_of(CONFIG)}", lambda _: Response(status=404))
    shared = access()
    with Server(honest) as owner, Server(empty) as other:
        assert look_up(f"{owner.host}/a", access=shared).config.entrypoint == ("/run",)
        failure(other, "no such image", shared)


def test_nothing_shows_a_secret() -> None:
    """Access, credentials and their memory can be printed and logged."""
    given = Access(credentials=lambda _host: CREDENTIAL)
    shown = (
        repr(given)
        + repr(CREDENTIAL)
        + repr(given.memory)
        + str(Credential(kind="ecr", user="AKIA", secret="s3cret", session_token="t0ken"))
    )

    assert not [secret for secret in (LOGIN[1], "s3cret", "t0ken") if secret in shown]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"kind": "token", "secret": "a\r\nx: y"}, "printable ASCII"),
        ({"kind": "jfrog", "secret": "AKC\r\nx: y"}, "printable ASCII"),
        ({"kind": "ecr", "user": "AKIA", "secret": "é"}, "printable ASCII"),
        ({"kind": "token"}, "needs a secret"),
        ({"kind": "identity"}, "needs a secret"),
        ({"kind": "basic", "user": "a:b", "secret": "s3cret"}, "may not hold a colon"),
    ],
)
def test_credentials_that_would_break_a_header_cannot_be_made(choices: dict[str, str], message: str) -> None:
    """The edge refuses them, without showing them."""
    with pytest.raises(ImageError, match=message) as caught:
        Credential(**choices)  # type: ignore[arg-type]
    assert choices.get("secret", "none") not in str(caught.value)


def test_a_challenge_behind_a_redirect_is_not_answered() -> None:
    """Where a redirect leads may ask for the password as it likes, by itself or for a token service of its own."""

    def ask(request: Request) -> Response:
        if request.path == "/token":
            return Response(b'{"token":"t0ken"}')
        realm = f"http://{request.host}/token"
        return Response(status=401, headers={"www-authenticate": f'Bearer realm="{realm}", Basic realm="x"'})

    with Server(ask) as thief, Server(lying(PATH, lambda _: redirect(f"http://{thief.host}{PATH}"))) as registry:
        failure(registry, "wants credentials from us, which it does not get")
        assert thief.authorizations("/token") == []
        assert thief.authorizations(PATH) == [None]
        assert registry.authorizations(PATH) == [None]
