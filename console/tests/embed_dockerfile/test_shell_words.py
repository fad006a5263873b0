"""Words and variables, by BuildKit's rules."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.embed.dockerfile.shell_words import SubstitutionError, expand, names, raw_words

_VARIABLES = {"A": "a", "E": "", "P": "linux/arm64", "F": "x.tar.gz"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("$A", "a"),
        ("${A}b", "ab"),
        ("$A_", ""),
        ("$X", ""),
        ("$", "$"),
        ("a$,b", "a$,b"),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ('"$A"', "a"),
        ('"\\$A \\" \\x"', '$A " \\x'),
        ("${X:-y}", "y"),
        ("${E:-y}", "y"),
        ("${E-y}", ""),
        ("${X-y}", "y"),
        ("${X:-${A}z}", "az"),
        ("${X:-'}'}", "}"),
        ("${A:+y}", "y"),
        ("${E:+y}", ""),
        ("${E+y}", "y"),
        ("${A:?no}", "a"),
        ("${P#linux/}", "arm64"),
        ("${P##*/}", "arm64"),
        ("${F%.*}", "x.tar"),
        ("${F%%.*}", "x"),
        ("${F/./-}", "x-tar.gz"),
        ("${F//./-}", "x-tar-gz"),
        ("${F#y}", "x.tar.gz"),
        ("$1a", "a"),
    ],
)
def test_variables_are_replaced(word: str, value: str) -> None:
    """Each form of a variable gives what BuildKit's gives."""
    assert expand(word, _VARIABLES) == value


@pytest.mark.parametrize(
    "word", ["'a", '"a', "${A", "${}", "${:x}", "${A:x}", "${A!}", "${X:?why}", "${A/b", "$" * 3 + "{"]
)
def test_bad_words_are_refused(word: str) -> None:
    """Open quotes and bad substitutions raise, as they end a build."""
    with pytest.raises(SubstitutionError):
        expand(word, _VARIABLES)


def test_nesting_is_bounded() -> None:
    """Substitutions nested without end are refused, not followed."""
    with pytest.raises(SubstitutionError, match="nested"):
        expand("${X:-" * 5000 + "}" * 5000, {})


def test_patterns_cost_no_more_than_their_size() -> None:
    """A pattern of many stars, which makes a backtracking matcher run for years, is matched at once."""
    assert expand("${V#" + "*a" * 400 + "b}", {"V": "a" * 1000}) == "a" * 1000


def test_the_escape_character_may_be_a_backquote() -> None:
    """With another escape character a backslash is a letter."""
    assert expand("a\\b`$A", _VARIABLES, escape="`") == "a\\b$A"


def test_names_are_those_the_value_depends_on() -> None:
    """All variables of a word are named, nested ones too, and quoted ones are not."""
    assert names("${A:-$B}'$C'\\$D$E") == {"A", "B", "E"}


def test_words_keep_their_quotes() -> None:
    """Raw words are split at blanks that are not quoted and stay as they are."""
    assert raw_words('a \'b c\' "d\\" e" f\\ g $H') == ["a", "'b c'", '"d\\" e"', "f\\ g", "$H"]
    assert raw_words("it's") == []


@given(st.text("${}:-+?#%/'\"\\`abA *", max_size=40))
def test_any_word_is_expanded_or_refused(word: str) -> None:
    """Whatever the word, expansion ends in a value or in its own error, for both escape characters."""
    for escape in ("\\", "`"):
        with suppress(SubstitutionError):
            assert isinstance(expand(word, _VARIABLES, escape=escape), str)
