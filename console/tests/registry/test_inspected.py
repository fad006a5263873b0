"""The output of `docker image inspect`, of podman and of skopeo, instead of a registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.servers import digest_of, make_image

from bartizan.registry import Access, ImageError, look_up_source, parse_platform
from bartizan.registry.image import parse_config
from bartizan.registry.inspected import parse_inspected

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = digest_of(b"nginx")
NGINX: dict[str, object] = {
    "Id": digest_of(b"id"),
    "RepoTags": ["nginx:1.25", "registry:5000/mirror/nginx:x"],
    "RepoDigests": [f"nginx@{DIGEST}", f"registry:5000/mirror/nginx@{digest_of(b'mirror')}"],
    "Architecture": "amd64",
    "Os": "linux",
    "Config": {
        "Entrypoint": ["/docker-entrypoint.sh"],
        "Cmd": ["nginx", "-g", "daemon off;"],
        "User": "",
        "Env": ["PATH=/usr/bin"],
        "StopSignal": "SIGQUIT",
        "Shell": None,
    },
}


def inspect(home: Path, document: object, name: str | None = None, architecture: str = "amd64", code: str = "utf-8"):  # noqa: ANN201
    """Look up in a file with `document`."""
    path = home / "inspected.json"
    path.write_text(json.dumps(document), encoding=code)
    return look_up_source(f"inspect:{path}", access=Access(), architecture=architecture, name=name)


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("document", [NGINX, [NGINX]])
def test_a_list_or_an_object_is_read(tmp_path: Path, document: object, code: str) -> None:
    """Docker prints a list, `--format json` an object, and PowerShell writes either with a mark at its start."""
    found = inspect(tmp_path, document, name="docker.io/library/nginx:1.25", code=code)

    assert found.config.entrypoint == ("/docker-entrypoint.sh",)
    assert found.config.cmd == ("nginx", "-g", "daemon off;")
    assert found.config.stop_signal == "SIGQUIT"
    assert (found.digest, found.manifest_digest, found.origin) == (DIGEST, None, "inspect")
    assert found.reference == "docker.io/library/nginx:1.25"


def test_the_digest_is_of_the_repository_that_is_meant(tmp_path: Path) -> None:
    """An image with two homes has two digests; without a name none is guessed."""
    assert inspect(tmp_path, NGINX, name="registry:5000/mirror/nginx:x").digest == digest_of(b"mirror")
    assert inspect(tmp_path, NGINX).digest is None
    assert inspect(tmp_path, NGINX | {"RepoDigests": []}, name="nginx:1.25").digest is None


def test_podman_and_skopeo_are_read(tmp_path: Path) -> None:
    """Podman tells the digest by itself; `skopeo inspect --config` prints the configuration in small letters."""
    assert inspect(tmp_path, [NGINX | {"Digest": DIGEST}]).digest == DIGEST
    skopeo = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/a"]}}
    assert inspect(tmp_path, skopeo).config.entrypoint == ("/a",)


def test_one_of_several_is_picked_by_name_and_platform(tmp_path: Path) -> None:
    """The reference picks, then the architecture; what is still open is refused."""
    other = NGINX | {"RepoTags": ["other:1"], "RepoDigests": [], "Config": {"Entrypoint": ["/other"]}}
    arm = NGINX | {"Architecture": "arm64", "Config": {"Entrypoint": ["/arm"]}}

    assert inspect(tmp_path, [NGINX, other, arm], name="other:1").config.entrypoint == ("/other",)
    assert inspect(tmp_path, [NGINX, arm], architecture="ARM64").config.entrypoint == ("/arm",)
    with pytest.raises(ImageError, match="holds 2 images that fit"):
        inspect(tmp_path, [NGINX, other])
    with pytest.raises(ImageError, match=r"no image for `linux/arm64`: it has `linux/amd64`$"):
        inspect(tmp_path, NGINX, architecture="arm64")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "holds no image"),
        ("x", "holds no image"),
        ([1], "holds no image"),
        ({"Architecture": "amd64"}, "no `Config`"),
        ([NGINX | {"State": {}}], "describes a container"),
        ([NGINX | {"Os": "windows"}], "another system"),
        ([NGINX | {"Config": {"Entrypoint": "sh"}}], "`Entrypoint` that is not a list"),
        ([NGINX | {"Digest": "x"}], "only `sha256:`"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, document: object, message: str) -> None:
    """Each mistake gets a sentence that names the file."""
    with pytest.raises(ImageError, match=message) as caught:
        inspect(tmp_path, document)
    assert "inspected.json" in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A file that is missing, no JSON, or endless gets one clear error."""
    (tmp_path / "text").write_text("Error: No such image")
    with (tmp_path / "big").open("wb") as sink:
        sink.truncate((16 << 20) + 1)
    for name, message in (("none", "cannot be read"), ("text", "is not JSON"), ("big", "more than 16777216 bytes")):
        with pytest.raises(ImageError, match=message):
            look_up_source(f"inspect:{tmp_path / name}", access=Access())


@pytest.mark.parametrize("form", ["archive", "oci"])
def test_layouts_and_archives_give_the_same(tmp_path: Path, form: str) -> None:
    """The architecture of a local image is checked too, and its digest is the one a registry would give it."""
    image = make_image(tmp_path, "arm64")
    listed = json.loads((image / "index.json").read_text())["manifests"][0]["digest"]
    if form == "archive":
        import tarfile  # noqa: PLC0415 - one case of two

        with tarfile.open(tmp_path / "image.tar", "w") as tar:
            tar.add(image, arcname=".")
            for path in image.rglob("*"):
                tar.add(path, arcname=str(path.relative_to(image)), recursive=False)
        image = tmp_path / "image.tar"
    found = look_up_source(f"{form}:{image}", access=Access(), architecture="arm64")

    assert (found.digest, found.manifest_digest, found.architecture) == (listed, listed, "arm64")
    with pytest.raises(ImageError, match=r"no image for `linux/amd64`: it has `linux/arm64`$"):
        look_up_source(f"{form}:{image}", access=Access())


values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=6) | st.sampled_from(["linux", "amd64", DIGEST, "nginx:1.25"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Config",
                    "config",
                    "Os",
                    "os",
                    "Architecture",
                    "RepoTags",
                    "RepoDigests",
                    "Digest",
                    "Entrypoint",
                    "Volumes",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(values)
def test_any_json_is_an_image_or_an_error(document: object) -> None:
    """Whatever the file or the registry holds, words are lists of strings or there is an `ImageError`."""
    content = json.dumps(document).encode()
    for parse in (
        lambda: parse_inspected(content, what="`x`", name="nginx:1.25", wanted=parse_platform("")).config,
        lambda: parse_config(content, "`x`"),
    ):
        try:
            config = parse()
        except ImageError:
            continue
        assert all(isinstance(word, str) for word in (*config.entrypoint, *config.cmd, *config.volumes))
