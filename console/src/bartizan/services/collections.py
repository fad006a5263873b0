"""
The collections that are kept by themselves, and what hangs on them.

A collection that changes is put in force in every policy that names it; one that is in use cannot be removed.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import Rule, Workload
from bartizan.policy.firewall import FirewallRule
from bartizan.policy.match import covers
from bartizan.policy.model import EVERYTHING, Collection, StoredCollections
from bartizan.policy.scopes import bound, refreshed
from bartizan.services.errors import ConflictError, ForbiddenError, InvalidError, MissingError
from bartizan.services.interfaces import Clock, DefenderRecord

MOST_COLLECTIONS = 1000
_MOST_NAMED = 10
_LONGEST_NAMED = 128
_MOST_PATTERNS = 1000
_Rule = TypeVar("_Rule", Rule, FirewallRule)


class CollectionStore(Protocol):
    """The collections."""

    def all(self) -> list[Collection]:
        """Return all of them."""
        ...

    def put(self, collection: Collection) -> None:
        """Add or replace one."""
        ...

    def remove(self, name: str) -> None:
        """Remove one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Something that hangs on a collection, such as the rule `shop` of the runtime policy."""

    kind: Literal["policy", "settings", "user", "group", "apiToken", "registryScan"]
    name: str
    policy: Literal["runtime", "waas", ""] = ""

    def __str__(self) -> str:
        """Return it as the words of a sentence."""
        words = {"settings": "the setting", "registryScan": "the registry", "apiToken": "the API token"}
        what = f"the {self.policy} rule" if self.kind == "policy" else words.get(self.kind, f"the {self.kind}")
        return f"{what} `{self.name}`"


UsageSource = Callable[[str], Iterable[Usage]]
"""Returns what uses the collection of this name."""


class ScopedPolicy(Protocol):
    """A policy whose rules have collections."""

    def scopes(self) -> Iterable[tuple[Usage, Collection]]:
        """Return the collections of all rules."""
        ...

    async def rescope(self, *, author: str) -> None:
        """Put the collections in force as they are now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A workload of a Defender that a collection covers."""

    defender: DefenderRecord
    workload: Workload


class Collections:
    """The collections of one Console, with the built-in `All`."""

    def __init__(self, store: CollectionStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        self._sources: list[UsageSource] = []
        self._policies: list[ScopedPolicy] = []
        self._stored = {item.name: item for item in store.all()}

    @property
    def stored(self) -> StoredCollections:
        """Those that are kept, by their names."""
        return self._stored

    def all(self) -> list[Collection]:
        """Return all collections: the built-in one first, then by their names."""
        return [EVERYTHING, *sorted(self._stored.values(), key=lambda item: (item.name.casefold(), item.name))]

    def named(self, name: str) -> Collection:
        """Return a collection. Raises MissingError."""
        found = EVERYTHING if name == EVERYTHING.name else self._stored.get(name)
        if found is None:
            raise MissingError(f"there is no collection `{name}`")
        return found

    def of(self, workload: Workload) -> list[Collection]:
        """Return all collections that cover a workload."""
        return [item for item in self.all() if covers(item, workload)]

    def limits(self, names: Iterable[str]) -> tuple[Collection, ...]:
        """
        Return the collections of these names that there are; one that is gone covers nothing.

        Raises ForbiddenError when they have more patterns than events can be held against.
        """
        found = [EVERYTHING if name == EVERYTHING.name else self._stored.get(name) for name in sorted(names)]
        kept = tuple(item for item in found if item is not None)
        if any(item.scope == EVERYTHING.scope for item in kept):
            return (EVERYTHING,)
        if sum(len(field) for item in kept for field in item.scope) > _MOST_PATTERNS:
            raise ForbiddenError(
                f"the collections that you are limited to have more than {_MOST_PATTERNS} patterns in all: "
                "ask an administrator to put some of them together"
            )
        return kept

    @asynccontextmanager
    async def kept(self, names: Iterable[str]) -> AsyncIterator[None]:
        """Let these be there, and stay until the block ends. Raises InvalidError for one that is not."""
        async with self._lock:
            for name in names:
                if name != EVERYTHING.name and name not in self._stored:
                    raise InvalidError(f"`collections`: there is no collection `{name[:_LONGEST_NAMED]}`")
            yield

    def covers_any(self, names: Iterable[str], workload: Workload) -> bool:
        """Return whether one of these collections covers a workload; one that is gone covers nothing."""
        found = (EVERYTHING if name == EVERYTHING.name else self._stored.get(name) for name in names)
        return any(item is not None and covers(item, workload) for item in found)

    def serve(self, policy: ScopedPolicy) -> None:
        """Let a policy follow the changes of collections, and keep those that its rules name."""
        self._policies.append(policy)
        self._sources.append(lambda name: _users(policy, name))

    def used_by(self, source: UsageSource) -> None:
        """Let a collection stay as long as `source` names something that uses it."""
        self._sources.append(source)

    def usages(self, name: str) -> list[Usage]:
        """Return what uses a collection. Raises MissingError."""
        self.named(name)
        return list(dict.fromkeys(usage for source in self._sources for usage in source(name)))

    async def put(self, collection: Collection, *, author: str, new: bool) -> None:
        """
        Add a collection, or (without `new`) replace the one of its name, and put it in force.

        Raises ConflictError, MissingError, InvalidError for too many.
        """
        async with self._lock:
            name, present = collection.name, self._stored.get(collection.name)
            if new and present is not None:
                raise ConflictError(f"there is a collection `{name}` already")
            if not new and present is None:
                raise MissingError(f"there is no collection `{name}`")
            if new and len(self._stored) >= MOST_COLLECTIONS:
                raise InvalidError(f"there are {MOST_COLLECTIONS} collections, no more are possible")
            if new:
                self._refuse_another_scope(collection)
            stamped = dataclasses.replace(collection, owner=author, modified=rfc3339(self._clock()))
            await asyncio.to_thread(self._store.put, stamped)
            self._stored = {**self._stored, name: stamped}
            for policy in self._policies:
                await policy.rescope(author=author)

    async def remove(self, name: str) -> None:
        """Remove a collection. Raises MissingError, or ConflictError with what uses it."""
        async with self._lock:
            if name == EVERYTHING.name:
                raise ConflictError("the collection `All` is built in and stays")
            if users := self.usages(name):
                raise ConflictError(f"the collection `{name}` is used by {_listed(users)}: take it out there first")
            await asyncio.to_thread(self._store.remove, name)
            self._stored = {key: item for key, item in self._stored.items() if key != name}

    def _refuse_another_scope(self, collection: Collection) -> None:
        others = dict.fromkeys(
            usage
            for policy in self._policies
            for usage, item in policy.scopes()
            if item.name == collection.name and item.scope != collection.scope
        )
        if others:
            raise ConflictError(
                f"{_listed(list(others))} has a scope of its own that is called `{collection.name}`: "
                "choose another name"
            )


def bound_rules(rules: Sequence[_Rule], stored: StoredCollections, problems: list[str]) -> tuple[_Rule, ...]:
    """Return rules with what is stored in place of the names of collections; what does not fit is a problem."""
    return tuple(
        dataclasses.replace(rule, collections=bound(rule.collections, stored, f"rule `{rule.name}`", problems))
        for rule in rules
    )


def refreshed_rules(rules: Sequence[_Rule], stored: StoredCollections) -> tuple[_Rule, ...]:
    """Return rules with the stored collections as they are now; a scope of a rule's own stays as it is."""
    return tuple(dataclasses.replace(rule, collections=refreshed(rule.collections, stored)) for rule in rules)


def workloads_of(record: DefenderRecord) -> tuple[Workload, ...]:
    """Return what of a Defender a collection can cover: its containers, or the one application."""
    found = tuple(
        Workload(app_id=record.app_id, container=item.container, image=item.image) for item in record.workloads
    )
    return found or (Workload(app_id=record.app_id),)


def covered(collection: Collection, records: Iterable[DefenderRecord]) -> list[Covered]:
    """Return the workloads of these Defenders that a collection covers."""
    return [
        Covered(defender=record, workload=workload)
        for record in records
        for workload in workloads_of(record)
        if covers(collection, workload)
    ]


def _users(policy: ScopedPolicy, name: str) -> Iterable[Usage]:
    return (usage for usage, item in policy.scopes() if item.name == name)


def _listed(usages: Sequence[Usage]) -> str:
    more = len(usages) - _MOST_NAMED
    text = ", ".join(str(usage) for usage in usages[:_MOST_NAMED])
    return f"{text} and {more} more" if more > 0 else text
