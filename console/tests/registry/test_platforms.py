"""Which manifest of an index is meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.servers import OCI_INDEX, OCI_MANIFEST, digest_of

from bartizan.registry import ImageError, Platform, parse_platform
from bartizan.registry.manifests import resolve
from bartizan.registry.platforms import choose


def line(name: str, *platform: str, media_type: str = OCI_MANIFEST) -> dict[str, object]:
    """Make a line of an index; `platform` is operating system, architecture and perhaps variant."""
    made: dict[str, object] = {"mediaType": media_type, "digest": digest_of(name.encode()), "size": 1}
    return made | (
        {"platform": dict(zip(("os", "architecture", "variant"), platform, strict=False))} if platform else {}
    )


def chosen(wanted: str, *lines: dict[str, object]) -> list[str]:
    """Return the digests that `choose` gives."""
    return [item.digest for item in choose({"manifests": list(lines)}, parse_platform(wanted), "the index")]


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("", Platform("amd64")),
        ("X86_64", Platform("amd64")),
        ("ARM64", Platform("arm64")),
        ("aarch64", Platform("arm64")),
        ("linux/arm64/v8", Platform("arm64")),
        ("arm/v6", Platform("arm", "v6")),
        ("linux/amd64/v3", Platform("amd64", "v3")),
    ],
)
def test_platforms_are_read_in_every_spelling(text: str, platform: Platform) -> None:
    """Docker's, ECS's and the kernel's names mean the same."""
    assert parse_platform(text) == platform


@pytest.mark.parametrize("text", ["windows/amd64", "linux", "linux/arm64/v8/x", "a b", "linux/", "é"])
def test_other_platforms_are_refused(text: str) -> None:
    """Only linux runs, and what is no platform is said to be none."""
    with pytest.raises(ImageError, match="is not understood"):
        parse_platform(text)


def test_the_usual_variant_is_preferred() -> None:
    """An image for a newer processor than the wanted one is not taken, an older one only when there is no better."""
    old, usual, new = (line(name, "linux", "arm", name) for name in ("v6", "v7", "v8"))

    assert chosen("arm", new, old, usual) == [usual["digest"]]
    assert chosen("arm", new, old) == [old["digest"]]
    with pytest.raises(ImageError, match=r"`linux/arm`: it has `linux/arm/v8`"):
        chosen("arm", new)
    plain = line("plain", "linux", "amd64")
    assert chosen("amd64", line("fast", "linux", "amd64", "v3"), plain) == [plain["digest"]]


def test_other_systems_and_attestations_are_passed_over() -> None:
    """Windows has amd64 too, and an attestation is no image."""
    right = line("right", "linux", "amd64")
    assert chosen("amd64", line("w", "windows", "amd64"), line("u", "unknown", "unknown"), right) == [right["digest"]]
    with pytest.raises(ImageError, match=r"it has `windows/amd64`$"):
        chosen("amd64", line("w", "windows", "amd64"), line("u", "unknown", "unknown"))
    with pytest.raises(ImageError, match="it has none"):
        chosen("amd64", line("u", "unknown", "unknown"))


def test_a_single_line_without_platform_is_taken() -> None:
    """An index of one image need not say for what it is; of two, none is guessed."""
    assert chosen("amd64", line("only")) == [line("only")["digest"]]
    with pytest.raises(ImageError, match="no image for"):
        chosen("amd64", line("one"), line("two"))


def nest(depth: int) -> tuple[bytes, dict[str, bytes]]:
    """Nest indexes; return the outermost and all by digest."""
    inner = json.dumps({"config": {"digest": digest_of(b"c")}, "layers": []}).encode()
    blobs = {digest_of(inner): inner}
    for level in range(depth):
        entry = {"digest": digest_of(inner), "mediaType": OCI_INDEX if level else OCI_MANIFEST}
        inner = json.dumps({"manifests": [entry]}).encode()
        blobs[digest_of(inner)] = inner
    return inner, blobs


def test_nesting_is_followed_and_bounded() -> None:
    """Three indexes in each other are read; a fourth is refused, and so is one that needs too many manifests."""

    def find(content: bytes, blobs: dict[str, bytes]) -> str:
        amd64 = Platform("amd64")
        return resolve(content, "", media_type="", wanted=amd64, fetch=blobs.__getitem__, what="the index").config

    assert find(*nest(3)) == digest_of(b"c")
    with pytest.raises(ImageError, match="nested too deeply"):
        find(*nest(4))
    empty = json.dumps({"manifests": []}).encode()
    wide = json.dumps({"manifests": [line(str(item), media_type=OCI_INDEX) for item in range(9)]}).encode()
    blobs = {digest_of(str(item).encode()): empty for item in range(9)}
    with pytest.raises(ImageError, match="more than 8 manifests"):
        find(wide, blobs)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "old schema 1"),
        ({"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}, "old schema 1"),
        ({"config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}, "layers": []}, "no image that can run"),
        ({"config": {"digest": "sha256:12"}, "layers": []}, "only `sha256:`"),
        ({"config": {"digest": digest_of(b"")}, "layers": [{}] * 513}, "at most 512"),
        ({"config": {"digest": digest_of(b"")}, "layers": ["x"]}, "only `sha256:`"),
        ({"config": [], "layers": []}, "no `config` and `layers`"),
        ({"manifests": [], "layers": []}, "an index and a manifest at once"),
        ({"manifests": [], "config": {}}, "an index and a manifest at once"),
        ({"manifests": [1]}, "not a list of objects"),
        ({"manifests": {}}, "not a list of objects"),
        ({"manifests": [{}] * 1025}, "at most 1024"),
        ({"manifests": [{"digest": "../../etc/passwd"}]}, "only `sha256:`"),
    ],
)
def test_what_is_no_image_is_refused_with_words(document: dict[str, object], message: str) -> None:
    """Old schemas, charts and nonsense each get one sentence."""
    with pytest.raises(ImageError, match=message):
        resolve(
            json.dumps(document).encode(),
            "",
            media_type="",
            wanted=Platform("amd64"),
            fetch=lambda _digest: b"",
            what="the manifest",
        )


def test_what_a_registry_says_cannot_steer_a_terminal() -> None:
    """Escape sequences, and marks that turn the direction of writing, are not repeated in an error."""
    kind = "\x1b[31mred\u202e\r\nfake line"
    content = json.dumps({"config": {"mediaType": kind}, "layers": []}).encode()
    with pytest.raises(ImageError, match="no image that can run") as caught:
        resolve(content, "", media_type="", wanted=Platform("amd64"), fetch=lambda _: b"", what="the manifest")
    assert str(caught.value).isprintable()
    assert "\u202e" not in str(caught.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from([OCI_INDEX, digest_of(b""), "linux"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["manifests", "config", "layers", "digest", "platform", "os", "architecture", "mediaType", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_resolved_or_refused(document: object) -> None:
    """Whatever a registry sends as a manifest, it gives digests that are digests, or an `ImageError`."""
    content = json.dumps(document).encode()
    try:
        found = resolve(
            content, "", media_type="", wanted=Platform("amd64"), fetch=lambda _digest: content, what="the manifest"
        )
    except ImageError:
        return
    assert all(len(item) == 71 for item in (found.config, *found.layers))
