"""From the wire to what users see."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.audit import Audit, CustomText, Reason, Reporter, Retention, RuntimeAudit, cutoff, describe
from bartizan.audit.detections import DETECTIONS
from bartizan.audit.table import csv_head, csv_line
from bartizan.audit.wire import AuditEffect, DefenderEvent, Notice

VECTORS = Path(__file__).parents[3] / "contract/vectors/messages"
REPORTER = Reporter(app_id="shop:5c1f", instance="i", task="shop", container="web", image="shop:1", version="0.1.0")


EVENT = json.loads((VECTORS / "audits-process.json").read_text(encoding="utf-8"))["message"]["audits"][0]["event"]


def shown(vector: str, index: int = 0) -> dict[str, Any]:
    """Return what users see of an audit of a message vector."""
    message = json.loads((VECTORS / f"{vector}.json").read_text(encoding="utf-8"))["message"]
    audit = msgspec.convert(message["audits"][index], Audit)
    return dict(msgspec.to_builtins(describe(audit, REPORTER)))


@pytest.mark.parametrize("notice", list(Notice))
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.WAAS])
def test_whatever_a_defender_says_of_itself_is_shown(notice: Notice, reason: Reason) -> None:
    """No notice, with whatever reason, is without a type and a sentence; not even of a Defender that makes them up."""
    event = DefenderEvent(notice=notice, detail="a detail", count=1)
    audit = Audit(seq=1, time=1, rule=None, effect=AuditEffect.ALERT, reason=reason, matched=None, event=event)

    seen = describe(audit, REPORTER)

    assert seen.attack_type
    assert "a detail" in seen.msg


def test_a_change_of_the_defender_is_a_detection() -> None:
    """That something of the Defender was changed is told as the attack that it is."""
    event = DefenderEvent(notice=Notice.ATTACKED, detail="its program file was replaced", count=1)
    audit = Audit(
        seq=1, time=1, rule="r", effect=AuditEffect.ALERT, reason=Reason.TAMPERING, matched="program", event=event
    )

    assert (describe(audit, REPORTER).severity, describe(audit, REPORTER).attack_type) == ("high", "tampering")


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
        "reason": "deniedProcess",
        "matched": "sh",
        "attackTechniques": ("T1059",),
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
        ("audits-listen", 0, ("network", "explicitlyDeniedListeningPort", "high")),
        ("audits-file", 0, ("filesystem", "sshAccess", "high")),
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


def found(reason: str, event: dict[str, Any] | None = None, **fields: Any) -> Audit:
    """Return an audit of a program start, or of another event."""
    message = json.loads((VECTORS / "audits-process.json").read_text(encoding="utf-8"))["message"]
    base = message["audits"][0]
    document = {**base, "reason": reason, "matched": None, "event": event or base["event"], **fields}
    return msgspec.convert(document, Audit)


def test_the_table_of_detections_is_the_contracts() -> None:
    """What is shipped in the wheel is what the contract says, and every entry is a reason that a Defender can give."""
    contract = json.loads((VECTORS.parents[1] / "detections.json").read_text(encoding="utf-8"))
    shipped = [{"name": name, **msgspec.to_builtins(facts)} for name, facts in DETECTIONS.items()]
    assert msgspec.json.decode(msgspec.json.encode(shipped)) == contract
    assert DETECTIONS.keys() <= {reason.value for reason in Reason}


def test_every_reason_is_known() -> None:
    """Whatever reason but that of requests a Defender gives has a type, an attack type and a severity, and says why."""
    for reason in Reason:
        if reason not in (Reason.DEFENDER, Reason.WAAS):
            shown = describe(found(reason.value), REPORTER)
            assert shown.type in ("processes", "network", "filesystem", "defender")
            assert shown.attack_type
            assert shown.severity in ("low", "medium", "high")
            assert "it was reported" not in shown.msg


def test_a_detection_is_told_in_a_sentence() -> None:
    """A detection has the vendor's name, ours, techniques, its incident, and says what it is and what led to it."""
    ancestry = [{"pid": 8, "path": "/usr/bin/python3.11"}, {"pid": 1, "path": "/usr/sbin/nginx"}]
    shown = describe(found("cryptoMiner", matched="xmrig", ancestry=ancestry, count=3), REPORTER)
    assert (shown.attack_type, shown.reason, shown.severity) == ("cryptoMinerProcess", "cryptoMiner", "high")
    assert (shown.attack_techniques, shown.incident_category, shown.count) == (("T1496",), "cryptoMiner", 3)
    assert shown.ancestry == ("/usr/bin/python3.11", "/usr/sbin/nginx")
    assert shown.msg == (
        "/bin/sh (/usr/bin/dash) launched from /usr/bin/python3.11 was prevented: "
        "a crypto miner runs (`xmrig`); under /usr/sbin/nginx. Full command: sh -c id"
    )


