"""The settings of registries: which images they cover, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.services.looking import Bench, run

from bartizan.pki import SealError, check_certificates
from bartizan.services.credentials import Credentials, CredentialType
from bartizan.services.errors import ConflictError, InvalidError
from bartizan.services.registries import ImageName, Registries, Registry, host_of_registry
from bartizan.services.registry_hosts import DOCKER_HUB, ecr_region
from bartizan.store import SqlSettings

ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Open the services."""
    opened = Bench(tmp_path)
    yield opened
    opened.close()


def image(repository: str = "team/shop", tag: str = "1.2", host: str = "registry.test", digest: str = "") -> ImageName:
    """Return an image's name."""
    return ImageName(host=host, repository=repository, tag=tag, digest=digest)


def registry(**changed: Any) -> Registry:
    """Return a specification."""
    given: dict[str, Any] = {"version": "2", "host": "registry.test", "url": "https://registry.test", **changed}
    return Registry(**given)


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        ({}, True),
        ({"host": "other.test"}, False),
        ({"host": DOCKER_HUB}, False),
        ({"repository": "team/shop"}, True),
        ({"repository": "team/*"}, True),
        ({"repository": "*"}, True),
        ({"repository": "team/other"}, False),
        ({"repository": "shop"}, False),
        ({"repository": "team/shop", "tag": "1.*"}, True),
        ({"tag": "2.*"}, False),
        ({"namespace": "team"}, True),
        ({"namespace": "team", "repository": "shop"}, True),
        ({"namespace": "tea"}, False),
        ({"excluded_repositories": ("team/*",)}, False),
        ({"excluded_repositories": ("other/*",)}, True),
        ({"excluded_tags": ("1.2",)}, False),
        ({"excluded_tags": ("latest",)}, True),
    ],
)
def test_a_specification_covers_images(given: dict[str, Any], covered: bool) -> None:  # noqa: FBT001
    """Host, namespace, repository and tag all have to fit, and no exclusion may."""
    assert registry(**given).covers(image()) is covered


def test_an_official_image_is_found_by_its_short_name() -> None:
    """`nginx` covers `library/nginx` of Docker Hub."""
    hub = registry(version="dockerhub", host=DOCKER_HUB, url="", repository="nginx")
    assert hub.covers(image("library/nginx", host=DOCKER_HUB))


def test_a_digest_fits_every_tag() -> None:
    """An image that is named by its digest has no tag that could be compared."""
    named = image(tag="", digest="sha256:" + "a" * 64)
    assert registry(tag="1.*", excluded_tags=("latest",)).covers(named)


def test_the_first_that_covers_wins_over_a_restart_too(bench: Bench) -> None:
    """Order counts, and is kept."""
    first, second = registry(repository="team/*"), registry(os="linuxARM64")
    run(bench.registries.replace([first, second]))
    again = Registries(SqlSettings(bench.database), bench.credentials, check_certificates=check_certificates)
    assert again.all() == (first, second)
    assert again.of(image()) == first
    assert again.of(image("other/x")) == second
    assert again.of(image(host="other.test")) is None


def test_an_equal_one_is_added_once(bench: Bench) -> None:
    """Scripts that run twice do not fill the list."""
    for _ in range(2):
        run(bench.registries.add(registry()))
    assert bench.registries.all() == (registry(),)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"version": "quay"}, "`version`: `quay` is not supported, possible are 2, aws"),
        ({"version": "aws"}, "`registry`"),
        ({"version": "dockerhub"}, "`registry`"),
        ({"os": "windows"}, "`os`"),
        ({"repository": "a b"}, "`repository`"),
        ({"repository": "../x"}, "`repository`"),
        ({"repository": "x" * 300}, "`repository`"),
        ({"tag": "a/b"}, "`tag`"),
        ({"namespace": "Team"}, "`namespace`"),
        ({"excluded_tags": ("ok", "")}, "`excludedTags`"),
        ({"excluded_repositories": ("x",) * 101}, "`excludedRepositories`"),
        ({"ca_cert": "not a certificate"}, "`caCert`"),
        ({"ca_cert": "-----BEGIN EC PRIVATE KEY-----\n"}, "`caCert`: it holds a private key"),
        ({"ca_cert": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}, "`caCert`"),
        ({"credential": "none"}, "no credential `none`"),
    ],
)
def test_what_cannot_be_right_is_refused_whole(bench: Bench, given: dict[str, Any], words: str) -> None:
    """The refusal names specification and field, and nothing of the list is taken."""
    with pytest.raises(InvalidError) as refusal:
        run(bench.registries.replace([registry(), registry(**given)]))
    assert str(refusal.value).startswith("`specifications[1]`: ")
    assert words in str(refusal.value)
    assert bench.registries.all() == ()


def test_a_credential_of_another_registry_is_refused(bench: Bench) -> None:
    """Settings cannot send a secret elsewhere than its credential says."""
    bench.put(host="registry.test")
    with pytest.raises(InvalidError, match=r"is for `registry\.test`, not for `evil\.test`"):
        run(bench.registries.add(registry(host="evil.test", credential="shop")))
    run(bench.registries.add(registry(credential="shop")))


def test_types_have_to_fit(bench: Bench) -> None:
    """An AWS key is for ECR alone, and ECR takes nothing else."""
    bench.put(id="key", type=CredentialType.AWS, account="AKIA")
    bench.put()
    with pytest.raises(InvalidError, match="type `aws`"):
        run(bench.registries.add(registry(credential="key")))
    with pytest.raises(InvalidError, match="type `basic`"):
        run(bench.registries.add(registry(version="aws", host=ECR, credential="shop")))
    run(bench.registries.add(registry(version="aws", host=ECR, credential="key")))


def test_a_credential_in_the_settings_is_in_use(bench: Bench) -> None:
    """It can be removed when the settings let it go, not before; a restart does not change that."""
    bench.put()
    run(bench.registries.add(registry(credential="shop")))
    again = Credentials(bench.store, bench.box, box_error=SealError, clock=bench.clock)
    Registries(SqlSettings(bench.database), again, check_certificates=check_certificates)
    for credentials in (bench.credentials, again):
        with pytest.raises(ConflictError, match=r"settings of registry `registry\.test`"):
            run(credentials.remove("shop", author="admin"))
    run(bench.registries.replace([]))
    run(bench.credentials.remove("shop", author="admin"))


@pytest.mark.parametrize(
    ("url", "host"), [("", DOCKER_HUB), ("https://registry.test/", "registry.test"), ("docker.io", DOCKER_HUB)]
)
def test_registries_become_hosts(url: str, host: str) -> None:
    """An empty address is Docker Hub, as with the vendor."""
    assert host_of_registry(url) == host


@given(text=st.text(max_size=60) | st.from_regex(r"(https://)?[a-zA-Z0-9.\-\[\]:@/]{0,40}", fullmatch=True))
def test_every_address_is_a_host_or_refused(text: str) -> None:
    """Whatever is written as an address becomes a host that stays the same when it is read again, or is refused."""
    try:
        host = host_of_registry(text)
    except InvalidError:
        return
    assert host_of_registry(host) == host
    assert not set(host) & set("/@ \n")


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (ECR, "eu-central-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        (f"{ECR}.evil.test", None),
        ("evil-123456789012.dkr.ecr.eu-central-1.amazonaws.com", None),
        ("public.ecr.aws", None),
        (f"{ECR}:5000", None),
    ],
)
def test_ecr_is_told_by_its_host(host: str, region: str | None) -> None:
    """Only Amazon's own names are taken for ECR."""
    assert ecr_region(host) == region
