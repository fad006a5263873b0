"""
How often the rules of a policy matched, and when they last did.

Counted in memory as audits are written, and flushed in bulk: a flood of audits costs no commit more. What was counted
in the last seconds before a crash is lost, and an audit that a Defender sends twice may count twice.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence

from bartizan.services.interfaces import Hits, HitStore

RuleNames = Callable[[], Collection[str]]


class RuleHits:
    """The counters of one policy; `names` are the rules that it has now. No other is counted, whoever claims so."""

    def __init__(self, store: HitStore, *, names: RuleNames) -> None:
        self._store = store
        self._names = names
        self._hits = store.all()
        self._dirty: set[str] = set()

    def count(self, matches: Sequence[tuple[str, int, int]]) -> None:
        """Take matches as (rule, how often, unix milliseconds); called in the event loop."""
        if not matches:
            return
        names = set(self._names())
        for rule, times, moment in matches:
            if rule in names:
                known = self._hits.get(rule, Hits(count=0, last=0))
                self._hits[rule] = Hits(count=known.count + max(times, 1), last=max(known.last, moment))
                self._dirty.add(rule)

    def of(self, rule: str) -> Hits | None:
        """Return how often a rule matched, None for never."""
        return self._hits.get(rule)

    async def flush(self) -> None:
        """Write what changed, and forget rules that are gone."""
        gone = self._hits.keys() - set(self._names())
        for rule in gone:
            del self._hits[rule]
        changed, self._dirty = self._dirty - gone, set()
        if gone:
            await asyncio.to_thread(self._store.remove, gone)
        if changed:
            try:
                await asyncio.to_thread(self._store.put, {rule: self._hits[rule] for rule in changed})
            except Exception:
                self._dirty |= changed
                raise
