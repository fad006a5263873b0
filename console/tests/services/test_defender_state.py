"""What a Defender's record comes to."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.services.defender_state import (
    AWAITED_FOR,
    SETTLED_AFTER,
    Connection,
    GapKind,
    Sync,
    Wanted,
    WantedWorkload,
    connection_of,
    gaps_of,
    sync_of,
)
from bartizan.services.interfaces import DefenderRecord, FirewallRecord, WorkloadRecord

RECORD = DefenderRecord(
    instance="1" * 32, bundle="b", keys=("k",), certificate_end=1 << 40, kind="fargate", app_id="shop", version="1",
    architecture="amd64", hostname="h", task="shop", connected=True, since=1000, last_seen=1000,
    workloads=(WorkloadRecord(container="web", image="shop:1", policy_hash="a", tier=1),),
)  # fmt: skip
WANTED = Wanted(workloads=(WantedWorkload(hash="a", rule="shop"),), firewall="f")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Connection.CONNECTED),
        ({"connected": False}, Connection.LOST),
        ({"connected": False, "goodbye": "done"}, Connection.ENDED),
        ({"connected": False, "awaited": True}, Connection.AWAITED),
        ({"connected": True, "revoked": 1}, Connection.REVOKED),
    ],
)
def test_who_is_there(change: dict[str, object], expected: Connection) -> None:
    """One that said goodbye ended, one that did not is lost, unless the Console itself was away."""
    assert connection_of(dataclasses.replace(RECORD, **change), now=2000, started=1000) is expected  # type: ignore[arg-type]


def test_who_does_not_come_back_after_a_restart_is_lost() -> None:
    """Five minutes after the Console's start nobody is awaited any more."""
    away = dataclasses.replace(RECORD, connected=False, awaited=True)
    assert connection_of(away, now=1000 + AWAITED_FOR - 1, started=1000) is Connection.AWAITED
    assert connection_of(away, now=1000 + AWAITED_FOR, started=1000) is Connection.LOST


@pytest.mark.parametrize(
    ("firewall", "policy", "connected", "expected"),
    [
        (None, "a", True, Sync.IN_SYNC),
        (None, "old", True, Sync.PENDING),
        (None, None, True, Sync.UNKNOWN),
        (None, "a", False, Sync.UNKNOWN),
        (FirewallRecord(hash="f"), "a", True, Sync.IN_SYNC),
        (FirewallRecord(hash="old"), "a", True, Sync.PENDING),
        (FirewallRecord(hash="f", error="no"), "a", True, Sync.FAILED),
        (FirewallRecord(hash="f", ruleset={"error": "no"}), "a", True, Sync.FAILED),
    ],
)
def test_what_is_in_sync(firewall: FirewallRecord | None, policy: str | None, connected: bool, expected: Sync) -> None:  # noqa: FBT001
    """In sync is who says so of everything; a refused policy is told before one that is under way."""
    workloads = (dataclasses.replace(RECORD.workloads[0], policy_hash=policy),)
    record = dataclasses.replace(RECORD, firewall=firewall, workloads=workloads, connected=connected)
    assert sync_of(record, WANTED) is expected


def test_what_goes_unprotected_is_named() -> None:
    """Silent containers, tiers that enforce nothing, missing rules, dropped audits and ports beside the firewall."""
    workloads = (
        WorkloadRecord(container="silent"),
        WorkloadRecord(container="bare", tier=0, tier_reasons=("no seccomp",)),
        WorkloadRecord(container="looks", tier=5),
        WorkloadRecord(container="free", tier=1, dropped=1200),
        WorkloadRecord(container="good", tier=1),
    )
    rules = ("r", "r", "r", None, "r")
    wanted = Wanted(workloads=tuple(WantedWorkload(hash="a", rule=rule) for rule in rules))
    firewall = FirewallRecord(open_ports=((8080, True), (9000, False)))
    record = dataclasses.replace(RECORD, workloads=workloads, firewall=firewall)
    found = [(gap.kind, gap.name) for gap in gaps_of(record, wanted, now=1000 + SETTLED_AFTER)]
    assert found == [
        (GapKind.CONTAINER, "silent"),
        (GapKind.NOT_ENFORCING, "bare"),
        (GapKind.LOOKS_ONLY, "looks"),
        (GapKind.NO_RULE, "free"),
        (GapKind.AUDITS_DROPPED, "free"),
        (GapKind.PORT, "9000"),
    ]
    assert (GapKind.CONTAINER, "silent") not in [
        (gap.kind, gap.name) for gap in gaps_of(record, wanted, now=1000 + SETTLED_AFTER - 1)
    ]
    assert gaps_of(dataclasses.replace(record, connected=False), wanted, now=1 << 40) == ()


@settings(max_examples=30)
@given(
    tiers=st.lists(st.none() | st.integers(0, 9), max_size=4),
    hashes=st.lists(st.none() | st.sampled_from("ab"), min_size=4, max_size=4),
)
def test_who_is_in_sync_has_told_of_everything(tiers: list[int | None], hashes: list[str | None]) -> None:
    """A Defender counts as in sync only when every one of its workloads has reported the wanted policy."""
    workloads = tuple(
        WorkloadRecord(container=str(number), tier=tier, policy_hash=hashes[number])
        for number, tier in enumerate(tiers)
    )
    wanted = Wanted(workloads=tuple(WantedWorkload(hash="a", rule=None) for _ in tiers))
    record = dataclasses.replace(RECORD, workloads=workloads)
    told = [item.policy_hash for item in workloads]
    assert (sync_of(record, wanted) is Sync.IN_SYNC) == (bool(told) and all(item == "a" for item in told))
    assert len(gaps_of(record, wanted, now=1 << 40)) <= 3 * len(workloads)
