"""The golden vectors of `contract/vectors/policy`: runtime policy and workload in, DefenderPolicy out."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bartizan.policy import Workload, encode_policy, parse_policy, resolve

FOLDER = Path(__file__).parents[3] / "contract" / "vectors" / "policy"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]


def test_there_are_vectors() -> None:
    """The folder is where we look for it."""
    assert len(CASES) > 20


@pytest.mark.parametrize("case", CASES)
def test_vector(case: dict[str, Any]) -> None:
    """A policy resolves to what the vector says."""
    workload = case["workload"]
    found = resolve(
        parse_policy(json.dumps(case["policy"])),
        Workload(app_id=workload["appId"], image=workload["image"], container=workload["container"]),
        revision=case["revision"],
    )
    assert json.loads(msgspec.json.encode(found)) == case["expected"]


def test_the_hash_is_that_of_the_sent_bytes() -> None:
    """The hash is the lower-case hex SHA-256 of the compact JSON, so that anyone can check it."""
    policy = resolve(parse_policy('{"rules":[]}'), Workload(app_id="a"), revision=0)
    sent = (
        b'{"version":1,"revision":0,"rule":null,"processes":{"effect":"disable","allow":[],"deny":[]},'
        b'"dns":{"effect":"disable","allow":[],"deny":[]},"network":{"effect":"disable","allowAddresses":[],'
        b'"denyAddresses":[],"allowPorts":[],"denyPorts":[]}}'
    )
    assert encode_policy(policy).hash == hashlib.sha256(sent).hexdigest()
    assert msgspec.json.encode(policy) == sent
