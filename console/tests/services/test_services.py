"""Use-cases on a real database, with a clock that the test turns."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bartizan.audit import Retention, RuntimeAudit
from bartizan.policy import Rule, RuntimePolicy, Workload
from bartizan.services.accounts import Accounts
from bartizan.services.collections import Collections
from bartizan.services.defenders import Defenders
from bartizan.services.directory import Directory
from bartizan.services.errors import (
    InvalidError,
    TooManyAttemptsError,
    UnauthorizedError,
    UnavailableError,
)
from bartizan.services.failure_limit import FailureLimit
from bartizan.services.housekeeping import Housekeeping
from bartizan.services.ingest import AuditFeed, Ingest
from bartizan.services.interfaces import AuditQuery, DefenderRecord, NewAudit, WorkloadRecord
from bartizan.services.names import Names
from bartizan.services.policies import Policies
from bartizan.services.retention import Retentions
from bartizan.services.sessions import SCRIPT_LIFE, Sessions
from bartizan.store import (
    Database,
    SqlAudits,
    SqlCollections,
    SqlDefenders,
    SqlDirectory,
    SqlPolicies,
    SqlSessions,
    SqlSettings,
)

HOUR = 3_600_000


@dataclass
class Clock:
    """A clock that stands still until it is turned."""

    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        """Return unix milliseconds."""
        return self.now


@dataclass
class Session:
    """A live session that remembers what it was told."""

    closed: list[str] = field(default_factory=list)
    changes: int = 0

    def policy_changed(self) -> None:
        """Count."""
        self.changes += 1

    def close(self, code: str, message: str) -> None:
        """Remember why."""
        assert message
        self.closed.append(code)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Open a new database."""
    opened = Database(tmp_path / "bartizan.db")
    yield opened
    opened.close()


def record(
    instance: str = "a" * 32, *, key: str = "k", bundle: str = "b", end: int = 2_000_000_000_000
) -> DefenderRecord:
    """Return a Defender's record."""
    return DefenderRecord(
        instance=instance, bundle=bundle, keys=(key,), certificate_end=end, kind="fargate", app_id="shop:1",
        version="1", architecture="amd64", hostname="h", task="shop", workloads=(WorkloadRecord(container="web"),),
    )  # fmt: skip


def test_a_disconnected_defender_leaves_after_the_hour(database: Database) -> None:
    """Who is away for the set time goes with all workloads, also from the database; who is connected stays."""
    clock = Clock()
    defenders = Defenders(SqlDefenders(database), SqlSettings(database), clock=clock)
    here, away = Session(), Session()
    defenders.connected(record("1" * 32), here)
    defenders.connected(record("2" * 32), away)
    defenders.disconnected("2" * 32, away, goodbye="bye")
    asyncio.run(defenders.flush())
    clock.now += HOUR - 1
    assert asyncio.run(defenders.sweep()) == 0
    clock.now += 1
    assert asyncio.run(defenders.sweep()) == 1
    assert [item.instance for item in defenders.all()] == ["1" * 32]
    assert [item.instance for item in SqlDefenders(database).all()] == ["1" * 32]


def test_the_time_can_be_changed_and_is_kept(database: Database) -> None:
    """A longer time is honoured at once and after a restart."""
    clock = Clock()
    defenders = Defenders(SqlDefenders(database), SqlSettings(database), clock=clock)
    session = Session()
    defenders.connected(record(), session)
    defenders.disconnected("a" * 32, session, goodbye=None)
    asyncio.run(defenders.set_disconnected_minutes(120))
    clock.now += HOUR + 1
    assert asyncio.run(defenders.sweep()) == 0
    assert Defenders(SqlDefenders(database), SqlSettings(database), clock=clock).disconnected_minutes == 120
    with pytest.raises(InvalidError):
        asyncio.run(defenders.set_disconnected_minutes(0))


def test_who_was_connected_when_the_console_ended_gets_the_full_time(database: Database) -> None:
    """A Console that was down for long does not drop Defenders before they could come back."""
    clock = Clock()
    first = Defenders(SqlDefenders(database), SqlSettings(database), clock=clock)
    first.connected(record(), Session())
    asyncio.run(first.flush())
    clock.now += 5 * HOUR
    second = Defenders(SqlDefenders(database), SqlSettings(database), clock=clock)
    assert asyncio.run(second.sweep()) == 0
    assert [item.connected for item in second.all()] == [False]


