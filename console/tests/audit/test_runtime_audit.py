"""From the wire to what users see."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.audit import Audit, Reporter, Retention, RuntimeAudit, cutoff, describe

VECTORS = Path(__file__).parents[3] / "contract/vectors/messages"
REPORTER = Reporter(app_id="shop:5c1f", instance="i", task="shop", container="web", image="shop:1", version="0.1.0")


def shown(vector: str, index: int = 0) -> dict[str, Any]:
    """Return what users see of an audit of a message vector."""
    message = json.loads((VECTORS / f"{vector}.json").read_text(encoding="utf-8"))["message"]
    audit = msgspec.convert(message["audits"][index], Audit)
    return dict(msgspec.to_builtins(describe(audit, REPORTER)))


def test_a_prevented_program() -> None:
    """Every field of the vendor's audit that a program start has."""
    assert shown("audits-process") == {
        "time": "2025-11-21T01:53:20.123Z",
        "type": "processes",
        "attackType": "explicitlyDeniedProcess",
        "effect": "prevent",
        "severity": "high",
        "msg": "/bin/sh (/usr/bin/dash) launched from /usr/bin/python3.11 was prevented: "
        "it is on the deny list as `sh`. Full command: sh -c id",
        "appID": "shop:5c1f",
        "hostname": "shop:5c1f",
        "profileId": "shop:5c1f_web",
        "imageName": "shop:1",
        "containerName": "web",
        "ruleName": "shop",
        "command": "sh -c id",
        "processPath": "/usr/bin/dash",
        "parentPath": "/usr/bin/python3.11",
        "pid": 12,
        "user": "0",
        "resourceID": "shop",
        "defenderID": "i",
        "version": "0.1.0",
    }


@pytest.mark.parametrize(
    ("vector", "index", "expected"),
    [
        ("audits-process-not-allowed", 0, ("processes", "explicitlyDeniedProcess", "medium")),
        ("audits-lookup", 0, ("network", "explicitlyDeniedDNS", "high")),
        ("audits-lookup", 1, ("network", "explicitlyDeniedDNS", "medium")),
        ("audits-connection", 0, ("network", "explicitlyDeniedIP", "high")),
        ("audits-connection", 1, ("network", "explicitlyDeniedIP", "medium")),
        ("audits-connection", 2, ("network", "explicitlyDeniedOutboundPort", "high")),
        ("audits-connection", 3, ("network", "explicitlyDeniedOutboundPort", "medium")),
        ("audits-defender", 0, ("defender", "startedWithoutPolicy", "high")),
        ("audits-defender", 1, ("defender", "auditsDropped", "medium")),
        ("audits-defender", 2, ("defender", "notEnforcing", "high")),
        ("audits-defender", 3, ("defender", "attachRefused", "high")),
    ],
)
def test_kind_attack_and_severity(vector: str, index: int, expected: tuple[str, str, str]) -> None:
    """Each reason has its type, attack type and severity."""
    found = shown(vector, index)
    assert (found["type"], found["attackType"], found["severity"]) == expected


def test_where_it_went_is_told() -> None:
    """Names, addresses and ports have their own fields and stand in the message."""
    assert shown("audits-lookup")["domain"] == "a.evil.test"
    found = shown("audits-connection", 1)
    assert (found["ip"], found["port"], found["protocol"]) == ("2001:db8::1", 53, "udp")
    assert "[2001:db8::1]:53" in found["msg"]
    assert shown("audits-defender", 1)["count"] == 40


short = st.text(max_size=6000)
numbers = st.integers(0, 2**32 - 1)
events = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("process"),
            "path": short,
            "invoked": short,
            "arguments": st.lists(short, max_size=3),
            "pid": numbers,
            "parentPid": numbers,
            "parentPath": short,
            "user": numbers,
            "main": st.booleans(),
            "interpreted": st.booleans(),
            "invokedIsExe": st.booleans(),
        }
    ),
    st.fixed_dictionaries(
        {"kind": st.just("lookup"), "name": short, "recordType": short, "pid": numbers, "path": short}
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("connection"),
            "protocol": st.sampled_from(["tcp", "udp"]),
            "address": short,
            "port": st.integers(0, 65535),
            "pid": numbers,
            "path": short,
            "resolver": st.booleans(),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("defender"),
            "notice": st.sampled_from(["startedWithoutPolicy", "auditsDropped", "notEnforcing", "attachRefused"]),
            "detail": short,
            "count": st.integers(0, 2**63 - 1),
        }
    ),
)
reasons = ["deniedProcess", "processNotAllowed", "deniedName", "nameNotAllowed", "deniedAddress", "addressNotAllowed"]
audits = st.fixed_dictionaries(
    {
        "seq": st.integers(1, 2**63 - 1),
        "time": st.integers(0, 253_402_300_799_999),
        "rule": st.none() | short,
        "effect": st.sampled_from(["alert", "prevent"]),
        "reason": st.sampled_from([*reasons, "deniedPort", "portNotAllowed", "defender"]),
        "matched": st.none() | short,
        "event": events,
    }
)


@given(audit=audits)
def test_every_audit_can_be_shown(audit: dict[str, Any]) -> None:
    """Whatever fits the contract can be shown, in bounded size, even when its parts do not belong together."""
    found = describe(msgspec.convert(audit, Audit), REPORTER)
    encoded = msgspec.json.encode(found)
    assert msgspec.json.decode(encoded, type=RuntimeAudit) == found
    assert all(len(value) <= 4096 for value in msgspec.to_builtins(found).values() if isinstance(value, str))


@given(now=st.integers(0, 2**45), newest=st.integers(0, 2**40), days=st.integers(1, 4000), keep=st.integers(1, 10**9))
def test_retention_never_removes_what_should_stay(now: int, newest: int, days: int, keep: int) -> None:
    """The newest audit stays if it just came, and never more than the bound of ids are left."""
    received_before, below_id = cutoff(Retention(days=days, audits=keep), now=now, newest_id=newest)
    assert received_before < now
    assert below_id <= newest
    assert newest - below_id + 1 == keep
