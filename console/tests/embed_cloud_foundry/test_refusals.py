"""What cannot be protected is refused in one sentence, with its place."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.embed_cloud_foundry.manifests import BUNDLE, settings

from bartizan.embed import EmbedError
from bartizan.embed.cloud_foundry import ManifestSettings, is_manifest, protect, read_variables, unprotect, verify

SHOP = "applications:\n- name: shop\n"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "line 1, column 1", "the text is empty"),
        ("- a\n", "line 1, column 1", "it must be a mapping with `applications`"),
        ("a: b\n", "line 1, column 1", "it has no `applications`"),
        ("applications: {}\n", "line 1, column 15", "`applications` must be a list of apps"),
        ("applications: []\n", "line 1, column 15", "`applications` must be a list of apps"),
        ("applications:\n- shop\n", "line 2, column 3", "an app must be a mapping"),
        (SHOP, "line 2, column 3", "`shop` has no command, so the buildpack chooses it at staging"),
        (SHOP + "  command: null\n", "line 2, column 3", "--command shop=LINE"),
        (SHOP + "  command: 80\n", "line 3, column 12", "`command` must be text"),
        (SHOP + "  command: [a, b]\n", "line 3, column 12", "`command` must be text"),
        (SHOP + "  env: [A]\n", "line 3, column 8", "`env` must be a mapping"),
        (SHOP + "  name: x\n", "line 3, column 3", "the key `name` is given twice"),
        (SHOP + "  processes: web\n", "line 3, column 14", "`processes` must be a list"),
        (SHOP + "  processes:\n  - command: a\n", "line 4, column 5", "each of the `processes` needs a `type`"),
        (
            SHOP + "  processes:\n  - type: web\n  - type: web\n",
            "line 5, column 5",
            "two of the `processes` have the type `web`",
        ),
        (SHOP + "  command: a\n- name: shop\n  command: b\n", "line 5, column 12", "two things are called `shop`"),
        (SHOP + "  command: a\n  stack: windows\n", "line 2, column 3", "`shop` runs on Windows"),
        (SHOP + "  docker: {image: x}\n  command: a\n", "line 2, column 3", "`shop` runs an image"),
        (SHOP + "  command: a\n  env: {DATA_FOLDER: /data}\n", "line 4, column 22", "uses the variable `DATA_FOLDER`"),
        (SHOP + "  command: &x a\n  memory: *y\n", "line 4, column 11", "the alias `*y` has no anchor"),
        (SHOP + "\tcommand: a\n", "line 3, column 1", "indented by a tab"),
        ("applications:\n- command: a\n", "line 2, column 3", "this app has no name"),
        (SHOP + "---\na: b\n", "line 3, column 1", "more than one YAML document"),
    ],
)
def test_refusal(text: str, place: str, words: str) -> None:
    """A manifest that cannot be protected says where, what, and what to do."""
    with pytest.raises(EmbedError) as caught:
        protect(text, settings=settings())
    assert str(caught.value).startswith(place + ": ")
    assert words in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"commands": {"shop": "x"}}, "`shop` has a command of its own"),
        ({"commands": {"shap": "x"}}, "nothing is called `shap`"),
        ({"include": ("shap",)}, "nothing is called `shap`"),
        ({"exclude": ("shop",)}, "nothing is left to protect"),
        ({"app_ids": {"shap": "x"}}, "no app is called `shap`"),
    ],
)
def test_choices_that_do_not_fit(choices: dict[str, Any], words: str) -> None:
    """A name that is not there is refused rather than ignored."""
    with pytest.raises(EmbedError, match=words) as caught:
        protect(SHOP + "  command: a\n", settings=settings(**choices))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"install_bundle": None}, "give either an install bundle or the name"),
        ({"bundle_variable": "B"}, "give either an install bundle or the name"),
        ({"install_bundle": "bm8="}, "the install bundle is not one"),
        (
            {"install_bundle": None, "bundle_variable": "a b", "bundle_id": "b", "ws_address": "w"},
            "no name of a variable",
        ),
        ({"install_bundle": None, "bundle_variable": "B"}, "the setting `bundle_id` is empty"),
        ({"fail_mode": "ajar"}, "neither `open` nor `closed`"),
        ({"policy_timeout": 0}, "is no time to wait"),
        ({"image_defender": "defender"}, "no absolute path"),
        ({"image_defender": "/a b"}, "no absolute path"),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, Any], words: str) -> None:
    """Settings are checked when they are made, and never repeat the bundle."""
    with pytest.raises(EmbedError) as caught:
        ManifestSettings(**{"version": "0.1.0", "install_bundle": BUNDLE, **given})
    assert words in caught.value.message
    assert BUNDLE not in repr(settings())


@given(st.one_of(st.text(), st.text(alphabet="-:[]{}#&*! \n\tabcdename'\"|>%@`\r\u0085")))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, each entry either gives a result or raises EmbedError, nothing else."""
    is_manifest(text)
    for entry in (
        lambda: protect(text, settings=settings()),
        lambda: unprotect(text),
        lambda: verify(text, version="1"),
        lambda: read_variables(text),
    ):
        with contextlib.suppress(EmbedError):
            entry()
