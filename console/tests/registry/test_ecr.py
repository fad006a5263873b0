"""Amazon ECR: moto's API gives the password, docker-registry stands where the images are."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.request import Request as MotoRequest
from moto.ecr.responses import ECRResponse
from tests.registry.hostile import honest
from tests.registry.servers import ACCOUNT, ECR_HOST, ENTRYPOINT, PATIENCE, PUBLIC_ADDRESS, Server, Wire
from werkzeug.wrappers import Request, Response

from bartizan.registry import Access, Credential, ImageError, UnreachableError, look_up, look_up_all
from bartizan.registry.ecr import EcrRegistry, ecr_password, ecr_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.registry.servers import Registry

KEYS = Credential(kind="ecr", user="AKIDEXAMPLE", secret="wJalrXUtnFEMI", session_token="sess1on")
EXPIRES_IN = 12 * 3600


class EcrApi:
    """ECR's API as moto answers it, at an address of its own; expired tokens are made to last `expires_in` seconds."""

    def __init__(self) -> None:
        self.expires_in = EXPIRES_IN
        self.refusal: str | None = None
        self.password: str | None = None
        self.server = Server(self._answer)

    @property
    def regions(self) -> list[str]:
        """The region of each signature that was sent."""
        return [request.headers["authorization"].split("/")[2] for request in self.server.seen]

    def _answer(self, request: Request) -> Response:
        passed = MotoRequest.from_primitives("POST", request.url, request.headers, request.get_data())
        assert request.headers["x-amz-target"].endswith(".GetAuthorizationToken")
        if self.refusal:
            body = json.dumps({"__type": self.refusal, "message": "not authorized to perform this"})
            return Response(body, status=400, content_type="application/x-amz-json-1.1")
        with mock_aws():
            status, headers, body = ECRResponse.dispatch(passed, request.url, passed.headers)
        document = json.loads(body)
        for entry in document["authorizationData"]:
            entry["expiresAt"] = time.time() + self.expires_in
            if self.password:
                entry["authorizationToken"] = base64.b64encode(self.password.encode()).decode()
        kind = {key: value for key, value in headers.items() if key.lower() == "content-type"}
        return Response(json.dumps(document), status=status, headers=kind)


@pytest.fixture
def api() -> Iterator[EcrApi]:
    """Run ECR's API."""
    made = EcrApi()
    with made.server:
        yield made


@pytest.fixture
def ecr(registry: Registry, api: EcrApi) -> Access:
    """Give access to a registry under an ECR host name, with keys, while ECR's API is the fixture's."""
    wire = Wire({ECR_HOST: (PUBLIC_ADDRESS, int(registry.host.rpartition(":")[2]))})
    return Access(
        ca_bundle=registry.ca,
        network=wire.network(),
        patience=PATIENCE,
        allow_private=False,
        credentials={ECR_HOST: KEYS}.get,
        ecr_endpoint=f"http://{api.server.host}",
    )


@pytest.mark.usefixtures("family")
def test_keys_are_changed_into_a_password(ecr: Access, api: EcrApi) -> None:
    """The keys sign one call for the account and region of the host name; the registry sees only ECR's password."""
    found = look_up(f"{ECR_HOST}/team/tool:1", access=ecr)

    assert found.config.entrypoint == ENTRYPOINT
    assert api.regions == ["eu-west-1"]
    (request,) = api.server.seen
    assert "Credential=AKIDEXAMPLE/" in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == "sess1on"
    assert request.get_json(force=True) == {"registryIds": [ACCOUNT]}


@pytest.mark.usefixtures("family")
def test_the_password_is_kept_until_it_expires(ecr: Access, api: EcrApi) -> None:
    """Twelve hours' password is asked for once, one that is about to expire again, and other keys on their own."""
    for _ in range(2):
        look_up(f"{ECR_HOST}/team/tool:1", access=ecr)
    assert len(api.regions) == 1
    look_up(
        f"{ECR_HOST}/team/tool:1",
        access=ecr.with_credentials(lambda _: Credential(kind="ecr", user="AKIDB", secret="x")),
    )
    assert len(api.regions) == 2

    api.expires_in = 200
    fresh = dataclasses.replace(ecr, memory=type(ecr.memory)())
    for _ in range(2):
        look_up(f"{ECR_HOST}/team/tool:1", access=fresh)
    assert len(api.regions) == 4


@pytest.mark.usefixtures("family")
def test_a_kept_password_that_is_refused_is_asked_for_anew(ecr: Access, api: EcrApi) -> None:
    """A password that ECR has taken back is replaced once; a second refusal is an error without it."""
    api.password = "AWS:outdated"
    with pytest.raises(ImageError, match="credentials are refused") as caught:
        look_up(f"{ECR_HOST}/team/tool:1", access=ecr)
    assert "outdated" not in str(caught.value)
    assert len(api.regions) == 2

    api.password = None
    assert look_up(f"{ECR_HOST}/team/tool:1", access=ecr).config.entrypoint == ENTRYPOINT


