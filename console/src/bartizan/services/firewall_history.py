"""The revisions of the WAAS policy: what it was, and whether a change comes too late."""

import asyncio
from typing import Protocol

import msgspec

from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy.firewall import FirewallPolicy, parse_stored_firewall
from bartizan.policy.firewall.changes import firewall_changes
from bartizan.services.errors import MissingError, StaleError
from bartizan.services.interfaces import Revision

_MOST_SHOWN = 250
_NOBODY = Revision(number=0, author="", created=0)


class RevisionStore(Protocol):
    """The revisions that are kept."""

    def page(self, *, below: int | None, limit: int) -> list[Revision]:
        """Return revisions, the newest first, those below a number if one is given."""
        ...

    def get(self, number: int) -> tuple[Revision, bytes] | None:
        """Return a revision with its document."""
        ...


class FirewallHistory:
    """What the WAAS policy was. Changes of network lists, scrubbing and countries are revisions of an equal policy."""

    def __init__(self, store: RevisionStore) -> None:
        self._store = store

    async def page(self, *, below: int | None = None, limit: int = 50) -> list[Revision]:
        """Return the revisions that are kept, the newest first."""
        wanted = min(limit, _MOST_SHOWN)
        return await asyncio.to_thread(lambda: self._store.page(below=below, limit=wanted))

    async def at(self, number: int) -> tuple[Revision, FirewallPolicy]:
        """Return the policy of a revision; 0 is the empty one before all. Raises MissingError."""
        if number == 0:
            return _NOBODY, FirewallPolicy()
        found = await asyncio.to_thread(self._store.get, number)
        if found is None:
            raise MissingError(f"there is no revision {number} of the WAAS policy, or it is not kept any more")
        return found[0], parse_stored_firewall(found[1])

    async def refuse_stale(self, base: int | None, *, revision: int, current: FirewallPolicy) -> None:
        """Raise StaleError, with what has changed, when `current` is not the policy of the revision `base` any more."""
        if base is None or base == revision:
            return
        try:
            before = (await self.at(base))[1]
        except MissingError:
            before = None
        if before == current:
            return
        latest = next(iter(await self.page(limit=1)), _NOBODY)
        changes = [] if before is None else firewall_changes(before, current)
        when = rfc3339(latest.created)
        raise StaleError(
            f"the WAAS policy was changed by `{latest.author}` at {when}: "
            f"this was made from revision {base}, now there is {revision}",
            changed={
                "revision": revision,
                "author": latest.author,
                "time": when,
                "comment": latest.comment,
                "changes": msgspec.to_builtins(changes),
            },
        )
