"""
Audits on their way into the database, and out to those who follow them.

One writer takes whatever has come in while it was busy (at most 1000 audits) and commits it at once, so a lone audit is
not delayed and a flood is written in large batches. A Defender is told of an audit only after its commit.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence

from bartizan.services.errors import UnavailableError
from bartizan.services.interfaces import AuditStore, NewAudit, NewFirewallAudit

_LARGEST_BATCH = 1000
_MOST_WAITING = 20_000
_log = logging.getLogger(__name__)

Arrived = NewAudit | NewFirewallAudit
Watcher = Callable[[Sequence[Arrived]], None]
"""Gets what was committed, in the event loop: it has to be quick, and must not fail."""


class AuditFeed:
    """Tells followers how far the database has got; they read it themselves, so a slow one costs no memory."""

    def __init__(self, newest_id: int) -> None:
        self.newest_id = newest_id
        self.commits = 0
        self.closed = False
        self._changed = asyncio.Event()

    def publish(self, newest_id: int) -> None:
        """Announce a commit: everything up to this id, and the WAAS events that came with it."""
        self.newest_id = max(newest_id, self.newest_id)
        self.commits += 1
        self._wake()

    def close(self) -> None:
        """Let all followers end."""
        self.closed = True
        self._wake()

    async def newer_than(self, seen: int, *, timeout_seconds: float) -> bool:
        """Wait until there are ids above `seen`; False when the time is over or the feed is closed."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self.newest_id <= seen and not self.closed:
            changed = self._changed
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return False
        return not self.closed

    async def later_than(self, commits: int, *, timeout_seconds: float) -> bool:
        """Wait until there was another commit than these; False when the time is over or the feed is closed."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self.commits == commits and not self.closed:
            changed = self._changed
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return False
        return not self.closed

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Ingest:
    """
    The one writer of audits; `watchers` are shown what it committed.

    `written` counts audits, `failures` batches that were not; `failing` says whether the last one was not.
    """

    def __init__(self, store: AuditStore, feed: AuditFeed, *, watchers: Sequence[Watcher] = ()) -> None:
        self._store = store
        self._feed = feed
        self._watchers = watchers
        self._waiting: deque[tuple[Sequence[Arrived], asyncio.Future[None]]] = deque()
        self._size = 0
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self.written = 0
        self.failures = 0
        self.failing = False

    @property
    def waiting(self) -> int:
        """How many audits are queued."""
        return self._size

    async def submit(self, audits: Sequence[Arrived]) -> asyncio.Future[None]:
        """
        Queue audits and return a future that is done when they are committed (or fails with UnavailableError).

        Waits while too many others are queued: that is the back-pressure towards Defenders.
        """
        while self._size >= _MOST_WAITING:
            await self._room.wait()
        if self._closing:
            raise UnavailableError("the Console is stopping")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((audits, done))
        self._size += len(audits)
        if self._size >= _MOST_WAITING:
            self._room.clear()
        self._work.set()
        return done

    async def run(self) -> None:
        """Write until `close` was called and everything queued is on disk."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                await self._write(self._next_batch())
            if self._closing:
                return

    def close(self) -> None:
        """Take no more audits, and let `run` end."""
        self._closing = True
        self._work.set()

    def _next_batch(self) -> list[tuple[Sequence[Arrived], asyncio.Future[None]]]:
        batch: list[tuple[Sequence[Arrived], asyncio.Future[None]]] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0][0]) <= _LARGEST_BATCH):
            item = self._waiting.popleft()
            batch.append(item)
            size += len(item[0])
        self._size -= size
        if self._size < _MOST_WAITING:
            self._room.set()
        return batch

    async def _write(self, batch: list[tuple[Sequence[Arrived], asyncio.Future[None]]]) -> None:
        try:
            newest = await asyncio.to_thread(self._store.add, [audit for audits, _ in batch for audit in audits])
        except Exception:  # noqa: BLE001 - the writer has to outlive a full disk
            _log.exception("audits could not be written; Defenders will send them again")
            self.failures += 1
            self.failing = True
            for _, done in batch:
                with contextlib.suppress(asyncio.InvalidStateError):
                    done.set_exception(UnavailableError("audits cannot be written now"))
            return
        self.failing = False
        self.written += sum(len(audits) for audits, _ in batch)
        for _, done in batch:
            if not done.done():
                done.set_result(None)
        self._feed.publish(newest)
        for watcher in self._watchers:
            watcher([audit for audits, _ in batch for audit in audits])