@pytest.mark.usefixtures("family")
def test_the_chain_is_used_only_where_that_is_allowed(
    ecr: Access, api: EcrApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of the environment open ECR when `chain` says so, or a credential without key; not by themselves."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDCHAIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    anonymous = ecr.with_credentials(lambda _: None)
    with pytest.raises(ImageError, match="wants a password"):
        look_up(f"{ECR_HOST}/team/tool:1", access=anonymous)
    assert api.regions == []

    role = ecr.with_credentials(lambda _: Credential(kind="ecr"))
    for allowed in (dataclasses.replace(anonymous, chain=True), role):
        api.server.seen.clear()
        fresh = dataclasses.replace(allowed, memory=type(ecr.memory)())
        assert look_up(f"{ECR_HOST}/team/tool:1", access=fresh).config.entrypoint == ENTRYPOINT
        assert ["Credential=AKIDCHAIN/" in request.headers["authorization"] for request in api.server.seen] == [True]


@pytest.mark.usefixtures("family")
def test_images_looked_up_at_once_share_a_password(ecr: Access, api: EcrApi) -> None:
    """Several look-ups that begin together call the API once."""
    found = look_up_all([f"{ECR_HOST}/team/tool:{tag}" for tag in ("1", "docker", "nested", "none")], access=ecr)

    assert [isinstance(item, ImageError) for item in found.values()] == [False, False, False, True]
    assert len(api.regions) == 1


def test_an_expired_password_is_replaced(pem: Path, api: EcrApi, ecr: Access) -> None:
    """ECR answers 403, without a challenge, to a password that has expired."""
    refused = [True]

    def answer(request: Request) -> Response:
        if refused and refused.pop():
            return Response(b'{"errors":[{"code":"DENIED","message":"Your authorization token has expired."}]}', 403)
        return honest(request)

    with Server(answer, pem) as server:
        wire = Wire({ECR_HOST: (PUBLIC_ADDRESS, server.port)})
        given = dataclasses.replace(ecr, network=wire.network())
        assert look_up(f"{ECR_HOST}/a", access=given).config.entrypoint == ("/run",)
    assert len(api.regions) == 2


def test_no_credentials_are_said_to_be_none(ecr: Access, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty chain is one clear error."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        ImageError, match=r"`eu-west-1` cannot be asked for a password: .*no AWS credentials were found"
    ):
        look_up(f"{ECR_HOST}/team/tool:1", access=ecr.with_credentials(lambda _: Credential(kind="ecr")))


def test_a_refusal_of_the_api_is_passed_on(ecr: Access, api: EcrApi) -> None:
    """AWS's code and words are shown, the keys are not."""
    api.refusal = "AccessDeniedException"
    with pytest.raises(ImageError, match="gives no password: AccessDeniedException: not authorized") as caught:
        look_up(f"{ECR_HOST}/team/tool:1", access=ecr)
    assert KEYS.secret not in str(caught.value)


@pytest.mark.parametrize("password", ["AWS", "AWS:", ":x", "\udcff"])
def test_a_password_that_is_none_is_refused(ecr: Access, api: EcrApi, password: str) -> None:
    """What the API gives must be a user and a password."""
    api.password = password if password.isascii() else "é"
    with pytest.raises(ImageError, match="gave no password"):
        look_up(f"{ECR_HOST}/team/tool:1", access=ecr)


def test_an_api_that_cannot_be_reached_is_an_error(ecr: Access, api: EcrApi) -> None:
    """Where nobody listens, the error says so in time."""
    gone = dataclasses.replace(ecr, ecr_endpoint="http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="its address cannot be reached"):
        look_up(f"{ECR_HOST}/team/tool:1", access=gone)
    assert api.regions == []


def test_a_mirror_needs_a_region(registry: Registry, family: dict[str, str], api: EcrApi) -> None:
    """Under another name the region must come with the credential; then the caller's own account is asked for."""
    mirror = dataclasses.replace(registry.access(KEYS), ecr_endpoint=f"http://{api.server.host}")
    with pytest.raises(ImageError, match="has no region in its name"):
        look_up(f"{registry.host}/team/tool:1", access=mirror)

    keys = dataclasses.replace(KEYS, region="us-gov-west-1")
    api.password = f"AWS:{ACCOUNT}-auth-token"
    found = look_up(f"{registry.host}/team/tool:1", access=mirror.with_credentials(lambda _: keys))
    assert found.digest == family["index"]
    assert (api.regions, api.server.seen[0].get_json(force=True)) == (["us-gov-west-1"], {})


def test_the_real_endpoint_is_the_default() -> None:
    """Without an override botocore's own endpoint is called, which moto answers in this process."""
    with mock_aws():
        password = ecr_password(ECR_HOST, KEYS, Access())

    assert (password.user, password.secret) == ("AWS", f"{ACCOUNT}-auth-token")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (ECR_HOST, EcrRegistry(ACCOUNT, "eu-west-1", fips=False)),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", EcrRegistry(ACCOUNT, "cn-north-1", fips=False)),
        (f"{ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com", EcrRegistry(ACCOUNT, "us-gov-west-1", fips=True)),
        (f"{ACCOUNT}.dkr-ecr.ap-southeast-2.on.aws", EcrRegistry(ACCOUNT, "ap-southeast-2", fips=False)),
        (f"{ACCOUNT}.DKR.ECR.EU-WEST-1.amazonaws.com", EcrRegistry(ACCOUNT, "eu-west-1", fips=False)),
        ("public.ecr.aws", None),
        ("docker.io", None),
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com.evil.test", None),
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com:444", None),
        (f"evil.test.{ECR_HOST}", None),
        ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
        (f"{ACCOUNT}.dkr.ecr.evil.amazonaws.com", None),
    ],
)
def test_hosts_of_ecr_are_told_from_others(host: str, expected: EcrRegistry | None) -> None:
    """Account and region are read from the host; a name that only looks like ECR's gets none of its passwords."""
    assert ecr_registry(host) == expected


@given(st.text(max_size=60) | st.from_regex(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9.@:/-]{0,20}\.amazonaws\.com[.a-z]{0,6}"))
def test_any_other_name_is_none(host: str) -> None:
    """Whatever the text, what is found is an account of twelve digits and a region that can stand in a host name."""
    found = ecr_registry(host)
    if found is not None:
        assert found.account.isdecimal()
        assert found.region.replace("-", "").isalnum()
