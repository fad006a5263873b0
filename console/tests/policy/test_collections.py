"""Stored collections: what is read, what is refused, and what they cover."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.policy import PolicyError, Workload, parse_policy
from bartizan.policy.match import covers, glob_matches
from bartizan.policy.model import EVERYTHING, Collection
from bartizan.policy.render import collection_document, stored_collection_document
from bartizan.policy.scopes import bound, parse_collection, parse_scope, refreshed

TASK = Workload(
    app_id="shop:1", image="registry.test/shop:1.4", container="web", labels=("env:prod", "team:web"),
    account_id="123456789012", cluster="blue",
)  # fmt: skip
patterns = st.lists(st.text("ab:*", min_size=1, max_size=5), max_size=3)
fields = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("images", "containers", "appIDs", "labels", "accountIDs", "clusters"), patterns)
)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, True),
        ({"labels": ["env:prod"]}, True),
        ({"labels": ["ENV:*"]}, True),
        ({"labels": ["env:test", "team:*"]}, True),
        ({"labels": ["*", "-team:web"]}, False),
        ({"labels": ["env"]}, False),
        ({"accountIDs": ["123456789012"], "clusters": ["b*e"]}, True),
        ({"accountIDs": ["123456789012"], "clusters": ["green"]}, False),
        ({"images": ["*", "-*:1.4"]}, False),
        ({"images": ["*/shop:*"], "containers": ["web"]}, True),
    ],
)
def test_what_a_scope_covers(scope: dict[str, list[str]], *, expected: bool) -> None:
    """All fields have to match, in a field any pattern, and exclusions win."""
    assert covers(parse_scope(json.dumps(scope)), TASK) is expected


def test_what_is_not_known_matches_the_star_alone() -> None:
    """An embedded application has no labels, account or cluster; only a scope that asks for none covers it."""
    bare = Workload(app_id="shop:1")
    assert covers(EVERYTHING, bare)
    assert not covers(parse_scope('{"labels": ["env:*"]}'), bare)
    assert not covers(parse_scope('{"clusters": ["b*"]}'), bare)


@given(labels=st.lists(st.text("ab:", min_size=1, max_size=4), max_size=3), chosen=patterns)
@settings(max_examples=60)
def test_labels_match_as_any_and_exclude_as_any(labels: list[str], chosen: list[str]) -> None:
    """A scope by labels covers what has one label that an inclusion matches, and none that an exclusion does."""
    excluded = [f"-{pattern}" for pattern in chosen[1:]]
    scope = Collection(name="", labels=(*chosen[:1], *excluded) if chosen else ("*",))
    names = labels or [""]
    expected = any(glob_matches(chosen[0] if chosen else "*", name) for name in names) and not any(
        glob_matches(pattern, name) for pattern in chosen[1:] for name in names
    )
    assert covers(scope, Workload(app_id="a", labels=tuple(labels))) is expected


@given(scope=fields)
@settings(max_examples=60)
def test_what_is_rendered_is_read_back(scope: dict[str, list[str]]) -> None:
    """The document of a collection is read back to an equal collection."""
    found = parse_collection(json.dumps({"name": "c", "color": "#00ff00", **scope}))
    assert parse_collection(json.dumps(stored_collection_document(found))) == found


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
@settings(max_examples=60)
def test_any_json_is_read_or_refused(value: object) -> None:
    """Whatever stands in a field, the answer is a collection or PolicyError."""
    document = {"name": value, "images": value, "labels": value, "color": value, "x": value}
    with contextlib.suppress(PolicyError):
        assert parse_collection(json.dumps(document)).images == ("*",)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "name: it is empty"),
        ({"name": "all"}, "built in"),
        ({"name": "a/b"}, "no `/`"),
        ({"name": ".."}, "no `/`"),
        ({"name": "n" * 129}, "longer than 128"),
        ({"name": "c", "color": "red"}, "color: it has to be `#`"),
        ({"name": "c", "description": "a\nb"}, "one line"),
        ({"name": "c", "images": ["-a"]}, "images: it only excludes"),
        ({"name": "c", "images": "a"}, "images: it has to be a list"),
        ({"name": "c", "hosts": ["a"]}, "hosts: scope by hosts is not supported"),
        ({"name": "c", "appIds": ["a"]}, "appIds: this is not supported"),
        ({"name": "c", "labels": [f"l{number}" for number in range(1001)]}, "labels: there are 1001 patterns"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(document: dict[str, object], named: str) -> None:
    """The refusal names the field and what to do."""
    with pytest.raises(PolicyError, match=named):
        parse_collection(json.dumps(document))


def test_a_rule_that_names_a_collection_covers_nothing_until_it_is_looked_up() -> None:
    """A name whose scope is not known must not turn into everything."""
    [item] = parse_policy('{"rules": [{"name": "r", "collections": [{"name": "shop"}]}]}').rules[0].collections
    assert not covers(item, TASK)
    assert collection_document(item) == {"name": "shop"}
    problems: list[str] = []
    kept = Collection(name="shop", app_ids=("shop:*",))
    assert bound((item,), {"shop": kept}, "rule `r`", problems) == (kept,)
    assert not problems
    assert covers(kept, TASK)


def test_a_name_means_one_scope() -> None:
    """An unknown name is refused, and so is another scope under a stored name; an equal one is the stored one."""
    kept = {"shop": Collection(name="shop", app_ids=("shop:*",), description="kept")}
    for given_now, problem in (
        (Collection(name="shopp", by_name=True), "there is no collection `shopp`"),
        (Collection(name="shop", app_ids=("other",)), "another scope"),
        (Collection(name="shop", app_ids=("shop:*",)), ""),
        (Collection(name="own", images=("x",)), ""),
        (EVERYTHING, ""),
    ):
        problems: list[str] = []
        found = bound((given_now,), kept, "rule `r`", problems)
        assert [problem in item for item in problems] == ([True] if problem else [])
        assert found == (kept.get(given_now.name, given_now),)
    own = Collection(name="own", images=("x",))
    assert refreshed((own, Collection(name="shop")), kept) == (own, kept["shop"])


def test_all_cannot_be_given_another_scope() -> None:
    """The name `All` means everything, in rules too."""
    with pytest.raises(PolicyError, match="`All` is built in"):
        parse_policy('{"rules": [{"name": "r", "collections": [{"name": "All", "images": ["x"]}]}]}')
