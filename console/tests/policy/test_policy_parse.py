"""Policies from outside: what is taken, what is refused, and that nothing else ever happens."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.policy import PolicyError, parse_policy, parse_rule, parse_stored, policy_document
from bartizan.policy.checks import FILE_CHECKS, PROCESS_CHECKS, Asked, Check
from bartizan.policy.defender_policy import Detection
from bartizan.policy.resolve import resolve_rule


def policy(**rule: Any) -> str:
    """Return a policy document with one rule."""
    return json.dumps({"rules": [{"name": "r", **rule}]})


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"processes": {"effect": "block"}}, "use `prevent`"),
        ({"processes": {"effect": "ban"}}, "`ban`"),
        ({"processes": {"blacklist": ["bin/sh"]}}, "neither a name nor an absolute path"),
        ({"processes": {"blacklist": ["/bin/../sh"]}}, "never match"),
        ({"processes": {"blacklist": ["/bin//sh"]}}, "never match"),
        ({"processes": {"blacklist": ["/bin/"]}}, "write `/bin/*`"),
        ({"processes": {"blacklist": ["/"]}}, "`/*` is every program"),
        ({"processes": {"blacklist": ["~/run"]}}, "write `/run`, or `*/run`"),
        ({"processes": {"blacklist": [""]}}, "processes.blacklist[0]: it is empty"),
        ({"processes": {"blacklist": [" sh"]}}, "blanks"),
        ({"processes": {"blacklist": ["a\nb"]}}, "printed"),
        ({"processes": {"blacklist": [5]}}, "processes.blacklist[0]: it has to be a string"),
        ({"processes": {"blacklist": "sh"}}, "processes.blacklist: it has to be a list"),
        ({"processes": [1]}, "processes: it has to be an object"),
        ({"network": {"blacklistIPs": ["300.0.0.1"]}}, "`300.0.0.1`"),
        ({"network": {"blacklistIPs": ["10.0.0.1/8"]}}, "write `10.0.0.0/8`"),
        ({"network": {"blacklistIPs": ["10.0.0.0/33"]}}, "`10.0.0.0/33`"),
        ({"network": {"blacklistIPs": ["::ffff:10.0.0.1"]}}, "IPv4"),
        ({"network": {"blacklistIPs": ["fe80::1%eth0"]}}, "zone"),
        ({"network": {"blacklistIPs": ["10.0.0.1-10.0.0.9"]}}, "write a range as CIDR blocks"),
        ({"network": {"whitelistIPs": ["10.1.*.*"]}}, "write the prefix"),
        ({"network": {"whitelistIPs": ["db.internal"]}}, "put a name in a list of `dns`"),
        ({"network": {"whitelistIPs": ["", " 10.0.0.1"]}}, "network.whitelistIPs[0]: it is empty"),
        ({"network": {"whitelistIPs": ["10.0.0.1 "]}}, "`10.0.0.1` has blanks around it"),
        ({"network": {"blacklistOutboundPorts": [{"start": 0, "end": 5}]}}, "blacklistOutboundPorts[0]"),
        ({"network": {"blacklistOutboundPorts": [{"start": 9, "end": 5}]}}, "`start` 9 is above `end` 5"),
        ({"network": {"blacklistOutboundPorts": [{"start": "443"}]}}, "whole numbers from 1 to 65535"),
        ({"network": {"whitelistOutboundPorts": [{"start": 9, "deny": True}]}}, "whitelistOutboundPorts[0].deny"),
        ({"network": {"checkUnresolvedPrivate": "yes"}}, "network.checkUnresolvedPrivate: it has to be true or false"),
        ({"network": {"checkUnresolvedPrivate": True}}, "`unresolvedAddress`, which is not on"),
        ({"network": {"blacklistOutboundPorts": [{"start": 1, "end": 65536}]}}, "65535"),
        ({"network": {"blacklistOutboundPorts": [{"start": True, "end": 2}]}}, "ports"),
        ({"network": {"blacklistOutboundPorts": [22]}}, "it has to be an object"),
        ({"dns": {"blacklist": ["exa mple.com"]}}, "no domain name"),
        ({"dns": {"blacklist": ["a..b"]}}, "no domain name"),
        ({"dns": {"blacklist": ["münchen.test"]}}, "`xn--mnchen-3ya.test`"),
        ({"dns": {"blacklist": ["https://evil.test/"]}}, "without scheme, port or path"),
        ({"dns": {"blacklist": ["evil.test:443"]}}, "without scheme, port or path"),
        ({"dns": {"blacklist": ["203.0.113.9"]}}, "put it in a list of `network`"),
        ({"dns": {"blacklist": ["a" * 64 + ".test"]}}, "at most 63 characters"),
        ({"dns": {"blacklist": ["a.bc" * 64]}}, "at most 253 characters"),
        ({"processes": {"checkNewBinaries": "yes"}}, "processes.checkNewBinaries: it has to be true or false"),
        ({"processes": {"blacklist": ["sha256:12"]}}, "64 hex digits"),
        ({"processes": {"blacklist": ["d41d8cd98f00b204e9800998ecf8427e"]}}, "an MD5"),
        ({"processes": {"whitelist": ["md5:d41d8cd98f00b204e9800998ecf8427e"]}}, "give the SHA-256"),
        ({"processes": {"blacklist": ["A" * 64]}}, "write `sha256:aaaa"),
        ({"network": {"whitelistListeningPorts": [{"start": 0, "end": 1}]}}, "network.whitelistListeningPorts[0]"),
        ({"filesystem": {"effect": "block"}}, "filesystem.effect: `block` is not possible"),
        (
            {"filesystem": {"blacklist": ["etc"]}},
            "filesystem.blacklist[0]: `etc` is no absolute path: write `/etc`, or",
        ),
        (
            {"filesystem": {"whitelist": ["./data"]}},
            "filesystem.whitelist[0]: `./data` is no absolute path: write `/data`",
        ),
        ({"filesystem": {"whitelist": [" "]}}, "blanks"),
        (
            {"filesystem": {"blacklist": ["/etc/../x"]}},
            "never match: paths are compared in their normal form, write `/x`",
        ),
        ({"filesystem": {"blacklist": ["/srv/" + "x" * 256]}}, "at most 255 bytes"),
        ({"filesystem": {"skipEncryptedBinaries": 1}}, "filesystem.skipEncryptedBinaries"),
        ({"filesystem": {"surprise": True}}, "filesystem.surprise"),
        ({"customRules": [{"effect": "alert"}]}, "customRules[0]._id"),
        ({"customRules": [{"_id": True, "effect": "alert"}]}, "customRules[0]._id"),
        ({"customRules": [{"_id": 1}]}, "customRules[0].effect"),
        ({"customRules": [{"_id": 1, "effect": "block"}]}, "use `prevent`"),
        ({"customRules": [{"_id": 1, "effect": "ban"}]}, "customRules[0].effect: `ban`"),
        ({"customRules": [{"_id": 1, "effect": "alert", "action": "page"}]}, "customRules[0].action: `page`"),
        ({"customRules": [{"_id": 1, "effect": "alert"}] * 2}, "attached already"),
        ({"customRules": [{"_id": n, "effect": "alert"} for n in range(101)]}, "at most 100"),
        ({"detections": {"telepathy": "alert"}}, "detections.telepathy: there is no such detection"),
        ({"detections": {"deniedProcess": "alert"}}, "detections.deniedProcess"),
        ({"detections": {"reverseShell": "block"}}, "detections.reverseShell: `block`"),
        ({"detections": ["reverseShell"]}, "detections: it has to be an object"),
        ({"advancedProtection": "yes"}, "advancedProtection"),
        ({"wildFireAnalysis": "alert"}, "wildFireAnalysis"),
        ({"notes": "\ud800"}, "notes"),
        ({"\ud800": 1}, "\\ud800"),
        ({"surprise": 1}, "surprise"),
        ({"disabled": "no"}, "disabled"),
        ({"notes": 5}, "notes"),
        ({"collections": []}, "could never match"),
        ({"collections": [{"name": "c", "images": ["-a"]}]}, "only excludes"),
        ({"collections": [{"name": "c", "images": ["*"], "hosts": ["a"]}]}, "hosts"),
        ({"collections": [{"images": ["*"]}]}, "collections[0].name"),
        ({"processes": {"blacklist": ["/" + "x/" * 2000 + str(number) for number in range(16)]}}, "at most 60000"),
    ],
)
def test_refused_by_name(rule: dict[str, Any], named: str) -> None:
    """What cannot be right, or cannot be enforced, is named in the refusal."""
    with pytest.raises(PolicyError) as refused:
        parse_policy(policy(**rule))
    assert named in str(refused.value)
    assert "`r`" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "line 1, column 1"),
        ('{\n "rules": [}', "line 2, column 12"),
        ("[]", "object"),
        ('{"rules": {}}', "rules: it has to be a list"),
        ('{"rules": [], "rules": []}', "`rules` is given twice"),
        ('{"rules": [NaN]}', "NaN"),
        ('{"rules": [1]}', "rules[0]"),
        ('{"rules": [{}]}', "rules[0].name"),
        ('{"rules": [{"name": "a"}, {"name": "a"}]}', "`a` is used twice"),
        ('{"rule": [{}]}', "rule: this is not supported"),
        ("[" * 100_000, "deep"),
        ("9" * 10_000, "too long"),
        (b"\xff", "UTF-8"),
    ],
)
def test_refused_documents(text: str | bytes, named: str) -> None:
    """A document that is no policy gets one clear error."""
    with pytest.raises(PolicyError) as refused:
        parse_policy(text)
    assert named in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    """Nobody has to fix a policy one error at a time; a long list is cut."""
    with pytest.raises(PolicyError) as refused:
        parse_policy(policy(processes={"blacklist": [""] * 15}, surprise=1))
    assert len(refused.value.problems) == 16
    assert str(refused.value).endswith("and 6 more")


def test_too_many_rules_are_refused() -> None:
    """The number of rules is bounded."""
    with pytest.raises(PolicyError, match="at most 1000"):
        parse_policy(json.dumps({"rules": [{"name": str(number)} for number in range(1001)]}))


def test_stored_policies_keep_owner_and_time() -> None:
    """What the Console wrote itself comes back whole; from a client those two are not taken."""
    given_document = json.dumps({"rules": [{"name": "r", "owner": "ann", "modified": "2026-01-01T00:00:00.000Z"}]})
    assert parse_policy(given_document).rules[0].owner == ""
    assert parse_stored(given_document).rules[0].owner == "ann"


def test_a_stored_policy_keeps_entries_that_new_ones_are_refused_for() -> None:
    """A policy of an older Console is read as it was, for an allow list without them might allow all."""
    dns = {"effect": "prevent", "whitelist": ["203.0.113.9"]}
    stored = json.dumps({"rules": [{"name": "r", "owner": "", "modified": "", "dns": dns}]})
    with pytest.raises(PolicyError, match="can never match"):
        parse_policy(stored)
    assert parse_stored(stored).rules[0].dns.allow == ("203.0.113.9",)
    with pytest.raises(PolicyError, match="no domain name"):
        parse_stored(stored.replace("203.0.113.9", "a..b"))


def test_private_addresses_can_be_asked_for() -> None:
    """`checkUnresolvedPrivate` travels to the Defender, and stays away when it asks for nothing."""
    asked = parse_rule(
        json.dumps(
            {
                "name": "r",
                "network": {"checkUnresolvedPrivate": True},
                "detections": {"unresolvedAddress": "alert"},
            }
        )
    )
    assert b'"unresolvedPrivate":true' in msgspec.json.encode(resolve_rule(asked, revision=1, library={}))
    plain = parse_rule(json.dumps({"name": "r", "network": {"checkUnresolvedPrivate": False}}))
    assert b"unresolvedPrivate" not in msgspec.json.encode(resolve_rule(plain, revision=1, library={}))


def test_what_was_stored_before_there_were_detections_asks_for_none() -> None:
    """Old documents say `skipModified: false` without meaning it: such a rule resolves as before."""
    processes = {"effect": "prevent", "blacklist": ["sh"], "skipModified": False, "checkNewBinaries": False}
    old = {"name": "r", "owner": "", "modified": "", "processes": processes}
    before, now = ({"rules": [rule]} for rule in (old, {**old, "detections": {}}))
    assert parse_stored(json.dumps(before)).rules[0].checks == frozenset()
    assert parse_stored(json.dumps(now)).rules[0].checks == {Check.MODIFIED}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
effects = st.sampled_from(["disable", "alert", "prevent"])
processes = names | names.map("/usr/bin/{}".format) | st.just("*")
domains = names.map(str.lower) | names.map(lambda name: f"*.{name}.TEST.")
addresses = st.ip_addresses(v=4).map(str) | st.sampled_from(["10.0.0.0/8", "2001:db8::/32", "::1", "0.0.0.0/0"])
ports = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(
    lambda pair: {"start": min(pair), "end": max(pair), "deny": False}
)
digests = st.binary(min_size=32, max_size=32).map(lambda digest: f"SHA256:{digest.hex().upper()}")
files = names.map("/etc/{}/".format) | names.map("*/{}".format) | st.sampled_from(["/", "*", "*.pem"])
attached = st.fixed_dictionaries(
    {"_id": st.integers(0, 2**31 - 1), "effect": st.sampled_from(["allow", "alert", "prevent", "disable"])},
    optional={"action": st.sampled_from(["audit", "incident"])},
)


def flags(fields: Mapping[Check, Asked]) -> dict[str, st.SearchStrategy[bool]]:
    """Return the vendor's fields that ask for detections, each of them true or false."""
    return {check.value: st.booleans() for check in fields}


