"""The runtime policy and the library of custom rules: publish them, and resolve them for workloads."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable

import msgspec

from bartizan.audit import CustomText
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import (
    CustomDefinition,
    EncodedPolicy,
    Library,
    PolicyError,
    Rule,
    RuntimePolicy,
    Workload,
    encode_policy,
    library_problems,
    parse_stored,
    policy_document,
    resolve,
)
from bartizan.policy.model import Action, Collection, StoredCollections
from bartizan.policy.parse import MOST_RULES
from bartizan.services.collections import Usage, bound_rules, refreshed_rules
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.interfaces import Clock, PolicyStore

_MOST_CACHED = 10_000
_NO_LIBRARY: Library = {}


class Policies:
    """The policy in force; every change is a new revision, and `on_change` is called after it is on disk."""

    def __init__(
        self,
        store: PolicyStore,
        *,
        on_change: Callable[[], None],
        clock: Clock,
        library: Library = _NO_LIBRARY,
        collections: Callable[[], StoredCollections] = dict,
    ) -> None:
        self._store = store
        self._collections = collections
        self._clock = clock
        self._on_change = on_change
        self._lock = asyncio.Lock()
        self._resolved: dict[Workload, EncodedPolicy] = {}
        self.library = library
        self._by_name = _by_name(library)
        latest = store.latest()
        self.revision, stored = (latest[0], parse_stored(latest[1])) if latest else (0, RuntimePolicy())
        self.current = self._refreshed(stored)

    def resolve(self, workload: Workload) -> EncodedPolicy:
        """Return what a workload's Defender has to enforce now."""
        found = self._resolved.get(workload)
        if found is None:
            found = encode_policy(resolve(self.current, workload, revision=self.revision, library=self.library))
            if len(self._resolved) >= _MOST_CACHED:
                self._resolved.clear()
            self._resolved[workload] = found
        return found

    def custom_text(self, rule: str | None, name: str | None) -> CustomText | None:
        """Return what people are told when the custom rule of this name matches in a rule; None for an unknown one."""
        definition = self._by_name.get(name or "")
        if definition is None:
            return None
        attached = next((present.custom for present in self.current.rules if present.name == rule), ())
        incident = any(item.id == definition.id and item.action is Action.INCIDENT for item in attached)
        return CustomText(message=definition.message, techniques=definition.techniques, incident=incident)

    async def replace(self, policy: RuntimePolicy, *, author: str) -> int:
        """
        Put a whole policy in force and return its revision; an equal one changes nothing.

        Raises PolicyError when it does not fit the library of custom rules.
        """
        async with self._lock:
            return await self._publish(policy, author)

    async def add_rule(self, rule: Rule, *, author: str) -> int:
        """
        Put one rule before all others and return the revision.

        Raises ConflictError when its name is taken, PolicyError when it does not fit the library of custom rules.
        """
        async with self._lock:
            if any(present.name == rule.name for present in self.current.rules):
                raise ConflictError(f"there is a rule `{rule.name}` already")
            if len(self.current.rules) >= MOST_RULES:
                raise InvalidError(f"there are {MOST_RULES} rules, no more are possible")
            return await self._publish(RuntimePolicy(rules=(rule, *self.current.rules)), author)

    async def change_rule(self, name: str, change: Callable[[Rule], Rule], *, author: str) -> int:
        """
        Put the policy with one changed rule in force and return its revision.

        Raises MissingError, or PolicyError when it does not fit the library of custom rules.
        """
        async with self._lock:
            if not any(rule.name == name for rule in self.current.rules):
                raise MissingError(f"there is no rule `{name}`")
            rules = tuple(change(rule) if rule.name == name else rule for rule in self.current.rules)
            return await self._publish(RuntimePolicy(rules=rules), author)

    async def change_library(
        self, change: Callable[[Library], Library], *, keep: Callable[[], None], author: str
    ) -> None:
        """
        Put the changed library in force; `keep` writes it to disk first.

        The policy is published anew when a rule of it uses what changed. Raises PolicyError when the policy does not
        fit the new library, and whatever `change` raises; then nothing has happened.
        """
        async with self._lock:
            library = change(self.library)
            if problems := library_problems(self.current, library):
                raise PolicyError(problems)
            used = {item.id for rule in self.current.rules for item in rule.custom}
            touched = any(_sent(library, number) != _sent(self.library, number) for number in used)
            await asyncio.to_thread(keep)
            self.library, self._by_name = library, _by_name(library)
            if touched:
                await self._put_in_force(self.current, author)

    def scopes(self) -> Iterable[tuple[Usage, Collection]]:
        """Return the collections of all rules."""
        for rule in self.current.rules:
            usage = Usage(kind="policy", name=rule.name, policy="runtime")
            yield from ((usage, item) for item in rule.collections)

    async def rescope(self, *, author: str) -> None:
        """Put the stored collections in force as they are now, as a new revision if a rule names one that changed."""
        async with self._lock:
            policy = self._refreshed(self.current)
            changed = _covering(policy) != _covering(self.current)
            self.current = policy
            if changed:
                await self._put_in_force(policy, author)

    def _refreshed(self, policy: RuntimePolicy) -> RuntimePolicy:
        return RuntimePolicy(rules=refreshed_rules(policy.rules, self._collections()))

    async def _publish(self, policy: RuntimePolicy, author: str) -> int:
        problems: list[str] = []
        policy = RuntimePolicy(rules=bound_rules(policy.rules, self._collections(), problems))
        problems.extend(library_problems(policy, self.library))
        if problems:
            raise PolicyError(problems)
        stamped = self._stamp(policy, author, rfc3339(self._clock()))
        if stamped == self.current and self.revision > 0:
            return self.revision
        await self._put_in_force(stamped, author)
        return self.revision

    async def _put_in_force(self, policy: RuntimePolicy, author: str) -> None:
        document = msgspec.json.encode(policy_document(policy))
        self.revision = await asyncio.to_thread(self._store.add, document, author=author, now=self._clock())
        self.current = self._refreshed(policy)
        self._resolved.clear()
        self._on_change()

    def _stamp(self, policy: RuntimePolicy, author: str, now: str) -> RuntimePolicy:
        """Rules that did not change keep who changed them last, and when."""
        before = {rule.name: rule for rule in self.current.rules}

        def stamp(rule: Rule) -> Rule:
            old = before.get(rule.name)
            if old is not None and old == dataclasses.replace(rule, owner=old.owner, modified=old.modified):
                return old
            return dataclasses.replace(rule, owner=author, modified=now)

        return RuntimePolicy(rules=tuple(stamp(rule) for rule in policy.rules))


def _covering(policy: RuntimePolicy) -> list[list[object]]:
    return [[item.scope for item in rule.collections] for rule in policy.rules]


def _by_name(library: Library) -> dict[str, CustomDefinition]:
    return {rule.name: rule for rule in library.values()}


def _sent(library: Library, number: int) -> tuple[object, ...]:
    """Return what of a custom rule reaches Defenders."""
    rule = library.get(number)
    return () if rule is None else (rule.name, rule.kind, rule.script)