def test_the_end_of_a_replaced_session_changes_nothing(database: Database) -> None:
    """When the older of two connections ends after the newer began, the Defender stays connected."""
    defenders = Defenders(SqlDefenders(database), SqlSettings(database), clock=Clock())
    old, new = Session(), Session()
    defenders.connected(record(), old)
    defenders.connected(record(), new)
    assert old.closed == ["replaced"]
    defenders.disconnected("a" * 32, old, goodbye=None)
    assert defenders.sessions() == [new]
    assert [record.connected for record in defenders.all()] == [True]


def test_a_key_is_bound_until_its_certificate_ends(database: Database) -> None:
    """Another key cannot take an instance while its certificate lives, and does not inherit the old key."""
    clock = Clock()
    defenders = Defenders(SqlDefenders(database), SqlSettings(database), clock=clock)
    end = clock.now + HOUR
    defenders.connected(record(key="one", end=end), Session())
    assert defenders.free_for("a" * 32, "b", "one")
    assert not defenders.free_for("a" * 32, "b", "two")
    assert not defenders.free_for("a" * 32, "other bundle", "one")
    clock.now = end
    assert defenders.free_for("a" * 32, "b", "two")
    defenders.connected(record(key="two", end=end + HOUR), Session())
    assert not defenders.free_for("a" * 32, "b", "one")


def test_failures_fill_a_bucket_that_leaks() -> None:
    """After ten failures an address waits; after the time it was told it may try again; others are not touched."""
    clock = Clock()
    limit = FailureLimit(clock=clock)
    for _ in range(10):
        limit.check("192.0.2.1")
        limit.failed("192.0.2.1")
    with pytest.raises(TooManyAttemptsError) as refused:
        limit.check("192.0.2.1")
    limit.check("192.0.2.2")
    clock.now += refused.value.retry_after * 1000
    limit.check("192.0.2.1")


def test_an_ipv6_site_is_one_party() -> None:
    """Addresses of one /64 share the bucket, and a mapped IPv4 address is the IPv4 address."""
    limit = FailureLimit(clock=Clock(), burst=1)
    limit.failed("2001:db8::1")
    limit.failed("::ffff:192.0.2.1")
    for address in ("2001:db8::ffff", "192.0.2.1"):
        with pytest.raises(TooManyAttemptsError):
            limit.check(address)
    limit.check("2001:db8:0:1::1")


def test_the_number_of_remembered_addresses_is_bounded() -> None:
    """A flood from many addresses costs bounded memory."""
    limit = FailureLimit(clock=Clock())
    for number in range(10_100):
        limit.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limit._failures) == 10_000


def accounts_of(
    database: Database, clock: Clock, *, setup_token: str | None, on_set_up: Callable[[], None] = lambda: None
) -> Accounts:
    """Return the accounts of a database."""
    directory, sessions = Directory(SqlDirectory(database)), Sessions(SqlSessions(database), clock=clock)
    collections = Collections(SqlCollections(database), clock=clock)
    return Accounts(directory, sessions, collections, setup_token=setup_token, on_set_up=on_set_up, clock=clock)


def test_a_session_lasts_thirty_minutes(database: Database) -> None:
    """A token is good until then and not a moment longer; an unknown one never."""
    clock = Clock()
    done: list[bool] = []
    accounts = accounts_of(database, clock, setup_token="t", on_set_up=lambda: done.append(True))

    async def check() -> None:
        await accounts.sign_up(name="admin", password="long enough now", token="t", address="a")
        assert done == [True]
        _, session = await accounts.log_in(name="admin", password="long enough now", address="a")
        assert session.expires == clock.now + SCRIPT_LIFE
        assert (await accounts.by_token(session.token)).name == "admin"
        clock.now = session.expires
        for token in (session.token, "other", ""):
            with pytest.raises(UnauthorizedError):
                await accounts.by_token(token)

    asyncio.run(check())
    accounts.close()


def test_many_guesses_at_once_are_counted_too(database: Database) -> None:
    """Guesses that run side by side do not get more tries than those in a row."""
    accounts = accounts_of(database, Clock(), setup_token=None)

    async def guess(number: int) -> str:
        try:
            await accounts.by_password(name="admin", password=str(number), address="192.0.2.1")
        except (UnauthorizedError, TooManyAttemptsError) as error:
            return type(error).__name__
        return "in"

    async def check() -> list[str]:
        return list(await asyncio.gather(*(guess(number) for number in range(14))))

    found = asyncio.run(check())
    accounts.close()
    assert found.count("UnauthorizedError") == 10
    assert found.count("TooManyAttemptsError") == 4


