"""What has to be done now and then: old audits and Defenders go, the registry is written, the certificate renewed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from bartizan.services.defenders import Defenders
from bartizan.services.ingest import AuditFeed
from bartizan.services.interfaces import AuditStore
from bartizan.services.names import Names
from bartizan.services.retention import Cutoff

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 5_000

Chore = Callable[[], Awaitable[object]]


class Housekeeping:
    """
    The periodic tasks of one Console; a failure is logged and tried again at the next turn.

    Of the tasks of others, `prompt` ones are done at every turn and `chores` at every sweep.
    """

    def __init__(
        self,
        defenders: Defenders,
        audits: AuditStore,
        feed: AuditFeed,
        names: Names,
        *,
        cutoff: Cutoff,
        prompt: Sequence[Chore] = (),
        chores: Sequence[Chore] = (),
    ) -> None:
        self._defenders = defenders
        self._audits = audits
        self._feed = feed
        self._names = names
        self._cutoff = cutoff
        self._prompt = prompt
        self._chores = chores

    async def run(self, *, flush_seconds: float = 2.0, sweep_seconds: float = 30.0) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        next_sweep = loop.time()
        while True:
            await self._do(self._defenders.flush, *self._prompt)
            if loop.time() >= next_sweep:
                next_sweep = loop.time() + sweep_seconds
                await self._do(self._defenders.sweep, self.prune, *self._chores, self._refresh_names)
            await asyncio.sleep(flush_seconds)

    async def _do(self, *chores: Chore) -> None:
        for chore in chores:
            try:
                await chore()
            except Exception:  # noqa: BLE001 - one that fails must not keep the others from their turn
                _log.exception("housekeeping failed")

    async def _refresh_names(self) -> None:
        self._names.refresh()

    async def prune(self) -> int:
        """Remove audits beyond the retention, in small steps so that the writer is not held up; return how many."""
        received_before, below_id = await asyncio.to_thread(self._cutoff, self._feed.newest_id)
        total = 0
        while True:
            gone = await asyncio.to_thread(
                self._audits.prune, received_before=received_before, below_id=below_id, most=_MOST_AT_ONCE
            )
            total += gone
            if gone < _MOST_AT_ONCE:
                return total
