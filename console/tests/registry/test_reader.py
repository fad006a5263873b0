"""Registries as the Console asks them: credentials of each kind, and errors by whose fault they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws
from tests.registry.servers import ACCOUNT, ECR_HOST, ENTRYPOINT, LOGIN, Wire

from bartizan.registry import Access, Credential, ImageError
from bartizan.registry.assumed_role import assume_role
from bartizan.registry.errors import BusyError, RegistryFaultError, UnreachableError
from bartizan.registry.reader import RegistryReader
from bartizan.services.credentials import Credential as Kept
from bartizan.services.credentials import CredentialType, OpenCredential
from bartizan.services.errors import InvalidError, UpstreamError
from bartizan.services.image_lookup import Ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registry.servers import Registry

ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"


@pytest.fixture
def aws() -> Iterator[None]:
    """Let moto answer for AWS."""
    with mock_aws():
        yield


def ask(reference: str, registry: Registry, credential: OpenCredential | None, **changed: Any) -> Ask:
    """Return a question to the registry."""
    pem = registry.ca.read_text()
    given: dict[str, Any] = {
        "reference": reference,
        "architecture": "amd64",
        "host": RegistryReader().name(reference).host,
        "kind": "basic",
        "credential": credential,
        "ca_cert": pem[pem.index("-----BEGIN CERTIFICATE") :],
        "private_hosts": frozenset({registry.host}),
        "seconds": 10.0,
        **changed,
    }
    return Ask(**given)


def opened(kind: CredentialType, account: str, secret: str, **more: str) -> OpenCredential:
    """Return a credential with its secret."""
    return OpenCredential(credential=Kept(id="c", type=kind, account=account, **more), secret=secret)


def test_a_basic_credential_opens_a_registry(registry: Registry, family: dict[str, str]) -> None:
    """The record has what the image starts, as whom, and of which digests."""
    found = RegistryReader().look_up(
        ask(f"{registry.host}/team/tool:1", registry, opened(CredentialType.BASIC, *LOGIN))
    )
    assert (found.entrypoint, found.cmd) == (ENTRYPOINT, ("--for", "amd64"))
    assert (found.digest, found.manifest_digest) == (family["index"], family["amd64"])
    assert (found.user, found.shell, found.origin) == ("1000:1000", ("/bin/ash", "-c"), f"registry `{registry.host}`")


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("role", ["", ROLE])
def test_an_aws_key_opens_ecr(registry: Registry, family: dict[str, str], role: str) -> None:
    """The key itself, or that of a role that it assumes, gets the registry's password from ECR."""
    port = int(registry.host.rpartition(":")[2])
    wire = Wire({ECR_HOST: ("127.0.0.1", port)})
    access = Access(allow_private=False, network=wire.network())
    reader = RegistryReader(access)
    found = reader.look_up(
        ask(
            f"{ECR_HOST}/team/tool:1",
            registry,
            opened(CredentialType.AWS, "AKIAEXAMPLE", "secret", role_arn=role),
            kind="ecr",
            private_hosts=frozenset({ECR_HOST}),
        )
    )
    assert found.digest == family["index"]


@pytest.mark.usefixtures("aws")
def test_a_role_is_assumed_once_for_a_while() -> None:
    """The role's key has a session token, and is kept until it nears its end."""
    access = Access()
    key = Credential(kind="ecr", user="AKIAEXAMPLE", secret="not-to-be-shown")
    first = assume_role(key, ROLE, host=ECR_HOST, access=access)
    again = assume_role(key, ROLE, host=ECR_HOST, access=access, endpoint="http://127.0.0.1:1")
    assert again == first
    assert first.session_token
    assert first.user != key.user
    assert first.region == "eu-west-1"


def test_a_role_needs_a_region() -> None:
    """A host without a region in its name takes one from the credential."""
    key = Credential(kind="ecr", user="AKIAEXAMPLE", secret="not-to-be-shown")
    with pytest.raises(ImageError, match="no region in its name") as refusal:
        assume_role(key, ROLE, host="mirror.example", access=Access())
    assert "not-to-be-shown" not in str(refusal.value)


def test_sts_that_does_not_answer_is_a_fault() -> None:
    """Trying again may help; the key is not in the error."""
    key = Credential(kind="ecr", user="AKIAEXAMPLE", secret="not-to-be-shown")
    with pytest.raises(RegistryFaultError, match="STS in `eu-west-1` cannot be asked") as refusal:
        assume_role(key, ROLE, host=ECR_HOST, access=Access(), endpoint="http://127.0.0.1:1")
    assert "not-to-be-shown" not in str(refusal.value)


def test_hosts_are_compared_in_one_form() -> None:
    """Names of Docker Hub, letters and the usual port make no difference."""
    reader = RegistryReader()
    assert reader.name("nginx").host == "docker.io"
    assert reader.name("index.docker.io/library/nginx").host == "docker.io"
    assert reader.name("Registry.Test:443/x").host == "registry.test"
    assert reader.name("registry.test:5000/x").host == "registry.test:5000"
    assert reader.name("registry.test/x").tag == "latest"
    with pytest.raises(InvalidError, match="is no reference"):
        reader.name("a b")


def test_a_tag_beside_a_digest_is_not_believed() -> None:
    """What is recorded of a digest says nothing of the tag that was written beside it, nor of `latest`."""
    reader, digest = RegistryReader(), "sha256:" + "a" * 64
    for reference in (f"registry.test/x@{digest}", f"registry.test/x:prod@{digest}"):
        name = reader.name(reference)
        assert (name.tag, name.digest) == ("", digest)


def test_a_credential_that_no_header_can_carry_is_told(registry: Registry) -> None:
    """A token with a blank is refused without showing it."""
    broken = opened(CredentialType.API_TOKEN, "", "with a blank")
    with pytest.raises(InvalidError, match="printable ASCII") as refusal:
        RegistryReader().look_up(ask(f"{registry.host}/team/tool:1", registry, broken, kind="token"))
    assert "with a blank" not in str(refusal.value)


def test_a_registry_that_is_not_there_is_its_own_fault(registry: Registry) -> None:
    """A connection that is refused may succeed later."""
    with pytest.raises(UpstreamError, match="cannot be reached"):
        RegistryReader().look_up(ask("127.0.0.1:1/x:1", registry, None, private_hosts=frozenset({"127.0.0.1:1"})))


def test_faults_are_image_errors() -> None:
    """Whoever catches `ImageError` catches all."""
    assert issubclass(RegistryFaultError, ImageError)
    assert issubclass(BusyError, RegistryFaultError)
    assert issubclass(UnreachableError, RegistryFaultError)
