"""The library of custom rules and the policy that uses it, when they change at once or cannot be written."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from bartizan.policy import CustomDefinition, PolicyError, Rule, RuntimePolicy, Workload
from bartizan.policy.defender_policy import CustomEffect, CustomKind
from bartizan.policy.model import Attachment
from bartizan.services.custom_rules import CustomRules
from bartizan.services.errors import ConflictError, InvalidError
from bartizan.services.policies import Policies
from bartizan.store import Database, SqlCustomRules, SqlPolicies

WORKLOAD = Workload(app_id="a")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Open a new database."""
    opened = Database(tmp_path / "bartizan.db")
    yield opened
    opened.close()


def defined(number: int, *, script: str = "proc.user = 0") -> CustomDefinition:
    """Return a custom rule."""
    return CustomDefinition(id=number, name=f"rule {number}", kind=CustomKind.PROCESSES, script=script)


def using(*numbers: int) -> RuntimePolicy:
    """Return a policy whose one rule uses custom rules."""
    attached = tuple(Attachment(id=number, effect=CustomEffect.ALERT) for number in numbers)
    return RuntimePolicy(rules=(Rule(name="shop", custom=attached),))


def opened(database: Database) -> tuple[Policies, CustomRules, list[int]]:
    """Return policies and library as a Console has them, and the revisions that were told to sessions."""
    told: list[int] = []
    store = SqlCustomRules(database)
    policies = Policies(
        SqlPolicies(database),
        on_change=lambda: told.append(policies.revision),
        clock=lambda: 1000,
        library={rule.id: rule for rule in store.all()},
    )
    return policies, CustomRules(store, policies, clock=lambda: 1), told


def test_a_changed_rule_is_a_new_revision_only_where_it_is_used(database: Database) -> None:
    """Workloads are told when a rule that their policy uses changes, and not for others or for nothing."""
    policies, library, told = opened(database)

    async def check() -> None:
        await library.put(defined(1), author="ann")
        await library.put(defined(2), author="ann")
        await policies.replace(using(1), author="ann")
        before = policies.resolve(WORKLOAD)
        await library.put(defined(2, script="proc.user = 2"), author="ann")
        await library.put(dataclasses.replace(defined(1), message="of bob"), author="bob")
        assert (told, policies.resolve(WORKLOAD)) == ([1], before)
        await library.put(defined(1, script="proc.user = 1"), author="ann")
        assert told == [1, 2]
        assert policies.resolve(WORKLOAD).policy.custom[0].script == "proc.user = 1"

    asyncio.run(check())
    again, rules, _ = opened(database)
    assert again.resolve(WORKLOAD) == policies.resolve(WORKLOAD)
    assert [rule.script for rule in rules.all()] == ["proc.user = 1", "proc.user = 2"]


def test_attaching_and_removing_at_once_leave_nothing_broken(database: Database) -> None:
    """Of a policy that comes to use a rule and the rule's removal, at the same time, one is refused."""
    policies, library, _ = opened(database)

    async def check(round_: int) -> None:
        await library.put(defined(1), author="ann")
        both = [policies.replace(using(1), author="ann"), library.remove(1, author="bob")]
        if round_ % 2:
            both.reverse()
        results = await asyncio.gather(*both, return_exceptions=True)
        refused = [result for result in results if isinstance(result, Exception)]
        assert len(refused) == 1
        assert isinstance(refused[0], PolicyError | ConflictError)
        assert bool(policies.current.rules) == (1 in policies.library)
        await policies.replace(RuntimePolicy(), author="ann")

    async def rounds() -> None:
        for round_ in range(4):
            await check(round_)

    asyncio.run(rounds())


def test_what_cannot_be_written_does_not_happen(database: Database) -> None:
    """When the disk refuses a change, the old library stays in force."""
    policies, library, told = opened(database)

    async def check() -> None:
        await library.put(defined(1), author="ann")
        await policies.replace(using(1), author="ann")
        before = policies.resolve(WORKLOAD)
        with database.write() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE UPDATE ON custom_rules BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
        with pytest.raises(Exception, match="full"):
            await library.put(defined(1, script="proc.user = 1"), author="ann")
        assert policies.resolve(WORKLOAD) == before
        assert told == [1]

    asyncio.run(check())


def test_a_rule_that_makes_a_policy_too_large_is_refused(database: Database) -> None:
    """A longer script never makes what a Defender gets larger than its frame."""
    policies, library, _ = opened(database)

    async def check() -> None:
        for number in range(5):
            await library.put(defined(number, script="proc.user = 0" + " " * 11_000), author="ann")
        await policies.replace(using(*range(5)), author="ann")
        with pytest.raises(PolicyError, match=r"rule `shop`: its custom rules make it .* at most 60000"):
            await library.put(defined(4, script="proc.user = 0" + " " * 16_000), author="ann")
        assert len(policies.resolve(WORKLOAD).policy.custom[4].script) == 11_013

    asyncio.run(check())


def test_the_library_is_bounded(database: Database) -> None:
    """There is an end to the number of rules; those that are there can still be changed."""
    store = SqlCustomRules(database)
    policies = Policies(
        SqlPolicies(database), on_change=lambda: None, clock=lambda: 1, library={n: defined(n) for n in range(1000)}
    )
    library = CustomRules(store, policies, clock=lambda: 1)

    async def check() -> None:
        with pytest.raises(InvalidError, match="1000"):
            await library.put(defined(1000), author="ann")
        await library.put(defined(999, script="proc.user = 1"), author="ann")

    asyncio.run(check())
    assert [rule.id for rule in store.all()] == [999]
