"""Custom rules of the library, from and to the vendor's JSON."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.policy import PolicyError, custom_rule_document, parse_custom_rule

RULE = {"_id": 7, "name": "no shells", "type": "processes", "script": 'proc.name = "sh"'}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": "kubernetes-audit"}, "type: `kubernetes-audit` is not possible, only processes, filesystem"),
        ({"type": "waas-request"}, "`waas-request`"),
        ({"type": None}, "type"),
        ({"script": ""}, "script: it has to be a condition"),
        ({"script": 5}, "script"),
        ({"script": 'proc.name = "\ud800"'}, "script: it holds half a character"),
        ({"script": 'proc.name = "sh'}, "script: column 13: this text does not end"),
        ({"script": "proc.interactive"}, "column 1: `proc.interactive` is not a field"),
        ({"type": "filesystem", "script": "net.outgoing_port = 1"}, "not known for rules of this type"),
        ({"name": ""}, "name: it is empty"),
        ({"name": "a\nb"}, "name"),
        ({"_id": 8}, "_id: it is another one than the 7 of the path"),
        ({"_id": True}, "_id"),
        ({"message": "%file.path was touched"}, "message: there is no field `file.path`"),
        ({"message": "a\nb"}, "message: it has to be one line"),
        ({"message": "x" * 1001}, "at most 1000 characters"),
        ({"attackTechniques": ["<b>"]}, "attackTechniques[0]"),
        ({"attackTechniques": [f"T{n}" for n in range(33)]}, "at most 32"),
        ({"vulnIDs": "CVE-1"}, "vulnIDs: it has to be a list"),
        ({"surprise": 1}, "surprise"),
        ({"description": 5}, "description"),
    ],
)
def test_refused_by_name(change: dict[str, Any], named: str) -> None:
    """What cannot be right is named in the refusal."""
    with pytest.raises(PolicyError) as refused:
        parse_custom_rule(json.dumps({**RULE, **change}), number=7)
    assert named in str(refused.value)


rules = st.fixed_dictionaries(
    {
        "name": st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8),
        "type": st.just("network-outgoing"),
        "script": st.sampled_from(["net.private_subnet", 'net.domain = "a"', "net.outgoing_port = 1\n"]),
    },
    optional={
        "message": st.sampled_from(["", "100%", "%proc.name asked %net.domain"]),
        "description": st.text(st.characters(codec="utf-8"), max_size=20),
        "minVersion": st.sampled_from(["", "v22.01"]),
        "attackTechniques": st.lists(st.sampled_from(["T1059.004", "exploitationForClientExecution"]), max_size=2),
        "vulnIDs": st.lists(st.sampled_from(["CVE-2021-44228"]), max_size=2),
        "owner": st.text(max_size=5),
    },
)


@given(rule=rules, number=st.integers(0, 2**31 - 1))
def test_what_is_rendered_reads_back_equal(rule: dict[str, Any], number: int) -> None:
    """parse(render(parse(document))) = parse(document) for every acceptable document."""
    parsed = parse_custom_rule(json.dumps(rule), number=number)
    assert parsed.owner == ""
    owned = dataclasses.replace(parsed, owner="ann")
    assert parse_custom_rule(json.dumps(custom_rule_document(owned)), number=number) == parsed


@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=9), st.lists, max_leaves=4))
def test_any_json_is_a_rule_or_one_error(value: Any) -> None:
    """Whatever JSON comes, the result is a rule or a PolicyError."""
    for document in (value, *({**RULE, key: value} for key in ("type", "script", "message", "attackTechniques"))):
        try:
            assert parse_custom_rule(json.dumps(document), number=7).id == 7
        except PolicyError as error:
            assert error.problems  # noqa: PT017 - the error is one of two right outcomes
