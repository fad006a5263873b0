"""Dockerfiles over the API: what comes back, and what is refused."""

import base64
import io
import json
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.channel.running import ConsoleUnderTest, running_console
from tests.registry.servers import ENTRYPOINT, HTPASSWD, LOGIN, basic, certificate, docker_registry, push_family

from bartizan.services.embed_dockerfile import archive_name

DOCKERFILE = 'FROM debian:12\nUSER app\nENTRYPOINT ["/usr/bin/app", "serve"]\n'
BODY = {"appID": "shop:1", "consoleAddr": "localhost", "dataFolder": "/bartizan/", "dockerfile": DOCKERFILE}
PATH = "/defenders/app-embedded"


def ask(console: ConsoleUnderTest, **changed: Any) -> httpx.Response:
    """Send the vendor's request with some fields changed; None leaves a field out."""
    body = {name: value for name, value in {**BODY, **changed}.items() if value is not None}
    with console.client() as client:
        return client.post(PATH, json=body)


def unpacked(answer: httpx.Response) -> zipfile.ZipFile:
    """Return the archive of an answer."""
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def defenders(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the Defenders in an archive by the names of their tar files; each must be root's and executable."""
    found = {}
    for name in archive.namelist():
        if name.endswith(".tar"):
            with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as tar:
                member = tar.getmember("bartizan/defender")
                assert (member.mode, member.uid, member.gid) == (0o755, 0, 0)
                file = tar.extractfile(member)
                assert file is not None
                found[name] = file.read()
    return found


def test_the_archive_has_dockerfile_and_defender(console: ConsoleUnderTest) -> None:
    """The ZIP holds the protected Dockerfile with this Console's bundle, and the binary as it is, executable."""
    answer = ask(console)
    archive = unpacked(answer)

    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="app_embedded_embed_shop_1.zip"'
    text = archive.read("Dockerfile").decode()
    assert "/bartizan/defender" in text
    bundle = base64.b64encode(json.dumps(console.bundle(), separators=(",", ":")).encode()).decode()
    assert bundle in text
    binary = (console.directory.parent / "defender").read_bytes()
    assert defenders(archive) == {"bartizan/defender-amd64.tar": binary}


def test_several_addresses_of_the_console(console: ConsoleUnderTest) -> None:
    """`consoleAddr` may name several, separated by commas: the first one is `WS_ADDRESS`, the bundle has all."""
    text = unpacked(ask(console, consoleAddr="127.0.0.1,localhost")).read("Dockerfile").decode()

    port = console.running.channel_port
    found = re.search(r"INSTALL_BUNDLE=(\S+)", text)
    assert found is not None
    bundle = json.loads(base64.b64decode(found[1]))
    assert bundle["addresses"] == [f"wss://127.0.0.1:{port}", f"wss://localhost:{port}"]
    assert f"WS_ADDRESS=wss://127.0.0.1:{port} " in text


def test_the_archive_is_the_same_each_time(console: ConsoleUnderTest) -> None:
    """The same request gives the same bytes, so that a pipeline's cache holds."""
    assert ask(console).content == ask(console).content


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"appID": None}, "appID"),
        ({"dockerfile": None}, "dockerfile"),
        ({"appID": ""}, "app_id"),
        ({"appID": 7}, "appID"),
        ({"appID": "s" * 513}, "512"),
        ({"appID": "a\nRUN evil"}, "app_id"),
        ({"dockerfile": ""}, "Dockerfile"),
        ({"dockerfile": "RUN true"}, "line 1"),
        ({"dataFolder": "relative"}, "relative"),
        ({"dataFolder": "/a/../b"}, "/a/../b"),
        ({"consoleAddr": "other.test"}, "other.test"),
        ({"target": "nowhere"}, "nowhere"),
        ({"failMode": "perhaps"}, "failMode"),
        ({"architecture": "riscv64"}, "architecture"),
        ({"surprise": True}, "surprise"),
        ({"dockerfile": "FROM debian:12\n", "extractEntrypoint": False}, "debian:12"),
        ({"dockerfile": "FROM localhost:9/none\n"}, "localhost:9/none"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(console: ConsoleUnderTest, changed: dict[str, Any], named: str) -> None:
    """A missing, wrong or unknown field gives 400 and one sentence that names it; the bundle is never in it."""
    answer = ask(console, **changed)

    assert answer.status_code == 400
    assert named in answer.json()["err"]
    assert "\n" not in answer.json()["err"]
    assert console.bundle()["secret"] not in answer.text


def test_what_the_base_image_starts_can_be_told(console: ConsoleUnderTest) -> None:
    """`docker inspect` of the base image, as it is, stands in for a look-up."""
    config = {"Entrypoint": ["/docker-entrypoint.sh"], "Cmd": None, "Env": ["A=1"]}

    text = unpacked(ask(console, dockerfile="FROM debian:12\n", baseImage=config)).read("Dockerfile").decode()

    assert "/docker-entrypoint.sh" in text


def test_the_base_images_registry_is_asked(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """What a file inherits is looked up with the Console's own credential, user and shell of the image included."""
    pem = certificate(tmp_path)
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    with docker_registry(tmp_path, pem, auth=auth, push_headers=lambda _repository: basic(*LOGIN)) as registry:
        push_family(registry, "team/tool", tmp_path)
        authority = pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :]
        url = f"https://{registry.host}"
        secret = {"_id": "tester", "type": "basic", "accountID": LOGIN[0], "secret": {"plain": LOGIN[1]}, "url": url}
        with console.client() as client:
            assert client.post("/credentials", json=secret).status_code == 200
            specification = {"version": "2", "registry": url, "caCert": authority, "credentialID": "tester"}
            assert client.post("/settings/registry", json=specification).status_code == 200
        dockerfile = f"FROM {registry.host}/team/tool:1\nLABEL a=b\n"
        text = unpacked(ask(console, dockerfile=dockerfile)).read("Dockerfile").decode()
    entrypoint = json.dumps(["/bartizan/defender", "app-embedded", *ENTRYPOINT], ensure_ascii=False)
    assert f"ENTRYPOINT {entrypoint}" in text
    assert 'CMD ["--for", "amd64"]' in text


def test_an_image_that_cannot_be_asked_matters_only_when_it_must_be_known(console: ConsoleUnderTest) -> None:
    """A shell form is taken to be for `/bin/sh` when the registry of its image does not answer."""
    text = unpacked(ask(console, dockerfile="FROM localhost:9/none\nENTRYPOINT exec app\n")).read("Dockerfile").decode()

    assert 'ENTRYPOINT ["/bartizan/defender", "app-embedded", "/bin/sh", "-c", "exec app"]' in text


def test_an_architecture_without_binary_is_missing(console: ConsoleUnderTest) -> None:
    """A Console that has no Defender for arm64 says so when it is asked for one."""
    answer = ask(console, architecture="arm64")

    assert answer.status_code == 404
    assert "arm64" in answer.json()["err"]


def test_both_architectures_are_in_the_archive(tmp_path: Path) -> None:
    """With two binaries the archive serves both, and each is told apart by its bytes."""
    files = {}
    for name in ("defender_amd64", "defender_arm64"):
        files[name] = tmp_path / name
        files[name].write_bytes(b"\x7fELF" + name.encode())
    with running_console(tmp_path / "data", **files) as console:
        console.sign_up()
        archive = unpacked(ask(console))
        with console.client() as client:
            bundle = client.get("/defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
    assert defenders(archive) == {
        f"bartizan/{name.replace('_', '-')}.tar": path.read_bytes() for name, path in files.items()
    }
    assert bundle["defenderArchitectures"] == ["amd64", "arm64"]


@pytest.mark.parametrize(
    ("app_id", "name"),
    [
        ("shop", "app_embedded_embed_shop.zip"),
        ("shop:7d-1", "app_embedded_embed_shop_7d-1.zip"),
        ("../../etc/passwd", "app_embedded_embed_.._.._etc_passwd.zip"),
        ('a"\r\nb', "app_embedded_embed_a___b.zip"),
        ("s" * 999, f"app_embedded_embed_{'s' * 200}.zip"),
    ],
)
def test_the_archives_name_fits_any_file_system(app_id: str, name: str) -> None:
    """Whatever the App ID holds, the name is one file name and one header value."""
    assert archive_name(app_id) == name
