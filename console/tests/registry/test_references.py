"""References read as Docker reads them."""

from __future__ import annotations

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.outgoing.network import Network
from bartizan.registry import Access, ImageError, look_up, parse_reference

HUB = "registry-1.docker.io"
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag"),
    [
        ("nginx", HUB, "library/nginx", "latest"),
        ("a/b:1", HUB, "a/b", "1"),
        ("docker.io/nginx", HUB, "library/nginx", "latest"),
        ("docker.io/library/nginx:1", HUB, "library/nginx", "1"),
        ("index.docker.io/a/b", HUB, "a/b", "latest"),
        ("DOCKER.IO/nginx", HUB, "library/nginx", "latest"),
        ("localhost/c", "localhost", "c", "latest"),
        ("localhost:5000/c", "localhost:5000", "c", "latest"),
        ("registry:5000/team/app:1.2", "registry:5000", "team/app", "1.2"),
        ("registry/team/app", HUB, "registry/team/app", "latest"),
        ("Registry/app", "registry", "app", "latest"),
        ("[fd00::1]:5000/a", "[fd00::1]:5000", "a", "latest"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/x/y:z", "1.dkr.ecr.eu-west-1.amazonaws.com", "x/y", "z"),
        ("a__b/c--d:x", HUB, "a__b/c--d", "x"),
        (f"nginx:1.25@{DIGEST}", HUB, "library/nginx", "1.25"),
    ],
)
def test_references_are_read_as_docker_reads_them(text: str, host: str, repository: str, tag: str) -> None:
    """Host, repository and tag follow the grammar and the defaults of distribution's `reference` package."""
    reference = parse_reference(text)

    assert (reference.host, reference.repository, reference.tag) == (host, repository, tag)


def test_the_registry_has_one_name() -> None:
    """Docker Hub's names are one registry, and case does not make two of another."""
    names = [
        parse_reference(text).registry for text in ("a", "docker.io/a", "index.docker.io/a", "registry-1.docker.io/a")
    ]

    assert set(names) == {"docker.io"}
    assert parse_reference("Quay.IO/a").registry == "quay.io"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nginx",
        "a/B",
        "a:",
        "a@",
        "a@sha256:12",
        "a@md5:" + "0" * 32,
        "a@" + DIGEST.upper(),
        "a//b",
        "/a",
        "a/",
        "-a",
        "a..b",
        "a:1/",
        "host:99999/a",
        "host:0/a",
        "host.example:x/a",
        "user:pass@host.example/a",
        "https://host.example/a",
        "host.example/a?b=c",
        "host.example/a#b",
        "host.example/../a",
        "host.example/a%2f",
        "host.example/a b",
        "host.example/a\r\nx-evil: 1",
        "host.example\r\nx-evil: 1/a",
        "a:1\n",
        "host..example/a",
        "-host.example/a",
        "hoſt.example/a",  # noqa: RUF001 - a letter that becomes an s in capitals
        "аpple/pie",  # noqa: RUF001 - a Cyrillic letter is what is tested
        "a" * 256,
        "a:" + "t" * 129,
        "0" * 64,
    ],
)
def test_what_no_registry_can_have_is_refused(text: str) -> None:
    """Everything outside the grammar is refused in one printable line of ASCII, so that it cannot forge a log."""
    with pytest.raises(ImageError, match=r"^image `") as caught:
        parse_reference(text)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800


@given(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet="aA0.:/@-_[]%?#\\ \r\n\0é", max_size=40),
        st.from_regex(r"[a-z.:/]{0,20}@?(sha256:)?[0-9a-f]{0,64}", fullmatch=True),
    )
)
def test_a_reference_never_reaches_outside_its_path(text: str) -> None:
    """Whatever the text, it is refused or gives host, repository and tag that stay what they are inside a URL."""
    try:
        reference = parse_reference(text)
    except ImageError:
        return
    everything = reference.host + reference.repository + reference.selector
    assert ".." not in reference.repository.split("/")
    assert everything.isascii()
    assert everything.isprintable()
    assert not set("?#@\\ %") & set(everything)
    again = parse_reference(f"{reference.registry}/{reference.repository}:{reference.tag}")
    assert (again.host, again.repository, again.tag) == (reference.host, reference.repository, reference.tag)


@given(
    st.text(max_size=40)
    | st.from_regex(r"(\[[0-9a-f:]{1,20}\]|[0-9a-z.-]{1,30}|xn--[a-z0-9-]{1,9})(:[0-9]{1,5})?/a", fullmatch=True)
)
def test_any_reference_is_looked_up_or_refused(text: str) -> None:
    """Whatever the host looks like, numbers and punycode that are none among them, there is only an `ImageError`."""

    def nobody(_address: str, _port: int, _timeout: float | None) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("nobody is there")

    network = Network(resolve=lambda _host, _port: ["52.94.1.7"], dial=nobody)
    with pytest.raises(ImageError):
        look_up(text, access=Access(network=network))
