"""Rules of a set that Defenders do not judge by: the same as the Defender tells of them."""

import dataclasses
import json
from pathlib import Path

import pytest

from bartizan.policy.rules_left_out import not_linear, rules_left_out

VECTOR = Path(__file__).resolve().parents[3] / "contract/vectors/rules/left-out.json"


def test_the_console_tells_what_the_defender_tells() -> None:
    """Both are held to the same files: `seclang` of `defender/waf` reads this vector too."""
    vector = json.loads(VECTOR.read_text())

    assert [dataclasses.asdict(item) for item in rules_left_out(vector["files"])] == vector["leftOut"]


@pytest.mark.parametrize(
    "pattern",
    [
        "a+",
        "a+?",
        r"a\++",
        "[a+]+",
        "[]+]+",
        "(?:a)+",
        "(?i)+",
        r"\(?=",
        "[(?=]",
        "[[:alpha:]+]+",
        "a{2}",
        "a{,2}+",
        "",
    ],
)
def test_patterns_of_linear_time_are_told_from_others(pattern: str) -> None:
    """What only looks like something else is kept."""
    assert not_linear(pattern) is None


@pytest.mark.parametrize("pattern", ["a++", "a*+", "a?+", "a{2,3}+", "(?R)", r"(?P<x>a)(?P=x)", r"\\\1", "(?(1)a)"])
def test_patterns_beyond_linear_time_are_found(pattern: str) -> None:
    """Possessive quantifiers, recursions, references and conditions."""
    assert not_linear(pattern) is not None
