"""What all tests share: examples are not judged by the clock, and every store is tested on both databases."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.postgresql import Server, Where, running_server

from bartizan.database_address import DatabaseAddress
from bartizan.store import Database

# The machine may be busy with other things.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Run PostgreSQL, with a migrated database."""
    with running_server() as running:
        running.execute("CREATE DATABASE migrated TEMPLATE template0")
        Database(running.address("migrated")).close()
        yield running


def emptied(server: Server) -> DatabaseAddress:
    """Return the migrated database, without rows."""
    server.empty("migrated")
    return server.address("migrated")


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """Name a database that is new and empty."""
    if request.param == "sqlite":
        return tmp_path / "bartizan.db"
    return emptied(request.getfixturevalue("server"))


@pytest.fixture
def database(where: Where) -> Iterator[Database]:
    """Open a new database."""
    opened = Database(where)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Database]:
    """Give a maker of new databases, for tests that need many."""

    def make() -> Database:
        if request.param == "sqlite":
            return Database(tmp_path_factory.mktemp("store") / "bartizan.db")
        return Database(emptied(request.getfixturevalue("server")))

    return make
