"""From what was stopped to the rule that lets just that happen."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.policy import parse_rule, rule_document
from bartizan.policy.allowance import NotAllowableError, Stopped, allowance
from bartizan.policy.custom import check_script
from bartizan.policy.defender_policy import CustomEffect
from bartizan.policy.model import Rule

_LISTS: dict[str, Any] = {
    "name": "shop",
    "processes": {"effect": "prevent", "whitelist": ["/usr/bin/python3"], "blacklist": ["sh", "/usr/bin/nc"]},
    "dns": {"effect": "prevent", "whitelist": ["db.test"], "blacklist": ["*.evil.test", "bad.test"]},
    "network": {
        "effect": "prevent",
        "whitelistIPs": ["10.0.0.0/8"],
        "blacklistIPs": ["203.0.113.9"],
        "whitelistOutboundPorts": [{"start": 443, "end": 443, "deny": False}],
        "blacklistOutboundPorts": [{"start": 20, "end": 25, "deny": True}],
        "whitelistListeningPorts": [{"start": 8080, "end": 8080, "deny": False}],
    },
    "filesystem": {"effect": "prevent", "whitelist": ["/data"], "blacklist": ["/etc"]},
}
RULE = parse_rule(json.dumps(_LISTS))
_WRITABLE = "/dev/shm"  # noqa: S108 - named, not used
_CURL = {"program": "/usr/bin/curl", "parent": "/usr/bin/python3"}


@pytest.mark.parametrize(
    ("stopped", "changes"),
    [
        (Stopped(reason="processNotAllowed", **_CURL), [("processes.whitelist", "/usr/bin/curl", True)]),
        (
            Stopped(reason="processNotAllowed", program=f"{_WRITABLE}/x", sha256="a" * 64),
            [("processes.whitelist", f"sha256:{'a' * 64}", True)],
        ),
        (Stopped(reason="nameNotAllowed", domain="Api.test."), [("dns.whitelist", "api.test", True)]),
        (
            Stopped(reason="addressNotAllowed", address="192.0.2.1", port=80),
            [("network.whitelistIPs", "192.0.2.1", True)],
        ),
        (
            Stopped(reason="portNotAllowed", address="10.0.0.1", port=80),
            [("network.whitelistOutboundPorts", "80", True)],
        ),
        (
            Stopped(reason="listenPortNotAllowed", address="::", port=9),
            [("network.whitelistListeningPorts", "9", True)],
        ),
        (Stopped(reason="fileNotAllowed", file="/srv/a.log"), [("filesystem.whitelist", "/srv/a.log", True)]),
        (
            Stopped(reason="deniedProcess", program="/usr/bin/nc", matched="/usr/bin/nc"),
            [("processes.blacklist", "/usr/bin/nc", False), ("processes.whitelist", "/usr/bin/nc", True)],
        ),
        (
            Stopped(reason="deniedName", domain="bad.test", matched="bad.test"),
            [("dns.blacklist", "bad.test", False), ("dns.whitelist", "bad.test", True)],
        ),
    ],
)
def test_lists_change_by_just_what_was_stopped(stopped: Stopped, changes: list[tuple[str, str, bool]]) -> None:
    """The rule differs by these entries alone, and can be read back."""
    found = allowance(stopped, RULE, {})
    assert [(change.field, change.entry, change.added) for change in found.changes] == changes
    assert found.custom is None
    assert parse_rule(json.dumps(rule_document(found.rule))) == found.rule


@pytest.mark.parametrize(
    ("stopped", "script"),
    [
        (
            Stopped(reason="deniedProcess", program="/usr/bin/dash", parent="/usr/bin/python3", matched="sh"),
            'proc.path = "/usr/bin/dash" and proc.ppath = "/usr/bin/python3"',
        ),
        (
            Stopped(reason="inlineCode", **_CURL, arguments=("curl", "-d", 'a "b"')),
            'proc.path = "/usr/bin/curl" and proc.ppath = "/usr/bin/python3" and proc.cmdline = "curl -d a \\"b\\""',
        ),
        (Stopped(reason="deniedName", domain="a.evil.test", matched="*.evil.test"), 'net.domain = "a.evil.test"'),
        (
            Stopped(reason="deniedPort", address="192.0.2.1", port=22, matched="20-25", program="/usr/bin/ssh"),
            'net.outgoing_ip = "192.0.2.1" and net.outgoing_port = 22 and proc.path = "/usr/bin/ssh"',
        ),
        (Stopped(reason="deniedFile", file="/etc/motd", matched="/etc"), 'file.path = "/etc/motd"'),
        (Stopped(reason="customRule", file="/srv/a", matched="no writes"), 'file.path = "/srv/a"'),
    ],
)
def test_wider_denials_get_a_custom_rule(stopped: Stopped, script: str) -> None:
    """The deny list stays as it is, and a custom rule before all others allows exactly this."""
    found = allowance(stopped, RULE, {}, note="why")
    assert found.custom is not None
    assert (found.custom.script, found.custom.description) == (script, "why")
    assert found.rule.custom[0].id == found.custom.id
    assert found.rule.custom[0].effect is CustomEffect.ALLOW
    assert dataclasses.replace(found.rule, custom=()) == RULE


@pytest.mark.parametrize(
    ("stopped", "words"),
    [
        (Stopped(reason="tampering", program="/bin/sh"), "attacks on the Defender"),
        (Stopped(reason="portScan", address="192.0.2.1"), "many connections"),
        (Stopped(reason="processNotAllowed", program="/srv/*"), "wildcard"),
        (Stopped(reason="processNotAllowed", program="/usr/bin/python3"), "already"),
        (Stopped(reason="processNotAllowed"), "empty"),
        (Stopped(reason="portNotAllowed", address="192.0.2.1"), "no port"),
        (Stopped(reason="cryptoMiner"), "does not tell"),
        (Stopped(reason="deniedListenPort", address="::", port=22, matched="20-25"), "more ports"),
    ],
)
def test_what_cannot_be_allowed_is_told(stopped: Stopped, words: str) -> None:
    """There is a reason for every refusal."""
    with pytest.raises(NotAllowableError, match=words):
        allowance(stopped, RULE, {})


def test_an_empty_list_is_never_begun() -> None:
    """Where the allow list is gone, an entry in it would forbid everything else."""
    with pytest.raises(NotAllowableError, match="would stop all else"):
        allowance(Stopped(reason="processNotAllowed", program="/bin/ls"), Rule(name="shop"), {})


def test_custom_rules_are_new() -> None:
    """Neither number nor name of a rule in the library is used again."""
    stopped = Stopped(reason="deniedFile", file="/etc/motd", matched="/etc")
    first = allowance(stopped, RULE, {}).custom
    assert first is not None
    second = allowance(stopped, RULE, {first.id: first}).custom
    assert second is not None
    assert (second.id, second.name) == (first.id + 1, f"{first.name} (2)")


_texts = st.text(max_size=30) | st.sampled_from(["/usr/bin/nc", "/srv/a b", 'x"\\', "a.test", "*", "::1"])


@settings(max_examples=60)
@given(
    st.sampled_from(["processNotAllowed", "deniedProcess", "nameNotAllowed", "deniedName", "addressNotAllowed",
                     "portNotAllowed", "deniedPort", "fileNotAllowed", "deniedFile", "inlineCode", "customRule"]),
    st.builds(dict, program=_texts, parent=_texts, domain=_texts, file=_texts, address=_texts, matched=_texts),
    st.none() | st.integers(0, 65535),
    st.lists(_texts, max_size=3).map(tuple),
)  # fmt: skip
def test_hostile_events_make_no_unreadable_policy(
    reason: str, texts: dict[str, str], port: int | None, arguments: tuple[str, ...]
) -> None:
    """Whatever names an attacker chooses, the changed rule and the custom rule can be read back, or it is refused."""
    try:
        found = allowance(Stopped(reason=reason, port=port, arguments=arguments, **texts), RULE, {})
    except NotAllowableError:
        return
    assert parse_rule(json.dumps(rule_document(found.rule))) == found.rule
    if found.custom is not None:
        check_script(found.custom.script, found.custom.kind)
        assert found.custom.name.isprintable()
