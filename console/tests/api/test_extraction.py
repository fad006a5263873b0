"""Entrypoints found by the Console: a real registry with TLS and a password, a real Console, real definitions."""

import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.channel.running import ConsoleUnderTest, running_console
from tests.registry.servers import (
    ENTRYPOINT,
    HTPASSWD,
    LOGIN,
    Registry,
    Server,
    basic,
    certificate,
    docker_registry,
    push_family,
)
from werkzeug.wrappers import Response

from bartizan.services.embedding import TaskEmbedder

STARTS = ["/var/lib/bartizan/defender", "fargate", "entrypoint", *ENTRYPOINT]


@dataclass
class Place:
    """A Console and the registry that it is to ask."""

    console: ConsoleUnderTest
    registry: Registry
    digests: dict[str, str]

    @property
    def image(self) -> str:
        """The image's reference."""
        return f"{self.registry.host}/team/tool:1"

    def protect(
        self, *images: str, path: str = "fargate.json", body: bytes | None = None, **query: Any
    ) -> httpx.Response:
        """Send a definition whose containers give no entrypoint."""
        containers = [{"name": f"web{number}", "image": image} for number, image in enumerate(images)]
        content = json.dumps({"family": "shop", "containerDefinitions": containers}).encode() if body is None else body
        with self.console.client() as client:
            return client.post(
                f"/defenders/{path}",
                params={"consoleaddr": "localhost", "extractEntrypoint": "true", **query},
                content=content,
            )

    def put(self, path: str, body: object, method: str = "POST") -> None:
        """Change a setting."""
        with self.console.client() as client:
            answer = client.request(method, path, json=body)
            assert answer.status_code == 200, answer.text

    def specification(self, **changed: Any) -> dict[str, Any]:
        """Return the registry's specification."""
        pem = self.registry.ca.read_text()
        authority = pem[pem.index("-----BEGIN CERTIFICATE") :]
        return {"version": "2", "registry": f"https://{self.registry.host}", "caCert": authority, **changed}

    def credential(self, **changed: Any) -> dict[str, Any]:
        """Return the registry's credential."""
        url = f"https://{self.registry.host}"
        return {
            "_id": "tester",
            "type": "basic",
            "accountID": LOGIN[0],
            "secret": {"plain": LOGIN[1]},
            "url": url,
            **changed,
        }


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, dict[str, str]]]:
    """Run Debian's docker-registry with TLS and a password."""
    home = tmp_path_factory.mktemp("registry")
    pem = certificate(home)
    (home / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(home / "htpasswd")}}
    with docker_registry(home, pem, auth=auth, push_headers=lambda _repository: basic(*LOGIN)) as running:
        yield running, push_family(running, "team/tool", home)


@pytest.fixture
def place(tmp_path: Path, registry: tuple[Registry, dict[str, str]]) -> Iterator[Place]:
    """Run a Console that asks for a tag each time."""
    with running_console(
        tmp_path / "data", embedder=TaskEmbedder(), image_tag_seconds=0, look_up_seconds=10
    ) as console:
        console.sign_up()
        yield Place(console, *registry)


def known(place: Place) -> None:
    """Let the Console know the registry, its authority and its password."""
    place.put("/credentials", place.credential())
    place.put("/settings/registry", place.specification(credentialID="tester"))


def test_an_entrypoint_is_found_in_the_registry(place: Place) -> None:
    """The container starts what its image says, word for word, and what was learnt is listed."""
    known(place)
    answer = place.protect(place.image)
    assert answer.status_code == 200, answer.text
    web = answer.json()["containerDefinitions"][0]
    assert web["entryPoint"] == STARTS
    assert web["command"] == ["--for", "amd64"]
    with place.console.client() as client:
        for path in ("/images", "/registry"):
            (image,) = client.get(path, params={"search": "team/tool"}).json()
            assert image["image"]["entrypoint"] == list(ENTRYPOINT)
            assert image["image"]["user"] == "1000:1000"
            assert image["image"]["shell"] == ["/bin/ash", "-c"]
            assert image["repoTag"]["digest"] == place.digests["index"]
            assert image["_id"] == place.digests["amd64"]
            (compact,) = client.get(path, params={"search": "team/tool", "compact": "true"}).json()
            assert "user" not in compact["image"]
            assert client.get(path, params={"search": "other"}).json() == []


