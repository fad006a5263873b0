"""Docker's configuration file and the helper programs it names."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.registry import Credential, ImageError, docker_config_credentials, run_credential_helper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def encoded(user: str, password: str) -> str:
    """Encode a login as Docker does."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def no_helper(program: str, key: str) -> str:
    """Stand where no helper may be run."""
    raise AssertionError((program, key))


def read(config: object) -> Mapping[str, Credential]:
    """Read a configuration that names no helpers."""
    return docker_config_credentials(json.dumps(config), run_helper=no_helper)


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "registry-1.docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("quay.io", "quay.io"),
        ("https://quay.io", "quay.io"),
        ("http://quay.io/v1/", "quay.io"),
        ("registry:5000", "registry:5000"),
        ("https://registry:5000/path", "registry:5000"),
        ("QUAY.io", "quay.io"),
    ],
)
def test_a_registry_is_found_under_its_keys(key: str, host: str) -> None:
    """Docker wrote keys in several forms over the years; the host and port are what counts."""
    found = read({"auths": {key: {"auth": encoded("u", "p:w")}}})

    assert found[host] == Credential(kind="basic", user="u", secret="p:w")
    assert host + ":1" not in found
    assert len(found) == 1


def test_the_exact_key_wins() -> None:
    """Docker Hub's own key goes before another that means it, and the host before an address."""
    found = read(
        {
            "auths": {
                "http://quay.io/v1/": {"auth": encoded("old", "x")},
                "quay.io": {"auth": encoded("new", "x")},
                "docker.io": {"auth": encoded("old", "x")},
                "https://index.docker.io/v1/": {"auth": encoded("new", "x")},
            }
        }
    )
    assert [found[host].user for host in ("quay.io", "docker.io")] == ["new", "new"]


