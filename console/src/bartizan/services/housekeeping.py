"""What has to be done now and then: old audits and Defenders go, the registry is written, the certificate renewed."""

import asyncio
import logging

from bartizan.audit import Retention, cutoff
from bartizan.services.defenders import Defenders
from bartizan.services.ingest import AuditFeed
from bartizan.services.interfaces import AuditStore, Clock
from bartizan.services.names import Names

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 5_000


class Housekeeping:
    """The periodic tasks of one Console; a failure is logged and tried again at the next turn."""

    def __init__(
        self,
        defenders: Defenders,
        audits: AuditStore,
        feed: AuditFeed,
        names: Names,
        *,
        retention: Retention,
        clock: Clock,
    ) -> None:
        self._defenders = defenders
        self._audits = audits
        self._feed = feed
        self._names = names
        self._retention = retention
        self._clock = clock

    async def run(self, *, flush_seconds: float = 2.0, sweep_seconds: float = 30.0) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        next_sweep = loop.time()
        while True:
            try:
                await self._defenders.flush()
                if loop.time() >= next_sweep:
                    next_sweep = loop.time() + sweep_seconds
                    await self._defenders.sweep()
                    await self.prune()
                    self._names.refresh()
            except Exception:  # noqa: BLE001 - the next turn tries again
                _log.exception("housekeeping failed")
            await asyncio.sleep(flush_seconds)

    async def prune(self) -> int:
        """Remove audits beyond the retention, in small steps so that the writer is not held up; return how many."""
        received_before, below_id = cutoff(self._retention, now=self._clock(), newest_id=self._feed.newest_id)
        total = 0
        while True:
            gone = await asyncio.to_thread(
                self._audits.prune, received_before=received_before, below_id=below_id, most=_MOST_AT_ONCE
            )
            total += gone
            if gone < _MOST_AT_ONCE:
                return total
