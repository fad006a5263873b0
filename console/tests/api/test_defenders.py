"""Install bundles, protected definitions, the tarball, the list, and the settings around them."""

import base64
import gzip
import io
import json
import ssl
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.channel.running import ConsoleUnderTest, DefenderEnd

TASK = {"family": "shop", "containerDefinitions": [{"name": "web", "image": "shop:1", "entryPoint": ["/shop"]}]}


def test_the_bundle_has_address_pin_and_secret(console: ConsoleUnderTest) -> None:
    """The two names of the vendor's answer hold the same bundle, and it says where to call and whom to trust."""
    with console.client() as client:
        answer = client.get("/defenders/install-bundle", params={"consoleaddr": "console.test"}).json()
    assert answer["bundle"] == answer["installBundle"]
    bundle = json.loads(base64.b64decode(answer["bundle"]))
    address = f"wss://console.test:{console.running.channel_port}"
    assert bundle["addresses"] == [address]
    assert answer["wsAddress"] == address
    assert bundle["pins"] == [console.running.ca_pin]
    assert (bundle["v"], len(bundle["secret"])) == (1, 43)
    assert answer["defenderImage"] == f"bartizan/defender:{answer['version']}"


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("localhost", "localhost", "channel"),
        ("LOCALHOST.", "localhost", "channel"),
        ("localhost:{api}", "localhost", "channel"),
        ("localhost:{channel}", "localhost", "channel"),
        ("localhost:443", "localhost", "443"),
        ("127.0.0.1", "127.0.0.1", "channel"),
        ("::1", "[::1]", "channel"),
        ("[::1]:{api}", "[::1]", "channel"),
        ("[0:0::1]", "[::1]", "channel"),
    ],
)
def test_the_address_of_the_console_is_that_of_the_channel(
    console: ConsoleUnderTest, given: str, host: str, port: str
) -> None:
    """`consoleaddr` may be a host or host:port; the API's port becomes the channel's."""
    ports = {"api": console.running.api_port, "channel": console.running.channel_port}
    with console.client() as client:
        answer = client.get("/defenders/install-bundle", params={"consoleaddr": given.format(**ports)})
    assert answer.json()["wsAddress"] == f"wss://{host}:{ports.get(port, port)}"


@pytest.mark.parametrize(
    "given", ["other.test", "10.255.255.1", "a b", "localhost:x", "localhost:0", "-", "https://localhost"]
)
def test_an_address_that_the_certificate_lacks_is_refused(console: ConsoleUnderTest, given: str) -> None:
    """A Defender would not trust the Console there, so the bundle is not given out."""
    with console.client() as client:
        answer = client.get("/defenders/install-bundle", params={"consoleaddr": given})
    assert answer.status_code == 400
    assert "err" in answer.json()


def test_an_unknown_name_is_told_how_to_be_added(console: ConsoleUnderTest) -> None:
    """The refusal names the call that adds a name."""
    with console.client() as client:
        answer = client.get("/defenders/install-bundle", params={"consoleaddr": "new.test"})
    assert "POST /api/v1/settings/certs" in answer.json()["err"]


