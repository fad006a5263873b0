"""All parts of one Console, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bartizan.app.access import Access
from bartizan.app.alerts import Alerts
from bartizan.app.backup import ConsoleBackup
from bartizan.app.base import Base
from bartizan.app.embedding import Embedding
from bartizan.app.events import Events
from bartizan.app.fleet import Fleet
from bartizan.app.policy import PolicyParts
from bartizan.services.backups import Backups
from bartizan.services.health import Health
from bartizan.services.housekeeping import Housekeeping
from bartizan.services.overview import Overview
from bartizan.services.protect_task import Embedder
from bartizan.settings import Settings


class Parts:
    """
    All parts of one Console, built but not running.

    Raises LooseModeError, InvalidError, OSError or ValueError when the data directory cannot be used.
    """

    def __init__(self, settings: Settings, directory: Path, embedder: Embedder) -> None:
        self.base = Base(settings, directory)
        self.fleet = Fleet(self.base)
        self.policy = PolicyParts(self.base, self.fleet.defenders)
        self.access = Access(self.base, self.policy.collections)
        self.events = Events(self.base, self.fleet, self.policy)
        self.embedding = Embedding(self.base, self.fleet.bundles, embedder)
        self.policy.collections.used_by(self.embedding.registries.users_of_collection)
        self.backups = Backups(settings.data_directory / "backups", ConsoleBackup(self.base), clock=self.base.clock)
        self.policy.collections.used_by(self.access.users.users_of_collection)
        self.health = Health(
            self.events.ingest,
            size=self.base.database.size,
            free=self.base.free_bytes,
            expirations=self.base.expirations,
            clock=self.base.clock,
        )
        self.alerts = Alerts(self.base, self.fleet, self.policy)
        self.policy.collections.used_by(self.alerts.profiles.users_of_collection)
        self.overview = Overview(
            self.policy.deployed,
            self.events.list,
            self.events.incidents,
            self.events.models,
            self.events.learning,
            clock=self.base.clock,
        )
        self.housekeeping = Housekeeping(
            self.fleet.defenders,
            self.events.audit_store,
            self.events.feed,
            self.base.names,
            cutoff=self.base.retentions.of_runtime(self.events.audit_store.average_size),
            prompt=self.events.prompt,
            chores=self.events.chores,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Write audits and keep house until the block ends; what is queued then is written."""
        await self.embedding.credentials.reseal()
        writer = asyncio.create_task(self.events.ingest.run())
        keeper = asyncio.create_task(self.housekeeping.run())
        try:
            async with self.alerts.working():
                yield
        finally:
            await self.backups.close()
            self.events.ingest.close()
            keeper.cancel()
            await asyncio.gather(writer, keeper, return_exceptions=True)
            await self.fleet.defenders.flush()
            await self.events.discoveries.flush()
            await self.policy.flush_hits()

    def close(self) -> None:
        """Close what is open beside the listeners."""
        self.access.close()
        self.embedding.close()
        self.base.close()
