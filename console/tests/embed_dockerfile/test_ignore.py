"""Which lines of a `.dockerignore` keep the Defender from the builder."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.embed.dockerfile import is_ignored

_PATH = "bartizan/defender-amd64.tar"


@pytest.mark.parametrize(
    ("rules", "ignored"),
    [
        ("", False),
        ("# bartizan\n\n!bartizan\n", False),
        ("bartizan", True),
        ("\ufeff/bartizan/\r\n", True),
        ("./bartizan/", True),
        ("bartizan/*", True),
        ("bartizan/**", True),
        ("**/*.tar", True),
        ("**", True),
        ("*", True),
        ("*.tar", False),
        ("*/*.tar", True),
        ("b?rtizan", True),
        ("[a-c]artizan", True),
        ("[^b]artizan", False),
        (r"[\b]artizan", True),
        ("[[&&b--]artizan", True),
        (r"\bartizan", True),
        ("bart", False),
        ("bartizan/defender-arm64.tar", False),
        ("[z-a]", False),
        ("*\n!bartizan/", False),
        ("*\n! bartizan", False),
        ("bartizan/*\n!bartizan/", False),
        ("!bartizan\n*", True),
        ("*\n!bartizan\n**/*.tar", True),
    ],
)
def test_rules(rules: str, ignored: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """The last line that matches the file or a folder above it counts."""
    assert is_ignored(_PATH, rules) is ignored


@given(st.text(st.sampled_from("*?[]!^&|~#\\/-.\nbartizan ")))
def test_the_advice_always_helps(rules: str) -> None:
    """Whatever a file says, `!bartizan/` at its end lets the Defender in."""
    assert not is_ignored(_PATH, f"{rules}\n!bartizan/")


@given(st.text(st.sampled_from("bartizn/.-defm64"), min_size=1))
def test_a_name_matches_itself(name: str) -> None:
    """A line without special characters leaves out the file of that name, in whatever folder."""
    path = re.sub(r"/+", "/", name).strip("/")
    if path and not {".", ".."} & set(path.split("/")):
        assert is_ignored(path, path)
