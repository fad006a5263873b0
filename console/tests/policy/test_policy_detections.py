"""What the vendor's fields ask for, and how our own field wins."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bartizan.policy import Workload, parse_policy, resolve
from bartizan.policy.checks import ADVANCED, FILE_CHECKS, PROCESS_CHECKS
from bartizan.policy.defender_policy import CustomKind, Detection
from bartizan.policy.model import CustomDefinition, Library
from bartizan.policy.resolve import library_problems

CONTRACT = json.loads((Path(__file__).parents[3] / "contract/detections.json").read_text(encoding="utf-8"))
LIBRARY: Library = {
    1: CustomDefinition(id=1, name="no shells", kind=CustomKind.PROCESSES, script='proc.name = "sh"'),
    2: CustomDefinition(id=2, name="keep", kind=CustomKind.FILESYSTEM, script='file.dir = "/etc"'),
}


def resolved(library: Library | None = None, **rule: Any) -> dict[str, Any]:
    """Return what the Defender of a workload gets of one rule."""
    policy = parse_policy(json.dumps({"rules": [{"name": "r", **rule}]}))
    found = resolve(policy, Workload(app_id="a"), revision=1, library=library or {})
    return dict(json.loads(msgspec.json.encode(found)))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"processes": {"effect": "prevent"}}, {}),
        ({"processes": {"effect": "alert", "skipModified": True}}, {}),
        (
            {"processes": {"effect": "prevent", "skipModified": False}},
            {"modifiedBinary": "prevent", "alteredPackageBinary": "prevent"},
        ),
        ({"processes": {"effect": "alert", "checkNewBinaries": True}}, {"newBinary": "alert"}),
        ({"processes": {"effect": "prevent", "checkCryptoMiners": True}}, {"cryptoMiner": "prevent"}),
        ({"processes": {"effect": "alert", "checkLateralMovement": True}}, {"lateralMovement": "alert"}),
        ({"processes": {"effect": "prevent", "blockAllBinaries": True}}, {"notMainProcess": "prevent"}),
        ({"processes": {"effect": "disable", "checkCryptoMiners": True, "skipModified": False}}, {}),
        (
            {"filesystem": {"effect": "alert", "checkNewFiles": True}},
            {"binaryWritten": "alert", "certificateWritten": "alert"},
        ),
        (
            {"filesystem": {"effect": "prevent", "backdoorFiles": True}},
            {"sshAccess": "prevent", "administrativeAccount": "prevent"},
        ),
        ({"filesystem": {"effect": "alert", "suspiciousELFHeaders": True}}, {"suspiciousElf": "alert"}),
        ({"filesystem": {"effect": "alert", "skipEncryptedBinaries": False}}, {"packedBinary": "alert"}),
        ({"filesystem": {"effect": "alert", "skipEncryptedBinaries": True}}, {}),
        ({"advancedProtection": True}, {item.value: "alert" for item in ADVANCED}),
        ({"detections": {"inlineCode": "prevent", "portScan": "disable"}}, {"inlineCode": "prevent"}),
        (
            {"processes": {"effect": "prevent", "skipModified": False}, "detections": {"modifiedBinary": "disable"}},
            {"alteredPackageBinary": "prevent"},
        ),
        (
            {"processes": {"effect": "alert", "checkCryptoMiners": True}, "detections": {"cryptoMiner": "prevent"}},
            {"cryptoMiner": "prevent"},
        ),
    ],
)
def test_fields_and_detections(rule: dict[str, Any], expected: dict[str, str]) -> None:
    """Each field turns its detections on with the effect of its section; our own field wins."""
    assert resolved(**rule).get("detections", {}) == expected


def test_every_detection_can_be_asked_for_by_itself() -> None:
    """Whatever a Defender finds by itself, a rule can name it."""
    wanted = {item.value: "alert" for item in Detection}
    assert resolved(detections=wanted)["detections"] == wanted


def test_advanced_protection_is_what_is_left_of_high_severity() -> None:
    """The list is what the contract says is severe and no other field asks for, but for files."""
    elsewhere = {d for asked in (*PROCESS_CHECKS.values(), *FILE_CHECKS.values()) for d in asked.detections}
    own = {item.value for item in Detection} - {item.value for item in elsewhere}
    severe = {
        item["name"]
        for item in CONTRACT
        if item["severity"] == "high" and item["section"] != "file" and item["name"] in own
    }
    assert {item.value for item in ADVANCED} == severe


def test_sections_reach_the_defender() -> None:
    """Listening ports, file lists and digests are sent in their normal form."""
    digest = "AB" * 32
    found = resolved(
        processes={"effect": "alert", "whitelist": [f"SHA256:{digest}"]},
        network={"effect": "prevent", "whitelistListeningPorts": [{"start": 80}]},
        filesystem={"effect": "prevent", "whitelist": ["/data/"], "blacklist": ["/etc/", "*.pem"]},
    )
    assert found["processes"]["allow"] == [f"sha256:{digest.lower()}"]
    assert found["network"]["allowListenPorts"] == [{"start": 80, "end": 80}]
    assert found["files"] == {"effect": "prevent", "allow": ["/data"], "deny": ["/etc", "*.pem"]}


def test_custom_rules_are_copied_in_their_order() -> None:
    """A Defender gets name, kind, script and effect of each attached rule that is in force."""
    attached = [{"_id": 2, "effect": "allow"}, {"_id": 1, "effect": "prevent", "action": "incident"}]
    assert resolved(LIBRARY, customRules=attached)["custom"] == [
        {"name": "keep", "kind": "filesystem", "script": 'file.dir = "/etc"', "effect": "allow"},
        {"name": "no shells", "kind": "processes", "script": 'proc.name = "sh"', "effect": "prevent"},
    ]
    assert "custom" not in resolved(LIBRARY, customRules=[{"_id": 1, "effect": "disable"}])


def test_a_rule_and_the_library_have_to_fit() -> None:
    """Rules that are not in the library are named, and so are results that no frame could carry."""

    def problems(library: Library) -> list[str]:
        rules = [{"name": "r", "customRules": [{"_id": 1, "effect": "alert"}, {"_id": 9, "effect": "alert"}]}]
        return library_problems(parse_policy(json.dumps({"rules": rules})), library)

    assert problems(LIBRARY) == ["rule `r`: there is no custom rule 9"]
    long = CustomDefinition(id=9, name="long", kind=CustomKind.PROCESSES, script="x" * 60_000)
    (problem,) = problems({**LIBRARY, 9: long})
    assert "at most 60000" in problem
