"""What waits to be written is bounded, and outlives a database that cannot be written."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.policy.test_discovery_merge import names, operation

from bartizan.policy.discovery import Discovered
from bartizan.policy.firewall import FirewallPolicy
from bartizan.services.discoveries import Discoveries, DiscoveryKey, DiscoveryQuery
from bartizan.store import Database, SqlDiscoveries

KEY = DiscoveryKey(app_id="shop:1", application="storefront")


class FailingOnce(SqlDiscoveries):
    """A store that cannot be written the first time."""

    failed = False

    def merge(self, key: DiscoveryKey, news: Discovered, *, rule: str, now: int, most_names: int) -> None:
        """Fail, then do it."""
        if not self.failed:
            self.failed = True
            raise OSError("no space left on device")
        super().merge(key, news, rule=rule, now=now, most_names=most_names)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Open a new database."""
    opened = Database(tmp_path / "bartizan.db")
    yield opened
    opened.close()


def learn(discoveries: Discoveries, path: str, *, members: int = 0) -> None:
    """Take over one operation."""
    found = operation(path, body=names(members))
    news = {"storefront": Discovered(operations={found.key: found})}
    asyncio.run(discoveries.learn(app_id="shop:1", rule="shop", learnt=news))


def test_what_waits_is_bounded(database: Database) -> None:
    """Few reports wait; when operations and their names come to too many, they are written without being asked for."""
    store = SqlDiscoveries(database)
    discoveries = Discoveries(store, policy=FirewallPolicy, clock=lambda: 9, most_waiting=10)
    learn(discoveries, "/a")
    learn(discoveries, "/b")
    assert store.of_application(KEY) == []
    learn(discoveries, "/c", members=6)
    assert [item.path for item in store.of_application(KEY)] == ["/a", "/b", "/c"]
    learn(discoveries, "/d")
    assert len(store.of_application(KEY)) == 3
    asyncio.run(discoveries.flush())
    assert len(store.of_application(KEY)) == 4


def test_what_cannot_be_written_waits(database: Database) -> None:
    """A full disk loses nothing and counts nothing twice."""
    discoveries = Discoveries(FailingOnce(database), policy=FirewallPolicy, clock=lambda: 9)
    learn(discoveries, "/a")
    with pytest.raises(OSError, match="no space"):
        asyncio.run(discoveries.flush())
    learn(discoveries, "/a")
    (shown,), total = asyncio.run(discoveries.page(DiscoveryQuery()))
    assert (shown.operation.hits, shown.shadow, total) == (2, None, 1)


def test_memory_outlives_a_full_disk(database: Database) -> None:
    """What comes to too much and cannot be written is let go, and the Defender that told it goes on."""
    discoveries = Discoveries(FailingOnce(database), policy=FirewallPolicy, clock=lambda: 9, most_waiting=0)
    learn(discoveries, "/lost")
    learn(discoveries, "/kept")
    shown, _ = asyncio.run(discoveries.page(DiscoveryQuery()))
    assert [item.operation.path for item in shown] == ["/kept"]