def test_the_same_request_gives_the_same_bytes(place: Place) -> None:
    """A pipeline that runs twice has no difference to show."""
    known(place)
    first, second = place.protect(place.image), place.protect(place.image)
    assert first.status_code == 200
    assert first.content == second.content


def test_the_tasks_architecture_is_asked_for(place: Place) -> None:
    """On ARM64 the entry of the index for arm64 counts."""
    known(place)
    body = {
        "family": "shop",
        "runtimePlatform": {"cpuArchitecture": "ARM64"},
        "containerDefinitions": [{"name": "web", "image": place.image}],
    }
    answer = place.protect(body=json.dumps(body).encode())
    assert answer.json()["containerDefinitions"][0]["command"] == ["--for", "arm64"]


def test_no_log_tells_a_secret(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """However much everything is made to log, neither the password nor its encoded form is there."""
    encoded = basic(*LOGIN)["authorization"].removeprefix("Basic ")
    with caplog.at_level(logging.DEBUG):
        known(place)
        assert place.protect(place.image).status_code == 200
        assert place.protect(f"{place.registry.host}/team/tool:none").status_code == 400
    assert "credential `tester` was added by `admin`" in caplog.text
    assert LOGIN[1] not in caplog.text
    assert encoded not in caplog.text


def test_a_named_credential_opens_its_registry(place: Place) -> None:
    """`registryType` and `registryCredentialID` work as with the vendor, without any settings of the credential."""
    place.put("/credentials", place.credential())
    place.put("/settings/registry", place.specification())
    answer = place.protect(place.image, registryType="2", registryCredentialID="tester", project="Central Console")
    assert answer.status_code == 200, answer.text
    assert answer.json()["containerDefinitions"][0]["entryPoint"] == STARTS


def test_both_paths_take_both_syntaxes(place: Place) -> None:
    """The answer has the syntax of what was sent: here JSON, by the path that is called yaml."""
    known(place)
    answer = place.protect(place.image, path="fargate.yaml")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["containerDefinitions"][0]["entryPoint"] == STARTS


TEMPLATE = """\
# the shop's task
Parameters:
  Image: {{Type: String, Default: '{image}'}}
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: shop
      RuntimePlatform: {{CpuArchitecture: ARM64}}
      ContainerDefinitions:
        - Name: web
          Image: !Ref Image   # kept
"""


@pytest.mark.parametrize("path", ["fargate.yaml", "fargate.json"])
@pytest.mark.parametrize("query", [{}, {"cloudFormation": "true"}])
def test_a_template_in_yaml_comes_back_in_yaml(place: Place, path: str, query: dict[str, str]) -> None:
    """A parameter's default names the image, the intrinsic and the comments stay, and the type is YAML's."""
    known(place)
    answer = place.protect(path=path, body=TEMPLATE.format(image=place.image).encode(), **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/yaml")
    assert "Image: !Ref Image   # kept" in answer.text
    assert answer.text.startswith("# the shop's task\n")
    assert "two words" in answer.text
    assert "arm64" in answer.text


def test_an_image_that_only_a_deployment_knows_is_told(place: Place) -> None:
    """The refusal names the container and the parameter."""
    known(place)
    answer = place.protect(path="fargate.yaml", body=TEMPLATE.replace(", Default: '{image}'", "").format().encode())
    assert answer.status_code == 400
    assert "`web`" in answer.json()["err"]
    assert "Image" in answer.json()["err"]


def test_a_wrong_password_is_told_without_it(place: Place) -> None:
    """The user learns which image of which container, and why: 400, since trying again would not help."""
    place.put("/credentials", place.credential(secret={"plain": "wr0ng-pass"}))
    place.put("/settings/registry", place.specification())
    answer = place.protect(place.image)
    assert answer.status_code == 400
    assert f"image `{place.image}` of container `web0` cannot be looked up: " in answer.json()["err"]
    assert "credentials are refused" in answer.json()["err"]
    assert "wr0ng" not in answer.text


def test_without_a_password_the_registry_says_no(place: Place) -> None:
    """An anonymous look-up of a private image is 400, and says what is missing."""
    place.put("/settings/registry", place.specification())
    answer = place.protect(place.image)
    assert answer.status_code == 400
    assert "wants a password: give credentials for it" in answer.json()["err"]


def test_a_registry_is_tested_with_what_is_set(place: Place) -> None:
    """The registry is asked at once, what it says is shown and kept; a failure says why, and never the secret."""
    path = "/settings/registry/test"
    with place.console.client() as client:
        known(place)
        answer = client.post(path, json={"image": place.image, "architecture": "arm64"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["image"]["entrypoint"] == list(ENTRYPOINT)
        assert answer.json()["_id"] == place.digests["arm64"]
        assert client.get("/images", params={"search": "team/tool"}).json()[0]["architecture"] == "arm64"
        place.put("/credentials", place.credential(_id="wrong", secret={"plain": "wr0ng-pass"}))
        refused = client.post(path, json={"image": place.image, "registryCredentialID": "wrong"})
        assert (refused.status_code, "wr0ng" in refused.text) == (400, False)
        assert "credentials are refused" in refused.json()["err"]
        for body in ({}, {"image": "BAD//ref"}, {"image": "169.254.169.254/x:1"}, {"image": "a", "surprise": 1}):
            assert client.post(path, json=body).status_code == 400, body


def test_every_image_that_fails_is_named(place: Place) -> None:
    """One answer tells all that has to be mended."""
    known(place)
    missing = f"{place.registry.host}/team/tool:none"
    answer = place.protect(place.image, missing, "BAD//ref")
    assert answer.status_code == 400
    error = answer.json()["err"]
    assert f"image `{missing}` of container `web1`" in error
    assert "image `BAD//ref` of container `web2`" in error
    assert "web0" not in error


def test_an_untrusted_certificate_is_told(place: Place) -> None:
    """Without the registry's authority nothing is sent, and the error says where to give it."""
    place.put("/credentials", place.credential())
    answer = place.protect(place.image)
    assert answer.status_code == 400
    assert "`caCert` of POST /api/v1/settings/registry" in answer.json()["err"]


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]:80", "[::ffff:a9fe:a9fe]:443", "0.0.0.0:443", "[fe80::1]:443"]
)
def test_metadata_addresses_are_never_spoken_to(place: Place, host: str) -> None:
    """A definition cannot make the Console read its cloud's metadata, even when the settings name the address."""
    place.put("/settings/registry", {"version": "2", "registry": f"https://{host}"})
    answer = place.protect(f"{host}/latest/meta-data:1")
    assert answer.status_code == 400
    assert "is not spoken to" in answer.json()["err"]


def test_a_definition_cannot_reach_the_neighbours(place: Place) -> None:
    """A private or loopback address is asked only when an administrator named the registry."""
    hits: list[str] = []

    def answer(request: Any) -> Response:
        hits.append(request.path)
        return Response("secret of a neighbour", status=200)

    with Server(answer) as neighbour:
        for host in (neighbour.host, f"localhost:{neighbour.port}"):
            refused = place.protect(f"{host}/x:1")
            assert refused.status_code == 400
            assert "not public" in refused.json()["err"]
            assert "secret of a neighbour" not in refused.text
    assert hits == []


def test_a_named_credential_does_not_go_to_a_host_of_the_definition(place: Place) -> None:
    """Somebody who may protect tasks, but does not know a password, cannot have it sent to a machine of theirs."""
    place.put("/credentials", place.credential())
    hits: list[str | None] = []

    def answer(request: Any) -> Response:
        hits.append(request.headers.get("authorization"))
        return Response(status=401, headers={"WWW-Authenticate": 'Basic realm="give it to me"'})

    with Server(answer) as evil:
        place.put("/settings/registry", {"version": "2", "registry": f"https://{evil.host}"})
        refused = place.protect(f"{evil.host}/x:1", registryCredentialID="tester")
        assert refused.status_code == 400
    assert hits
    assert set(hits) == {None}


def test_a_registry_that_fails_is_502(place: Place) -> None:
    """A fault of the registry is not the user's: scripts may try again."""
    with Server(lambda _request: Response(status=500)) as broken:
        place.put("/settings/registry", {"version": "2", "registry": f"https://{broken.host}"})
        answer = place.protect(f"{broken.host}/x:1")
    assert answer.status_code == 502
    assert "it answers 500" in answer.json()["err"]
    gone = place.protect(f"{broken.host}/x:1")
    assert gone.status_code == 502
    assert "cannot be reached" in gone.json()["err"]


def test_a_registry_that_is_busy_is_503(place: Place) -> None:
    """A registry that asks to come much later is passed on as that."""
    with Server(lambda _request: Response(status=429, headers={"Retry-After": "3600"})) as busy:
        place.put("/settings/registry", {"version": "2", "registry": f"https://{busy.host}"})
        answer = place.protect(f"{busy.host}/x:1")
    assert answer.status_code == 503
    assert "too many requests" in answer.json()["err"]
    assert answer.headers["retry-after"] == "3600"


def test_a_registry_that_is_slow_is_504(tmp_path: Path) -> None:
    """A request has its time; other requests are answered meanwhile."""
    ended = threading.Event()

    def answer(_request: Any) -> Response:
        ended.wait(20)
        return Response(status=200)

    with (
        running_console(tmp_path / "data", embedder=TaskEmbedder(), look_up_seconds=1) as console,
        Server(answer) as slow,
    ):
        console.sign_up()
        place = Place(console, Registry(slow.host, tmp_path, lambda _name: {}), {})
        place.put("/settings/registry", {"version": "2", "registry": f"https://{slow.host}"})
        begun = time.monotonic()
        refused = place.protect(f"{slow.host}/x:1")
        assert time.monotonic() - begun < 10
        ended.set()
    assert refused.status_code == 504
    assert f"image `{slow.host}/x:1` of container `web0`" in refused.json()["err"]


def test_records_stand_in_for_a_registry_that_is_gone(
    tmp_path: Path, registry: tuple[Registry, dict[str, str]]
) -> None:
    """With the registry down the recorded entrypoint is used; a Console that was started anew has it still."""
    running, digests = registry
    home = tmp_path / "registry"
    home.mkdir()
    shutil.copytree(running.ca.parent / "data", home / "data")
    auth = {"htpasswd": {"realm": "test", "path": str(running.ca.parent / "htpasswd")}}
    with running_console(tmp_path / "data", embedder=TaskEmbedder(), image_tag_seconds=0) as console:
        console.sign_up()
        with docker_registry(home, running.ca, auth=auth, push_headers=lambda _name: basic(*LOGIN)) as second:
            place = Place(console, second, digests)
            known(place)
            assert place.protect(place.image).status_code == 200
    with running_console(tmp_path / "data", embedder=TaskEmbedder(), image_tag_seconds=0) as console:
        console.log_in()
        place = Place(console, second, digests)
        answer = place.protect(place.image)
        assert answer.status_code == 200, answer.text
        assert answer.json()["containerDefinitions"][0]["entryPoint"] == STARTS
        pinned = place.protect(f"{second.host}/team/tool@{digests['index']}")
        assert pinned.status_code == 200
        unknown = place.protect(f"{second.host}/team/tool:other")
        assert unknown.status_code == 502
