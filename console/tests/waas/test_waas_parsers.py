"""Whatever comes in: a value, or one clear error."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waas.policies import application, rule

from bartizan.api.multipart import parts_of
from bartizan.audit.firewall_audit import packed, span_of
from bartizan.policy import PolicyError, Workload
from bartizan.policy.firewall import (
    NetworkList,
    Surroundings,
    country_table,
    firewall_document,
    network_list_document,
    parse_firewall,
    parse_network_list,
    parse_scrubbing,
    resolve_firewall,
    scrubbing_document,
    subnets_of_csv,
)
from bartizan.policy.firewall.patterns import expression, literal
from bartizan.policy.firewall.protections import GROUPS
from bartizan.services.errors import InvalidError

AROUND = Surroundings(networks={}, scrubbing=(), certificates={})
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(parse_firewall(json.dumps({"rules": [rule()]})).rules[0].applications[0].document)
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
effects = st.sampled_from(["disable", "alert", "prevent", "ban"])
addresses = st.ip_addresses().filter(lambda item: item.version == 4 or item.ipv4_mapped is None).map(str)
exceptions = st.fixed_dictionaries({"location": st.sampled_from(["query", "cookie", "header", "body"]), "key": names})
groups = st.fixed_dictionaries({"effect": effects}, optional={"exceptionFields": st.lists(exceptions, max_size=2)})
good_applications = st.fixed_dictionaries(
    {"appID": names},
    optional={
        **dict.fromkeys(GROUPS, groups),
        "banDurationMinutes": st.integers(1, 1000),
        "csrfEnabled": st.booleans(),
        "headerSpecs": st.lists(
            st.fixed_dictionaries({"name": names, "effect": effects}, optional={"values": st.lists(names, max_size=2)}),
            max_size=2,
        ),
        "networkControls": st.fixed_dictionaries(
            {"subnets": st.fixed_dictionaries({"enabled": st.booleans(), "allow": st.lists(addresses, max_size=3)})}
        ),
        "body": st.fixed_dictionaries({"skip": st.booleans(), "inspectionSizeBytes": st.integers(1, 1 << 30)}),
    },
).map(lambda item: application(**item))
good_rules = st.fixed_dictionaries(
    {"name": names, "applicationsSpec": st.lists(good_applications, max_size=3, unique_by=lambda item: item["appID"])},
    optional={
        "disabled": st.booleans(),
        "readTimeoutSeconds": st.integers(1, 3600),
        "profile": st.sampled_from(["balanced", "crsStrict"]),
        "trustedProxies": st.lists(addresses, max_size=2),
        "forwarded": st.sampled_from(["append", "replace", "untouched"]),
        "collections": st.lists(
            st.fixed_dictionaries({"name": names, "appIDs": st.lists(names, min_size=1, max_size=2)}),
            min_size=1,
            max_size=2,
        ),
    },
)


@given(rules=st.lists(good_rules, max_size=3, unique_by=lambda item: item["name"]))
def test_what_is_rendered_reads_back_equal(rules: list[dict[str, Any]]) -> None:
    """parse(render(parse(document))) = parse(document), and a workload gets a rule that is not disabled, or none."""
    parsed = parse_firewall(json.dumps({"rules": rules}))
    assert parse_firewall(json.dumps(firewall_document(parsed))) == parsed
    found = resolve_firewall(parsed, (Workload(app_id="a"),), revision=1, around=AROUND).policy
    live = [item for item in parsed.rules if not item.disabled]
    assert found["rule"] is None or found["rule"] in [item.name for item in live]


@given(value=json_values, name=st.sampled_from(FIELDS))
def test_any_json_is_a_policy_or_one_error(value: Any, name: str) -> None:
    """Whatever JSON comes, in whatever place, the result is a value or a PolicyError that names places."""
    for document in (
        value,
        {"rules": value},
        {"rules": [value]},
        {"rules": [{"name": "r", "collections": value, "applicationsSpec": value}]},
        {"rules": [rule("r", application(**{name: value}))]},
        {
            "rules": [
                rule("r", application(apiSpec={"endpoints": [value], "paths": [{"path": "/", "methods": [value]}]}))
            ]
        },
        {"rules": [rule("r", application(certificate=value, sqli={"effect": "ban", "exceptionFields": [value]}))]},
    ):
        try:
            parsed = parse_firewall(json.dumps(document))
        except PolicyError as error:
            assert error.problems  # noqa: PT017 - the error is one of two right outcomes
            continue
        assert parse_firewall(json.dumps(firewall_document(parsed))).rules is not None


@pytest.mark.parametrize("parse", [parse_firewall, parse_network_list, parse_scrubbing, subnets_of_csv, country_table])
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_value_or_one_error(parse: Callable[[bytes], object], data: bytes) -> None:
    """Whatever bytes come, the result is a value or a PolicyError."""
    try:
        parse(data)
    except PolicyError as error:
        assert error.problems  # noqa: PT017 - as above


@given(subnets=st.lists(addresses, min_size=1, max_size=5), value=json_values)
def test_network_lists_read_back_equal(subnets: list[str], value: Any) -> None:
    """A list is the same from its document and from its CSV; rules of scrubbing are a value or an error."""
    item = parse_network_list(json.dumps({"_id": "n", "subnets": subnets}))
    assert parse_network_list(json.dumps(network_list_document(item))) == item
    assert subnets_of_csv("\r\n".join(["subnet", *subnets]).encode()) == item.subnets
    assert isinstance(item, NetworkList)
    try:
        rules = parse_scrubbing(json.dumps([value]))
    except PolicyError as error:
        assert error.problems  # noqa: PT017 - as above
        return
    assert parse_scrubbing(json.dumps(scrubbing_document(rules))) == rules


@given(text=st.text(max_size=40))
def test_a_literal_matches_itself_alone(text: str) -> None:
    """The pattern of a literal is a linear expression that matches that text as a whole."""
    assert re.fullmatch(literal(text), text)
    assert not re.fullmatch(literal(text), f"{text}x")
    if text:
        assert expression(literal(text)) == literal(text)


@given(text=st.text(alphabet="ab()[]\\?=!<^|+*{}1", max_size=20))
def test_an_expression_without_look_around_compiles(text: str) -> None:
    """What is taken closes its groups and sets, and neither looks around nor refers back."""
    try:
        expression(text)
    except ValueError:
        return
    assert not re.search(r"(?<!\\)\((?:\?=|\?!|\?<=|\?<!)", re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", text))


@given(one=st.ip_addresses(v=4) | st.ip_addresses(v=6), prefix=st.integers(0, 32))
def test_a_block_holds_its_addresses(one: Any, prefix: int) -> None:
    """An address lies between the bounds of each block around it, in the order in which they are kept."""
    first, last = span_of(f"{one}/{prefix}")
    found = packed(str(one))
    assert found is not None
    assert first <= found <= last
    assert len(found) == 16


@given(body=st.binary(max_size=200), kind=st.text(max_size=60) | st.just("multipart/form-data; boundary=x"))
def test_any_body_is_a_form_or_one_error(body: bytes, kind: str) -> None:
    """Whatever comes as a form, the result is its parts or one InvalidError."""
    for content in (body, b"--x\r\n" + body + b"\r\n--x--\r\n"):
        try:
            assert all(isinstance(part, bytes) for part in parts_of(content, kind).values())
        except InvalidError as error:
            assert str(error)  # noqa: PT017 - as above
