"""The gate in front of `cf push`."""

import pytest
from tests.embed_cloud_foundry.manifests import BUNDLE, settings

from bartizan.embed.cloud_foundry import ManifestSettings, protect, verify

TEXT = "applications:\n- name: shop\n  command: npm start\n  processes:\n  - type: worker\n    command: work && x\n"


def codes(text: str, made_with: ManifestSettings | None = None) -> list[tuple[str, str | None]]:
    """Return what is found."""
    return [(found.code, found.container) for found in verify(text, version="0.1.0", settings=made_with)]


def test_an_unprotected_manifest_names_all_that_starts() -> None:
    """Each start is named, at its place."""
    assert codes(TEXT) == [("unprotected", "shop"), ("unprotected", "shop/worker")]
    assert [str(found.where) for found in verify(TEXT, version="0.1.0")] == ["line 3, column 12", "line 6, column 14"]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("exec ./defender app-embedded npm start", "npm start", [("unprotected", "shop")]),
        ("exec ./defender", "exec ./pretender", [("unprotected", "shop"), ("unprotected", "shop/worker")]),
        ("bash -c 'work && x'", "bash -c 'work && x'; evil", [("unprotected", "shop/worker")]),
        ("    DEFENDER_TYPE: appEmbedded\n", "", [("tampered", "shop")]),
        ("    DATA_FOLDER: /tmp\n", "", [("tampered", "shop")]),
        ("  - type: worker", "  - type: other\n    command: x\n  - type: worker", [("unprotected", "shop/other")]),
    ],
)
def test_tampering_is_found(old: str, new: str, found: list[tuple[str, str]]) -> None:
    """A start that was put beside the Defender again, and a variable that is gone, are found."""
    protected = protect(TEXT, settings=settings()).text
    assert codes(protected) == []
    assert old in protected
    assert codes(protected.replace(old, new)) == found


def test_another_bundle_is_stale() -> None:
    """Each app with a bundle that is not the one given is named; a variable may hold any."""
    protected = protect(TEXT, settings=settings()).text
    held = protected.replace(BUNDLE, "((B))")

    assert verify(protected, version="0.1.0", install_bundle=BUNDLE) == []
    assert verify(held, version="0.1.0", install_bundle=BUNDLE) == []
    found = verify(protected, version="0.1.0", install_bundle="eyJv")
    assert [(each.code, each.container, each.where.line) for each in found] == [("stale", "shop", 12)]


def test_another_version_or_other_settings_are_stale() -> None:
    """What would be protected otherwise today is named."""
    protected = protect(TEXT, settings=settings()).text

    assert [found.code for found in verify(protected, version="0.2.0")] == ["stale"]
    assert codes(protected, settings()) == []
    assert [code for code, _ in codes(protected, settings(fail_mode="closed"))] == ["stale"]
