"""Reading audits: pages, and following them as they are committed."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import msgspec

from bartizan.audit import RuntimeAudit
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.ingest import AuditFeed
from bartizan.services.interfaces import AuditGroup, AuditQuery, AuditStore

_FOLLOW_PAGE = 250
_TABLE_PAGE = 1000


class Audits:
    """The audits of one Console, as JSON documents with their `_id`."""

    def __init__(self, store: AuditStore, feed: AuditFeed) -> None:
        self._store = store
        self._feed = feed

    async def page(self, query: AuditQuery) -> tuple[list[bytes], int]:
        """Return the documents of one page, and how many audits match in all."""
        rows = await asyncio.to_thread(self._store.page, query)
        total = await asyncio.to_thread(self._store.count, query)
        return [with_id(number, document) for number, document in rows], total

    async def grouped(self, query: AuditQuery) -> tuple[list[bytes], int]:
        """Return one page of documents that each stand for all audits that are alike, and how many there are in all."""
        groups = await asyncio.to_thread(self._store.groups, query)
        total = await asyncio.to_thread(self._store.count_groups, query)
        return [_grouped(group) for group in groups], total

    async def all(self, query: AuditQuery) -> AsyncIterator[list[RuntimeAudit]]:
        """Yield all matching audits in pages, the oldest first; those that come meanwhile are left out."""
        seen, newest = query.after_id or 0, self._feed.newest_id
        while seen < newest:
            page = dataclasses.replace(query, after_id=seen, sort="_id", descending=False, offset=0, limit=_TABLE_PAGE)
            rows = await asyncio.to_thread(self._store.page, page)
            yield [msgspec.json.decode(with_id(*row), type=RuntimeAudit) for row in rows if row[0] <= newest]
            seen = rows[-1][0] if len(rows) == _TABLE_PAGE else newest

    def newest_id(self) -> int:
        """Return the highest id that is committed."""
        return self._feed.newest_id

    async def place(self, query: AuditQuery) -> tuple[int, int]:
        """Return above which id following begins now, and the id that says so; where others' audits end is theirs."""
        newest = self.newest_id()
        if query.within is None:
            return newest, newest
        own = AuditQuery(within=query.within, sort="_id", limit=1)
        rows = await asyncio.to_thread(self._store.page, own)
        return newest, min(newest, rows[0][0] if rows else 0)

    async def follow(
        self, query: AuditQuery, *, after: int, idle_seconds: float
    ) -> AsyncIterator[tuple[int, bytes] | None]:
        """
        Yield (id, document) of every matching audit above `after`, in order of id, as they come.

        Yields None whenever nothing came for `idle_seconds`. Ends when the Console stops.
        """
        seen = after
        while not self._feed.closed:
            newest = self._feed.newest_id
            while seen < newest:
                page = dataclasses.replace(
                    query, after_id=seen, sort="_id", descending=False, offset=0, limit=_FOLLOW_PAGE
                )
                rows = await asyncio.to_thread(self._store.page, page)
                for number, document in rows:
                    yield number, with_id(number, document)
                # Ids are not dense, and the filter may leave out many: a short page means that all is seen.
                seen = rows[-1][0] if len(rows) == _FOLLOW_PAGE else max(newest, rows[-1][0] if rows else 0)
            if not await self._feed.newer_than(seen, timeout_seconds=idle_seconds) and not self._feed.closed:
                yield None


def _grouped(group: AuditGroup) -> bytes:
    audit = msgspec.json.decode(group.document, type=RuntimeAudit)
    shown = msgspec.structs.replace(audit, id=str(group.id), count=group.count, first_seen=rfc3339(group.first))
    return msgspec.json.encode(shown)


def with_id(number: int, document: bytes) -> bytes:
    """Return a stored document (a JSON object that is not empty) with its `_id` in front."""
    return b'{"_id":"%d",' % number + document[1:]