def test_a_file_and_a_digest_have_their_fields() -> None:
    """What was written is told with who did it; a program's digest is kept."""
    event = {"kind": "file", "operation": "rename", "file": "/etc/cron.d/x", "pid": 3, "path": "/usr/bin/mv", "user": 5}
    shown = describe(found("cronFile", event, effect="alert"), REPORTER)
    assert (shown.filepath, shown.user, shown.type) == ("/etc/cron.d/x", "5", "filesystem")
    assert shown.msg == "renaming of /etc/cron.d/x by /usr/bin/mv was seen: a scheduled task is changed"
    message = json.loads((VECTORS / "audits-detections.json").read_text(encoding="utf-8"))["message"]
    assert describe(msgspec.convert(message["audits"][0], Audit), REPORTER).sha256 == "0f" * 32


def test_a_custom_rule_speaks_for_itself() -> None:
    """Its message is shown with the values of the fields it names, its techniques and its incident with it."""
    audit = found("customRule", matched="no shells")
    text = CustomText(message="%proc.pname ran %proc.name (%proc.args) %proc.other %file.path", techniques=("T1",))
    shown = describe(audit, REPORTER, text)
    assert shown.msg == "python3.11 ran dash (sh -c id) %proc.other %file.path"
    assert (shown.attack_type, shown.attack_techniques, shown.incident_category) == ("customRule", ("T1",), "")
    known = describe(audit, REPORTER, CustomText(message="", incident=True))
    assert "the custom rule `no shells` matched" in known.msg
    assert known.incident_category == "customRule"


def test_values_of_a_message_are_not_read_again() -> None:
    """A program that is named like a field does not put another field's value into the message."""
    event = {"kind": "file", "operation": "write", "file": "/%proc.path", "pid": 3, "path": "/usr/bin/mv", "user": 5}
    shown = describe(found("customRule", event, matched="r"), REPORTER, CustomText(message="wrote %file.path"))
    assert shown.msg == "wrote /%proc.path"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(first: str) -> None:
    """An attacker names programs as they like; no spreadsheet may run such a name."""
    event = {**EVENT, "path": f"{first}cmd|' /C calc'!A0", "arguments": [f"{first}1,2\n"]}
    line = csv_line(describe(found("newBinary", event), REPORTER))
    (cells,) = csv.reader(io.StringIO(line, newline=""))
    (names,) = csv.reader(io.StringIO(csv_head()))
    assert len(cells) == len(names)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert dict(zip(names, cells, strict=True))["Process"] == f"'{event['path']}"


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
            "kind": st.just("listen"),
            "protocol": st.sampled_from(["tcp", "udp"]),
            "address": short,
            "port": st.integers(0, 65535),
            "pid": numbers,
            "path": short,
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("file"),
            "operation": st.sampled_from(["create", "write", "rename", "remove", "attributes"]),
            "file": short,
            "pid": numbers,
            "path": short,
            "user": numbers,
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
audits = st.fixed_dictionaries(
    {
        "seq": st.integers(1, 2**63 - 1),
        "time": st.integers(0, 253_402_300_799_999),
        "rule": st.none() | short,
        "effect": st.sampled_from(["alert", "prevent"]),
        # Requests alone have the reason `waas`: they are shown as events of their own.
        "reason": st.sampled_from([reason.value for reason in Reason if reason is not Reason.WAAS]),
        "matched": st.none() | short,
        "event": events,
        "count": st.integers(1, 2**63 - 1),
        "ancestry": st.lists(st.fixed_dictionaries({"pid": numbers, "path": short}), max_size=40),
    }
)


@given(audit=audits)
def test_every_audit_can_be_shown(audit: dict[str, Any]) -> None:
    """Whatever fits the contract can be shown, in bounded size, even when its parts do not belong together."""
    text = CustomText(message="%proc.cmdline %file.path %net.private_subnet" * 9)
    found = describe(msgspec.convert(audit, Audit), REPORTER, text)
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
