"""`WWW-Authenticate` as it is met in the wild."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bartizan.registry.challenge import Challenge, parse_challenges

names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
values = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def test_challenges_of_real_registries() -> None:
    """Docker Hub's, GitHub's, a proxy's with two schemes, and one without quotes are read."""
    hub = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/a:pull"'
    (found,) = parse_challenges(hub)
    assert found.scheme == "bearer"
    assert found.parameters["realm"] == "https://auth.docker.io/token"
    assert found.parameters["scope"] == "repository:library/a:pull"

    both = parse_challenges('BASIC realm="a, b=c \\"d\\"", Bearer Realm=https, x = "y"')
    assert [item.scheme for item in both] == ["basic", "bearer"]
    assert both[0].parameters == {"realm": 'a, b=c "d"'}
    assert both[1].parameters == {"realm": "https", "x": "y"}
    assert [item.scheme for item in parse_challenges("Negotiate, NTLM")] == ["negotiate", "ntlm"]


@given(st.lists(st.tuples(names, st.dictionaries(names, values, min_size=1, max_size=3)), max_size=3))
def test_what_is_written_is_read(challenges: list[tuple[str, dict[str, str]]]) -> None:
    """Any list of challenges, written by the grammar, is read back as it was."""

    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = ", ".join(
        f"{scheme} " + ", ".join(f"{key}={quoted(value)}" for key, value in parameters.items())
        for scheme, parameters in challenges
    )
    assert parse_challenges(text) == tuple(Challenge(scheme, parameters) for scheme, parameters in challenges)


@given(st.text(max_size=200))
def test_any_text_is_read_or_left_out(text: str) -> None:
    """No header makes the parser fail."""
    for found in parse_challenges(text):
        assert found.scheme == found.scheme.lower()
