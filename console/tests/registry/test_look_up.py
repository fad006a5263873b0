"""Images looked up in real registries: docker-registry with passwords, with tokens, under Docker Hub's names."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING

import pytest
from tests.registry.servers import (
    CREDENTIAL,
    ENTRYPOINT,
    HUB_HOST,
    HUB_TOKENS,
    PUBLIC_ADDRESS,
    Wire,
    blob,
    make_image,
)

from bartizan.registry import (
    Access,
    Credential,
    ImageError,
    look_up,
    look_up_all,
    look_up_source,
    open_image,
    unpack_layer,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.registry.servers import Registry, TokenService


PUSHED = ("library/tool", "public/tool", "team/tool")


def test_an_index_is_resolved_and_both_digests_are_told(registry: Registry, family: dict[str, str]) -> None:
    """The tag's digest is of the index, the other of the platform's manifest; the configuration is complete."""
    found = look_up(f"{registry.host}/team/tool:1", access=registry.access())

    assert (found.digest, found.manifest_digest) == (family["index"], family["amd64"])
    assert (found.architecture, found.origin) == ("amd64", "registry")
    config = found.config
    assert (config.entrypoint, config.cmd, config.shell) == (ENTRYPOINT, ("--for", "amd64"), ("/bin/ash", "-c"))
    assert (config.user, config.working_dir, config.stop_signal) == ("1000:1000", "/srv", "SIGQUIT")
    assert config.env == ("PATH=/bin",)


@pytest.mark.parametrize("tag", ["1", "docker", "nested"])
@pytest.mark.parametrize("wanted", ["ARM64", "arm64", "linux/arm64/v8"])
def test_the_platform_is_found_in_every_kind_of_index(
    registry: Registry, family: dict[str, str], tag: str, wanted: str
) -> None:
    """OCI indexes, Docker's lists and nested indexes lead to the same manifest, however the platform is written."""
    found = look_up(f"{registry.host}/team/tool:{tag}", access=registry.access(), architecture=wanted)

    assert found.manifest_digest == family["arm64"]
    assert found.digest == family[{"1": "index", "docker": "list", "nested": "nested"}[tag]]


def test_a_missing_platform_lists_those_that_there_are(registry: Registry, family: dict[str, str]) -> None:
    """The error names the platforms of the image, and not its attestation."""
    with pytest.raises(ImageError, match=r"`linux/s390x`: it has `linux/amd64`, `linux/arm64/v8`$"):
        look_up(f"{registry.host}/team/tool:1", access=registry.access(), architecture="s390x")
    with pytest.raises(ImageError, match=r"`linux/arm64`: it has `linux/amd64`$"):
        look_up(f"{registry.host}/team/tool@{family['amd64']}", access=registry.access(), architecture="arm64")


@pytest.mark.parametrize("name", ["index", "amd64"])
def test_a_digest_is_looked_up_as_it_stands(registry: Registry, family: dict[str, str], name: str) -> None:
    """A reference with tag and digest means the digest, be it of an index or of a manifest."""
    found = look_up(f"{registry.host}/team/tool:none@{family[name]}", access=registry.access())

    assert (found.digest, found.manifest_digest) == (family[name], family["amd64"])


@pytest.mark.usefixtures("family")
def test_layers_are_not_asked_for(registry: Registry, tmp_path: Path) -> None:
    """A look-up works though the layer cannot be read, and `open_image` reads it only when it is unpacked."""
    image = make_image(tmp_path, "amd64")
    registry.push("team/whole", "1", image)
    opened = open_image(f"{registry.host}/team/whole:1", access=registry.access())
    assert (unpack_layer(opened.layers[0], tmp_path / "out") / "bin/tool").read_bytes() == b"amd64"

    limited = dataclasses.replace(registry.access(), largest_blob=0)
    assert look_up(f"{registry.host}/team/whole:1", access=limited).config.entrypoint == ENTRYPOINT