def test_a_new_name_is_used_at_once(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """The list is replaced, both ports show a certificate with the new name, and open sessions go on."""
    end = DefenderEnd(console, console.bundle(), tmp_path)
    end.connect()
    with console.client() as client:
        before = client.get("/settings/certs").json()
        assert client.post("/settings/certs", json={"consoleSAN": ["new.test", "192.0.2.7"]}).status_code == 200
        after = client.get("/settings/certs").json()
        assert after["consoleSAN"] == ["console.test", "new.test", "192.0.2.7", "localhost", "127.0.0.1", "::1"]
        assert after["caExpiration"] == before["caExpiration"]
    for port in (console.running.api_port, console.running.channel_port):
        pem = ssl.get_server_certificate(("localhost", port))
        names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        assert "new.test" in names.value.get_values_for_type(x509.DNSName)
    end.send(end.audits(1))
    assert end.receive()["type"] == "ack"
    end.close()
    with console.client() as client:
        assert client.get("/defenders/install-bundle", params={"consoleaddr": "new.test"}).status_code == 200


@pytest.mark.parametrize("names", [[], ["a b"], ["*"], [""], ["a" * 300], ["1.2.3"], ["x"] * 101])
def test_names_that_no_certificate_can_have_are_refused(console: ConsoleUnderTest, names: list[str]) -> None:
    """A bad list is refused whole."""
    with console.client() as client:
        before = client.get("/settings/certs").json()
        assert client.post("/settings/certs", json={"consoleSAN": names}).status_code == 400
        assert client.get("/settings/certs").json() == before


def protect(console: ConsoleUnderTest, content: bytes, **query: Any) -> Any:
    """Send a definition the way that pipelines do, and return the answer."""
    with console.client() as client:
        return client.post(
            "/defenders/fargate.json",
            params={"consoleaddr": "localhost", **query},
            content=content,
            headers={"Content-Type": "application/json"},
        )


def test_a_definition_is_protected_with_this_consoles_bundle(console: ConsoleUnderTest) -> None:
    """The transform gets bundle, address and image, and its bytes come back as they are."""
    answer = protect(console, json.dumps(TASK).encode(), defenderType="fargate", interpreter="/bin/sh")
    assert answer.status_code == 200
    told = answer.json()["told"]
    assert json.loads(base64.b64decode(told["bundle"])) == console.bundle()
    assert told["address"] == f"wss://localhost:{console.running.channel_port}"
    assert told["image"].startswith("bartizan/defender:")
    assert told["monitoring"] is False


@pytest.mark.parametrize("name", ["filesystemMonitoring", "filestemMonitoring"])
def test_both_spellings_of_file_system_monitoring_are_understood(console: ConsoleUnderTest, name: str) -> None:
    """The vendor's samples misspell it."""
    assert protect(console, b"{}", **{name: "true"}).json()["told"]["monitoring"] is True


def test_image_and_pull_secret_can_be_chosen(console: ConsoleUnderTest) -> None:
    """A private registry's image and the secret for it go to the transform."""
    told = protect(console, b"{}", defenderImage="r.test/d:1", defenderImagePullSecret="arn:aws:x").json()["told"]
    assert (told["image"], told["pullSecret"]) == ("r.test/d:1", "arn:aws:x")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"registryType": "aws"}, "extractEntrypoint"),
        ({"registryCredentialID": "x"}, "extractEntrypoint"),
        ({"extractEntrypoint": "true", "registryType": "quay"}, "registryType"),
        ({"extractEntrypoint": "true", "registryCredentialID": "x"}, "registryCredentialID"),
        ({"defenderType": "docker"}, "defenderType"),
        ({"surprise": "1"}, "surprise"),
        ({"consoleaddr": "other.test"}, "other.test"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(console: ConsoleUnderTest, query: dict[str, str], named: str) -> None:
    """No parameter is ignored in silence."""
    answer = protect(console, b"{}", **query)
    assert answer.status_code == 400
    assert named in answer.json()["err"]


def test_a_refusal_of_the_transform_is_passed_on(console: ConsoleUnderTest) -> None:
    """The reason, with line and column, is what the user sees."""
    answer = protect(console, b"{")
    assert answer.status_code == 400
    assert answer.json() == {"err": "line 1, column 1: not JSON"}


def test_the_tarball_is_the_binary_each_time(console: ConsoleUnderTest) -> None:
    """Both names give the same bytes, with one executable file in them."""
    with console.client() as client:
        first = client.get("/images/twistlock_defender_app_embedded.tar.gz").content
        second = client.get("/images/defender_app_embedded.tar.gz").content
        assert client.get("/images/defender_app_embedded.tar.gz?arch=arm64").status_code == 404
    assert first == second
    assert first == first[:4] + bytes(4) + first[8:]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as archive:
        (member,) = archive.getmembers()
        assert (member.name, member.mode, member.mtime, member.uid) == ("defender", 0o755, 0, 0)
        file = archive.extractfile(member)
        assert file is not None
        assert file.read() == (console.directory.parent / "defender").read_bytes()


def test_the_list_can_be_filtered_and_paged(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """By type, connection, host name and free text; the header tells how many match."""
    bundle = console.bundle()
    fargate = DefenderEnd(console, bundle, tmp_path, app_id="list:fargate")
    alone = ({"container": None, "image": None},)
    embedded = DefenderEnd(console, bundle, tmp_path, app_id="list:embedded", kind="appEmbedded", workloads=alone)
    fargate.connect()
    embedded.connect()
    embedded.send({"type": "goodbye", "reason": "done"})
    assert embedded.link is not None
    with console.client() as client:

        def found(**query: Any) -> list[str]:
            answer = client.get("/defenders", params={"search": "list:", **query})
            assert answer.status_code == 200
            return [item["appID"] for item in answer.json()]

        deadline = 200
        while found(connected="true") != ["list:fargate"] and deadline:
            deadline -= 1
        assert found() == ["list:fargate", "list:embedded"]
        assert found(type="appEmbedded") == ["list:embedded"]
        assert found(connected="false") == ["list:embedded"]
        assert found(hostname="list:fargate") == ["list:fargate"]
        assert found(limit=1, offset=1) == ["list:embedded"]
        answer = client.get("/defenders", params={"search": "list:", "limit": 1})
        assert answer.headers["total-count"] == "2"
        shown = answer.json()[0]
    assert shown["hostname"] == "list:fargate"
    assert (shown["type"], shown["connected"], shown["host"], shown["isARM64"]) == ("fargate", True, "task-host", False)
    assert shown["certificateExpiration"] > shown["lastModified"]
    fargate.close()


def test_the_hour_is_a_setting(console: ConsoleUnderTest) -> None:
    """How long a disconnected Defender stays listed can be read and changed."""
    with console.client() as client:
        assert client.get("/settings/defender").json() == {"appEmbeddedDisconnectedMinutes": 60}
        assert client.post("/settings/defender", json={"appEmbeddedDisconnectedMinutes": 0}).status_code == 400
        assert client.post("/settings/defender", json={"appEmbeddedDisconnectedMinutes": 90}).status_code == 200
        assert client.get("/settings/defender").json() == {"appEmbeddedDisconnectedMinutes": 90}


def test_the_authority_can_be_fetched(console: ConsoleUnderTest) -> None:
    """Clients that want to verify the Console get its authority's certificate."""
    with console.client(token="") as client:
        assert client.get("/certs/ca.pem").text == console.running.ca_file.read_text()
