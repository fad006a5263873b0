"""Sets of rules that were brought in, kept by the digests of their content until they are handed to Defenders."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from bartizan.policy.rulesets import Ruleset, read_ruleset
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import Clock

MOST_RULESETS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRuleset:
    """A set of rules without its content; `created` is unix milliseconds."""

    hash: str
    version: str
    files: int
    author: str
    created: int


class RulesetStore(Protocol):
    """The sets of rules."""

    def all(self) -> list[KeptRuleset]:
        """Return all, the latest first."""
        ...

    def content(self, hash_: str) -> bytes | None:
        """Return the content of a set."""
        ...

    def add(self, kept: KeptRuleset, content: bytes) -> None:
        """Keep a set; one that is there already stays as it is."""
        ...

    def remove(self, hash_: str) -> bool:
        """Remove a set; False when it is not there."""
        ...


class Rulesets:
    """The sets of rules of one Console."""

    def __init__(self, store: RulesetStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()

    async def all(self) -> list[KeptRuleset]:
        """Return all sets, the latest first."""
        return await asyncio.to_thread(self._store.all)

    async def bring_in(self, archive: bytes, *, author: str) -> KeptRuleset:
        """Check and keep a release as a zip archive. Raises PolicyError, or InvalidError when there are too many."""
        found: Ruleset = await asyncio.to_thread(read_ruleset, archive)
        async with self._lock:
            present = await self.all()
            known = next((item for item in present if item.hash == found.hash), None)
            if known is not None:
                return known
            if len(present) >= MOST_RULESETS:
                raise InvalidError(f"there are {MOST_RULESETS} sets of rules, remove one that is not used any more")
            kept = KeptRuleset(
                hash=found.hash, version=found.version, files=found.files, author=author, created=self._clock()
            )
            await asyncio.to_thread(self._store.add, kept, found.content)
            return kept

    async def remove(self, hash_: str) -> None:
        """Remove a set. Raises MissingError."""
        async with self._lock:
            if not await asyncio.to_thread(self._store.remove, hash_):
                raise MissingError(f"there is no set of rules `{hash_}`")