@pytest.mark.usefixtures("family")
def test_the_error_says_what_is_wrong_with_the_credentials(registry: Registry) -> None:
    """None, a false password and a useless kind give three errors, and no error holds a secret."""
    place = f"{registry.host}/team/tool:1"
    with pytest.raises(ImageError, match="wants a password: give credentials"):
        look_up(place, access=registry.access(None))
    for kind in ("basic", "token", "jfrog"):
        with pytest.raises(ImageError, match="credentials") as caught:
            look_up(place, access=registry.access(Credential(kind=kind, secret="fa1se")))
        assert "fa1se" not in str(caught.value)
    with pytest.raises(ImageError, match="an identity token does not do here"):
        look_up(place, access=registry.access(Credential(kind="identity", secret="fa1se")))


def test_a_missing_image_is_named(registry: Registry, family: dict[str, str]) -> None:
    """A tag, a repository and a digest that are not there are one clear error each."""
    for missing in ("tool:2", "tools:1", "tool@sha256:" + "0" * 64):
        with pytest.raises(ImageError, match=f"team/{missing.split('@')[0].split(':')[0]}.*no such image"):
            look_up(f"{registry.host}/team/{missing}", access=registry.access())
    assert family


def test_an_unknown_certificate_is_refused(registry: Registry) -> None:
    """Without the CA the registry is not trusted, and plain HTTP is not tried instead."""
    with pytest.raises(ImageError, match="certificate verify failed"):
        look_up(f"{registry.host}/team/tool:1", access=Access(credentials=lambda _host: CREDENTIAL))


@pytest.mark.usefixtures("family")
def test_an_authority_can_be_given_as_text(registry: Registry) -> None:
    """A CA from the settings of a registry needs no file; text that is none is an error."""
    access = dataclasses.replace(registry.access(), ca_bundle=None, ca_pem=registry.ca.read_text())
    assert look_up(f"{registry.host}/team/tool:1", access=access).config.entrypoint == ENTRYPOINT
    for text in ("no certificate", "é"):
        with pytest.raises(ImageError, match="CA bundle `given as text` cannot be used"):
            look_up(f"{registry.host}/team/tool:1", access=dataclasses.replace(access, ca_pem=text))


def test_a_token_is_fetched_with_the_password(token_registry: Registry, tokens: TokenService) -> None:
    """A registry with a token service is opened with its token: asked with the password, for this repository alone."""
    tokens.server.seen.clear()
    found = look_up(f"{token_registry.host}/team/tool:1", access=token_registry.access())

    assert found.config.entrypoint == ENTRYPOINT
    asked = [request.args.to_dict() for request in tokens.server.seen]
    assert [(item["scope"], item["service"]) for item in asked] == [("repository:team/tool:pull", tokens.service)]


def test_a_token_is_fetched_without_a_password(token_registry: Registry) -> None:
    """What everybody may read needs no credential; what only some may read says so."""
    anonymous = token_registry.access(None)

    assert look_up(f"{token_registry.host}/public/tool:1", access=anonymous).config.entrypoint == ENTRYPOINT
    with pytest.raises(ImageError, match="it wants credentials"):
        look_up(f"{token_registry.host}/team/tool:1", access=anonymous)


def test_a_refresh_token_is_posted(token_registry: Registry, tokens: TokenService) -> None:
    """An identity token goes to the token service in the body of a POST, and never into an address."""
    tokens.server.seen.clear()
    access = token_registry.access(Credential(kind="identity", secret="refr3sh"))

    assert look_up(f"{token_registry.host}/team/tool:1", access=access).config.entrypoint == ENTRYPOINT
    assert [(request.method, "refr3sh" in request.url) for request in tokens.server.seen] == [("POST", False)]


def test_a_bearer_token_is_sent_as_it_is(token_registry: Registry, tokens: TokenService) -> None:
    """A registry token needs no token service."""
    tokens.server.seen.clear()
    secret = tokens.token("repository:team/tool:pull", ("pull",))
    found = look_up(
        f"{token_registry.host}/team/tool:1", access=token_registry.access(Credential(kind="token", secret=secret))
    )

    assert found.config.entrypoint == ENTRYPOINT
    assert tokens.server.seen == []


def test_false_credentials_are_refused_by_the_token_service(token_registry: Registry) -> None:
    """The error says who refused, and holds no secret."""
    for kind in ("basic", "identity"):
        with pytest.raises(ImageError, match="refused by its token service") as caught:
            look_up(
                f"{token_registry.host}/team/tool:1",
                access=token_registry.access(Credential(kind=kind, secret="fa1se")),
            )
        assert "fa1se" not in str(caught.value)


