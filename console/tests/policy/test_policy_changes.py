"""What differs between policies, and their form in YAML."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.policy import PolicyError, parse_policy
from bartizan.policy.changes import changed_lines, policy_changes
from bartizan.policy.yaml_form import policy_yaml, read_policy

_NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True)
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(before=_NAMES, after=_NAMES)
def test_the_changes_lead_from_one_order_to_the_other(before: list[str], after: list[str]) -> None:
    """Without the rules that are added, removed or moved both policies have the same rules in the same order."""
    old, new = ({"rules": [{"name": name} for name in names]} for names in (before, after))
    changes = policy_changes(old, new)
    named = {change.rule for change in changes}
    assert [name for name in before if name not in named] == [name for name in after if name not in named]
    assert {change.rule for change in changes if change.kind == "added"} == set(after) - set(before)
    assert {change.rule for change in changes if change.kind == "removed"} == set(before) - set(after)
    assert (changes == []) == (before == after)


@settings(max_examples=60, deadline=None)
@given(before=st.lists(st.sampled_from(("x", "y", "z"))), after=st.lists(st.sampled_from(("x", "y", "z"))))
def test_lines_that_came_and_went_balance(before: list[str], after: list[str]) -> None:
    """A difference has as many more added than removed lines as the text grew, and is empty for equal texts only."""
    lines = changed_lines("\n".join(before), "\n".join(after))
    kinds = [line.kind for line in lines]
    assert kinds.count("added") - kinds.count("removed") == len(after) - len(before)
    assert (lines == []) == (before == after)


def test_only_what_is_out_of_order_is_moved() -> None:
    """One rule that goes to the front is one move, and its neighbours stay."""
    old = {"rules": [{"name": name} for name in "abcd"]}
    new = {"rules": [{"name": name} for name in "dabc"]}
    assert [(change.kind, change.rule, change.before, change.after) for change in policy_changes(old, new)] == [
        ("moved", "d", 4, 1)
    ]


@settings(max_examples=60, deadline=None)
@given(name=_TEXT, notes=_TEXT, entry=_TEXT, disabled=st.booleans(), port=st.integers(1, 65535))
def test_yaml_reads_back_to_the_same_policy(name: str, notes: str, entry: str, disabled: bool, port: int) -> None:  # noqa: FBT001
    """Whatever policy is taken as JSON reads back equal from its YAML."""
    rule: dict[str, Any] = {
        "name": name,
        "notes": notes,
        "disabled": disabled,
        "processes": {"effect": "prevent", "blacklist": [entry], "skipModified": not disabled},
        "network": {"effect": "alert", "blacklistOutboundPorts": [{"start": port, "end": port}]},
        "detections": {"reverseShell": "prevent", "inlineCode": "disable"},
        "collections": [{"name": "c", "images": [f"*{name}"]}],
    }
    try:
        policy = parse_policy(json.dumps({"rules": [rule]}))
    except PolicyError:
        return
    assert read_policy(policy_yaml(policy).encode()) == policy


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.text(alphabet="rules: -[]{}&*a\n\"'|>", max_size=80).map(str.encode)))
def test_any_text_is_a_policy_or_refused(data: bytes) -> None:
    """Reading ends with a policy or a PolicyError, whatever comes."""
    with contextlib.suppress(PolicyError):
        assert policy_yaml(read_policy(data)).startswith("rules:")