patterns = st.lists(names | names.map("*{}*".format), min_size=1, max_size=3)
good_rules = st.fixed_dictionaries(
    {"name": names},
    optional={
        "disabled": st.booleans(),
        "notes": st.text(max_size=20),
        "collections": st.lists(
            st.fixed_dictionaries(
                {"name": names, "images": patterns}, optional={"containers": patterns, "appIDs": patterns}
            ),
            min_size=1,
            max_size=2,
        ),
        "processes": st.fixed_dictionaries(
            {"effect": effects, "whitelist": st.lists(processes | digests), "blacklist": st.lists(processes)},
            optional=flags(PROCESS_CHECKS),
        ),
        "filesystem": st.fixed_dictionaries(
            {"effect": effects, "whitelist": st.lists(files), "blacklist": st.lists(files)}, optional=flags(FILE_CHECKS)
        ),
        "advancedProtection": st.booleans(),
        "detections": st.dictionaries(st.sampled_from([item.value for item in Detection]), effects),
        "customRules": st.lists(attached, max_size=3, unique_by=lambda item: item["_id"]),
        "dns": st.fixed_dictionaries({"effect": effects, "blacklist": st.lists(domains)}),
        "network": st.fixed_dictionaries(
            {"effect": effects, "blacklistIPs": st.lists(addresses), "whitelistOutboundPorts": st.lists(ports)},
            optional={"whitelistListeningPorts": st.lists(ports), "blacklistListeningPorts": st.lists(ports)},
        ),
    },
)


@given(rules=st.lists(good_rules, max_size=4, unique_by=lambda rule: rule["name"]))
def test_what_is_rendered_reads_back_equal(rules: list[dict[str, Any]]) -> None:
    """parse(render(parse(document))) = parse(document) for every acceptable document."""
    parsed = parse_policy(json.dumps({"rules": rules}))
    assert parse_policy(json.dumps(policy_document(parsed))) == parsed


@given(value=json_values)
def test_any_json_is_a_policy_or_one_error(value: Any) -> None:
    """Whatever JSON comes, as policy or as rule, the result is a value or a PolicyError."""
    for parse in (parse_policy, parse_rule):
        for document in (
            value,
            {"rules": [value]},
            {"name": "r", "processes": value, "collections": value},
            {"name": "r", "filesystem": value, "customRules": [value], "detections": {"portScan": value}},
        ):
            try:
                parse(json.dumps(document))
            except PolicyError as error:
                assert error.problems  # noqa: PT017 - the error is one of two right outcomes


@given(data=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_a_policy_or_one_error(data: bytes | str) -> None:
    """Whatever bytes come, the result is a value or a PolicyError."""
    try:
        parse_policy(data)
    except PolicyError as error:
        assert error.problems  # noqa: PT017 - as above
