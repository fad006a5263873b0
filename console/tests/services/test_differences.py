"""What the log of changes says of a change."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.services.differences import MOST_DIFFERENCES, REDACTED, Difference, differences, without_secrets

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["_id", "a", "b"]), inner, max_size=3),
    max_leaves=8,
)


def test_members_of_lists_are_found_by_their_names() -> None:
    """A rule that moved is moved, not changed; one that changed says which field."""
    before = {"rules": [{"name": "a", "effect": "alert"}, {"name": "b"}], "lastModified": "x"}
    after = {"rules": [{"name": "b"}, {"name": "a", "effect": "prevent"}], "lastModified": "y"}
    assert differences(before, after) == [
        Difference(path="rules[order]", before=["a", "b"], after=["b", "a"]),
        Difference(path="rules[a].effect", before="alert", after="prevent"),
    ]
    assert differences([{"_id": "x", "n": 1}], []) == [Difference(path="[x]", before={"_id": "x", "n": 1})]


def test_secrets_are_blanked_out() -> None:
    """Whatever sounds secret goes, with all below it, and so do users in URLs; names of secrets stay."""
    given: dict[str, Any] = {
        "password": "p", "apiToken": {"plain": "t", "encrypted": ""}, "webhookUrl": "https://hooks.test/T0/B0/x",
        "credentialID": "shop", "secretName": "arn", "url": "https://user:pass@registry.test/a",
        "list": [{"token": "q"}],
    }  # fmt: skip
    assert without_secrets(given) == {
        "password": REDACTED, "apiToken": {"plain": REDACTED, "encrypted": ""}, "webhookUrl": REDACTED,
        "credentialID": "shop", "secretName": "arn", "url": f"https://{REDACTED}@registry.test/a",
        "list": [{"token": REDACTED}],
    }  # fmt: skip


def test_the_number_of_differences_is_bounded() -> None:
    """A document of ten thousand changed members gives the first few."""
    assert len(differences({}, {str(number): 1 for number in range(10_000)})) == MOST_DIFFERENCES


@settings(max_examples=100)
@given(_JSON, _JSON)
def test_equal_documents_differ_nowhere_and_others_somewhere(before: Any, after: Any) -> None:
    """There are differences exactly where two documents differ."""
    found = differences(before, after)
    assert differences(before, before) == []
    assert bool(found) == bool(before != after)