def test_tokens_go_before_passwords() -> None:
    """An identity token is for the token service, a registry token for the registry, and empty entries are none."""
    found = read(
        {
            "auths": {
                "a.example": {"auth": encoded("u", "p"), "identitytoken": "refresh"},
                "b.example": {"registrytoken": "bearer"},
                "c.example": {},
                "d.example": {"username": "u", "password": "p"},
            }
        }
    )
    assert found["a.example"] == Credential(kind="identity", user="u", secret="refresh")
    assert found["b.example"] == Credential(kind="token", secret="bearer")
    assert "c.example" not in found
    assert found["d.example"] == Credential(kind="basic", user="u", secret="p")
    assert list(found) == ["a.example", "b.example", "d.example"]
    assert "refresh" not in repr(found) + repr(found["a.example"])


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `docker-credential-desk`, which keeps what it was asked and knows `quay.io` and Docker Hub."""
    program = tmp_path / "docker-credential-desk"
    program.write_text(
        "#!/bin/sh\n"
        'read -r key\necho "$1 $key" >> "$0.log"\n'
        'case "$key" in\n'
        'quay.io) echo \'{"ServerURL":"quay.io","Username":"u","Secret":"s3cret"}\';;\n'
        'https://index.docker.io/v1/) echo \'{"Username":"<token>","Secret":"refresh"}\';;\n'
        "broken.example) echo 's3cret is not JSON';;\n"
        "angry.example) echo 's3cret leaked' >&2; exit 3;;\n"
        "slow.example) exec sleep 60;;\n"
        "*) echo 'credentials not found in native keychain'; exit 1;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return program


def test_a_store_is_asked_for_every_registry(helper: Path) -> None:
    """With `credsStore` the program decides, once per registry, and Docker Hub goes by its key."""
    text = json.dumps({"auths": {"quay.io": {}}, "credsStore": "desk"})
    found = docker_config_credentials(text, run_helper=run_credential_helper)

    assert found["quay.io"] == found["quay.io"] == Credential(kind="basic", user="u", secret="s3cret")
    assert found["docker.io"] == Credential(kind="identity", secret="refresh")
    assert found.get("other.example") is None
    asked = (helper.parent / "docker-credential-desk.log").read_text().splitlines()
    assert asked == ["get quay.io", "get https://index.docker.io/v1/", "get other.example"]


@pytest.mark.usefixtures("helper")
def test_a_helper_of_one_registry_goes_before_the_file() -> None:
    """`credHelpers` names the program for one registry; the others stay with the file."""
    text = json.dumps(
        {
            "auths": {"quay.io": {"auth": encoded("file", "x")}, "a.example": {"auth": encoded("file", "x")}},
            "credHelpers": {"https://quay.io": "desk"},
        }
    )
    found = docker_config_credentials(text, run_helper=run_credential_helper)

    assert (found["quay.io"].user, found["a.example"].user) == ("u", "file")


@pytest.mark.usefixtures("helper")
def test_helpers_that_fail_are_named_without_their_words() -> None:
    """A program that fails, prints nonsense, is not there or takes too long is one error, which repeats no secret."""
    cases = {
        "broken.example": "printed what cannot be read",
        "angry.example": "failed with exit code 3",
        "slow.example": "did not answer in time",
    }

    def limit(key: str) -> float:
        return 0.3 if key == "slow.example" else 30.0

    for host, message in cases.items():
        found = docker_config_credentials(
            json.dumps({"credHelpers": {host: "desk"}}),
            run_helper=lambda program, key: run_credential_helper(program, key, seconds=limit(key)),
        )
        with pytest.raises(ImageError, match=message) as caught:
            found[host]
        assert "s3cret" not in str(caught.value)
    missing = docker_config_credentials('{"credsStore": "nowhere"}', run_helper=run_credential_helper)
    with pytest.raises(ImageError, match="`docker-credential-nowhere`: it cannot be run"):
        missing["a.example"]


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[]",
        "{",
        "null",
        '{"auths": [1]}',
        '{"auths": {"a": 1}}',
        '{"credHelpers": [1]}',
        '{"credHelpers": {"a": "../../bin/sh"}}',
        '{"credHelpers": {"a": "x y"}}',
        '{"credsStore": "/bin/sh"}',
        '{"credsStore": 1}',
        '{"credsStore": "-c"}',
        "[" * 100_000,
    ],
)
def test_files_that_cannot_be_right_are_refused(config: str) -> None:
    """Wrong JSON, wrong types, and helpers that would leave the search path are refused before anything is run."""
    with pytest.raises(ImageError, match="Docker's configuration file"):
        docker_config_credentials(config, run_helper=no_helper)


@pytest.mark.parametrize("auth", ["s3cret!", "czNjcmV0", "/////w==", 7])
def test_an_entry_that_cannot_be_read_is_named_without_its_content(auth: object) -> None:
    """The registry is named, the secret is not, and other registries stay usable."""
    found = read({"auths": {"a.example": {"auth": auth}, "b.example": {"auth": encoded("u", "p")}}})

    assert found["b.example"].user == "u"
    with pytest.raises(ImageError, match=r"a\.example") as caught:
        found["a.example"]
    assert "s3cret" not in str(caught.value)


logins = st.tuples(st.text(max_size=12).filter(lambda user: ":" not in user), st.text(max_size=12))
hosts = st.from_regex(r"[a-z]{1,8}\.example(:[1-9][0-9]{1,3})?", fullmatch=True)


@given(st.dictionaries(hosts, logins, max_size=4))
def test_what_docker_writes_is_read_back(auths: dict[str, tuple[str, str]]) -> None:
    """Any login that Docker can store is found again under its registry, and under no other."""
    found = read({"auths": {host: {"auth": encoded(*login)} for host, login in auths.items()}})

    kept = {host: (item.user, item.secret) for host, item in found.items()}
    wanted = {host: (user, password.strip("\0")) for host, (user, password) in auths.items()}
    assert kept == {host: login for host, login in wanted.items() if any(login)}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["auths", "credHelpers", "credsStore", "auth", "identitytoken", "a.b"]), inner
        )
    ),
    max_leaves=15,
)


@given(json_values | st.text(max_size=30))
def test_any_text_is_read_or_refused(document: object) -> None:
    """Whatever the file and the helper say, there are credentials or an `ImageError`, nothing else."""
    text = document if isinstance(document, str) else json.dumps(document)
    try:
        found = docker_config_credentials(text, run_helper=lambda _program, _key: text)
        for host in ("a.b", "docker.io"):
            assert isinstance(found.get(host), Credential | None)
    except ImageError:
        return