def test_rules_keep_who_changed_them(database: Database) -> None:
    """Owner and time are those of the last real change of a rule."""
    clock = Clock()
    policies = Policies(SqlPolicies(database), on_change=lambda: None, clock=clock)

    async def check() -> None:
        one, two = Rule(name="one"), Rule(name="two")
        await policies.replace(RuntimePolicy(rules=(one, two)), author="ann")
        clock.now += HOUR
        await policies.replace(RuntimePolicy(rules=(two, Rule(name="one", notes="new"))), author="bob")

    asyncio.run(check())
    assert [(rule.name, rule.owner) for rule in policies.current.rules] == [("two", "ann"), ("one", "bob")]
    again = Policies(SqlPolicies(database), on_change=lambda: None, clock=clock)
    assert (again.current, again.revision) == (policies.current, 2)


def test_a_resolved_policy_is_never_stale(database: Database) -> None:
    """What is remembered for a workload is forgotten at every change, and sessions are told after the commit."""
    told: list[int] = []
    policies = Policies(SqlPolicies(database), on_change=lambda: told.append(policies.revision), clock=Clock())
    workload = Workload(app_id="a")
    before = policies.resolve(workload)
    assert policies.resolve(workload) is before
    asyncio.run(policies.replace(RuntimePolicy(rules=(Rule(name="r"),)), author="a"))
    assert policies.resolve(workload).policy.rule == "r"
    assert told == [1]


def new_audit(seq: int) -> NewAudit:
    """Return an audit."""
    audit = RuntimeAudit(
        time="",
        type="t",
        attack_type="a",
        effect="alert",
        severity="s",
        msg="m",
        app_id="a",
        hostname="a",
        profile_id="a",
    )
    return NewAudit(bundle="b", source="s", seq=seq, time=1, received=1, audit=audit)


class BrokenAudits(SqlAudits):
    """A store whose disk is full until it is mended."""

    broken = True

    def add(self, new: "list[NewAudit]") -> int:  # type: ignore[override]
        """Fail, or write."""
        if self.broken:
            raise OSError("no space left on device")
        return super().add(new)


def test_what_could_not_be_written_is_not_acknowledged(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """With a full disk the sender is told to come again, and once there is room it works."""
    store = BrokenAudits(database)
    feed = AuditFeed(0)

    async def check() -> None:
        ingest = Ingest(store, feed)
        writer = asyncio.create_task(ingest.run())
        with pytest.raises(UnavailableError):
            await (await ingest.submit([new_audit(1)]))
        assert feed.newest_id == 0
        store.broken = False
        await (await ingest.submit([new_audit(1)]))
        ingest.close()
        await writer
        with pytest.raises(UnavailableError):
            await ingest.submit([new_audit(2)])

    asyncio.run(check())
    assert store.count(AuditQuery()) == 1
    assert "could not be written" in caplog.text


def test_old_audits_are_pruned_in_the_background(database: Database) -> None:
    """Housekeeping keeps as many audits as it was told, and looks after the certificate."""
    store = SqlAudits(database)
    settings = SqlSettings(database)
    feed = AuditFeed(store.add([new_audit(seq) for seq in range(1, 21)]))
    clock = Clock(now=2)
    renewed = asyncio.Event()
    names = Names(settings, defaults=["a.test"], added=[], reissue=lambda _names: renewed.set())
    renewed.clear()
    defenders = Defenders(SqlDefenders(database), settings, clock=clock)
    retentions = Retentions(settings, given=Retention(days=1, audits=5), clock=clock)
    keeper = Housekeeping(defenders, store, feed, names, cutoff=retentions.of_runtime(store.average_size))

    async def check() -> None:
        running = asyncio.create_task(keeper.run(flush_seconds=0.01, sweep_seconds=0.0))
        async with asyncio.timeout(10):
            await renewed.wait()
        running.cancel()

    asyncio.run(check())
    assert [number for number, _ in store.page(AuditQuery())] == [20, 19, 18, 17, 16]


def test_names_are_kept_and_given_ones_are_added(database: Database) -> None:
    """A list that was set replaces what the machine knows; names of the start and loopback always stay."""
    settings = SqlSettings(database)
    issued: list[tuple[str, ...]] = []

    def names() -> Names:
        return Names(
            settings,
            defaults=["Host", "bad name"],
            added=["Console.TEST"],
            reissue=lambda all_: issued.append(tuple(all_)),
        )

    loopback = ("localhost", "127.0.0.1", "::1")
    first = names()
    assert issued[-1] == ("console.test", "host", *loopback)
    asyncio.run(first.replace(["192.0.2.1", "new.test."]))
    assert issued[-1] == ("console.test", "192.0.2.1", "new.test", *loopback)
    assert names().all() == issued[-1]
