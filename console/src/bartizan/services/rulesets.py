"""
Sets of rules that were brought in, kept by the digests of their content, and the one of them that Defenders judge by.

Without one they judge by the rules that they come with.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bartizan.policy.rulesets import Ruleset, read_ruleset
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.interfaces import Clock, SettingStore

MOST_RULESETS = 20
_SETTING = "waasRuleset"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRuleset:
    """A set of rules without its content; `created` is unix milliseconds."""

    hash: str
    version: str
    files: int
    author: str
    created: int


@dataclass(frozen=True, slots=True)
class UsedRuleset:
    """The set of rules that Defenders are to judge by."""

    hash: str
    content: bytes


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

    def __init__(
        self, store: RulesetStore, settings: SettingStore, *, on_change: Callable[[], None], clock: Clock
    ) -> None:
        self._store = store
        self._settings = settings
        self._on_change = on_change
        self._clock = clock
        self._lock = asyncio.Lock()
        name = settings.get(_SETTING)
        content = store.content(name) if name else None
        self.in_use = UsedRuleset(name, content) if name and content is not None else None

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

    async def use(self, hash_: str | None) -> None:
        """Let Defenders judge by a set, or (None) by the rules that they come with. Raises MissingError."""
        async with self._lock:
            content = await asyncio.to_thread(self._store.content, hash_) if hash_ is not None else None
            if hash_ is not None and content is None:
                raise MissingError(f"there is no set of rules `{hash_}`")
            await asyncio.to_thread(self._settings.put, _SETTING, hash_ or "")
            self.in_use = UsedRuleset(hash_, content) if hash_ is not None and content is not None else None
            self._on_change()

    async def remove(self, hash_: str) -> None:
        """Remove a set. Raises MissingError, or ConflictError for the one in use."""
        async with self._lock:
            if self.in_use is not None and self.in_use.hash == hash_:
                raise ConflictError("Defenders judge by this set of rules: let them use another one first")
            if not await asyncio.to_thread(self._store.remove, hash_):
                raise MissingError(f"there is no set of rules `{hash_}`")