def hub_wire(hub: Registry, tokens: TokenService) -> Wire:
    """Put Docker Hub's names on public addresses."""
    port = int(hub.host.rpartition(":")[2])
    return Wire({HUB_HOST: (PUBLIC_ADDRESS, port), HUB_TOKENS: ("52.94.1.8", tokens.server.port)})


@pytest.mark.parametrize("reference", ["tool:1", "docker.io/tool:1", "index.docker.io/library/tool:1"])
def test_docker_hub_is_found_under_its_names(hub: Registry, tokens: TokenService, reference: str) -> None:
    """A bare name is of `library` on Docker Hub, whose API has another host; credentials are asked for `docker.io`.

    One connection to each of the two hosts is enough.
    """
    asked: list[str] = []
    wire = hub_wire(hub, tokens)

    def credentials(host: str) -> Credential:
        asked.append(host)
        return CREDENTIAL

    access = Access(ca_bundle=hub.ca, network=wire.network(), credentials=credentials, allow_private=False)

    assert look_up(reference, access=access).config.entrypoint == ENTRYPOINT
    assert set(asked) == {"docker.io"}
    assert wire.dialled == [PUBLIC_ADDRESS, "52.94.1.8"]


def test_a_token_service_does_not_lead_inside(token_registry: Registry, tokens: TokenService) -> None:
    """A public registry that names a token service on this machine gets no request sent there, and no password."""
    tokens.server.seen.clear()
    wire = hub_wire(token_registry, tokens)
    access = Access(ca_bundle=token_registry.ca, network=wire.network(), credentials=lambda _host: CREDENTIAL)

    with pytest.raises(ImageError, match="lies deeper in the network"):
        look_up("tool:1", access=access)
    assert tokens.server.seen == []
    assert wire.dialled == [PUBLIC_ADDRESS]


@pytest.mark.usefixtures("family")
def test_several_images_are_looked_up_at_once(registry: Registry) -> None:
    """Each reference gets its own answer or error, in order, and no more than `at_once` are under way together."""
    lock, under_way, most = threading.Lock(), 0, 0

    def credentials(_host: str) -> Credential:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        barrier.wait(timeout=10)
        with lock:
            under_way -= 1
        return CREDENTIAL

    barrier = threading.Barrier(2)
    references = [f"{registry.host}/team/tool:{tag}" for tag in ("1", "none", "docker", "nested")] + ["BAD//"]
    access = registry.access().with_credentials(credentials)
    found = look_up_all([*references, references[0]], access=access, at_once=2)

    assert list(found) == references
    assert [isinstance(item, ImageError) for item in found.values()] == [False, True, False, False, True]
    assert most == 2


@pytest.mark.usefixtures("family")
def test_a_configuration_is_fetched_once(registry: Registry) -> None:
    """The second look-up takes the configuration from memory, but only for the same repository."""
    access = registry.access()
    first = look_up(f"{registry.host}/team/tool:1", access=access)
    size = access.memory._size
    assert size > 0
    assert look_up(f"{registry.host}/team/tool:1", access=access).config == first.config
    assert access.memory._size == size
    with pytest.raises(ImageError, match="no such image"):
        look_up(f"{registry.host}/other/tool:1", access=access)


def test_sources_of_this_machine(registry: Registry, tmp_path: Path) -> None:
    """A layout, an archive and a reference give the same answer; a plain look-up opens no file."""
    image = make_image(tmp_path, "amd64")
    registry.push("team/sources", "1", image)
    listed = registry.push("team/sources", "1", image)
    access = registry.access()
    answers = [
        look_up_source(source, access=access, name="tool:1")
        for source in (f"oci:{image}", f"oci:{image}:1", f"docker://{registry.host}/team/sources:1")
    ]
    assert {(item.digest, item.manifest_digest) for item in answers} == {(listed["digest"], listed["digest"])}
    assert {item.config.entrypoint for item in answers} == {ENTRYPOINT}
    assert [item.origin for item in answers] == ["layout", "layout", "registry"]
    with pytest.raises(ImageError, match="is no reference"):
        look_up(f"oci:{image}", access=access)
    assert blob(image, str(listed["digest"]))
