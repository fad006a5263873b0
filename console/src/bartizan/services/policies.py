"""The runtime policy: publish it, and resolve it for workloads."""

import asyncio
import dataclasses
from collections.abc import Callable

import msgspec

from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import (
    EncodedPolicy,
    Rule,
    RuntimePolicy,
    Workload,
    encode_policy,
    parse_stored,
    policy_document,
    resolve,
)
from bartizan.policy.parse import MOST_RULES
from bartizan.services.errors import ConflictError, InvalidError
from bartizan.services.interfaces import Clock, PolicyStore

_MOST_CACHED = 10_000


class Policies:
    """The policy in force; every change is a new revision, and `on_change` is called after it is on disk."""

    def __init__(self, store: PolicyStore, *, on_change: Callable[[], None], clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._lock = asyncio.Lock()
        self._resolved: dict[Workload, EncodedPolicy] = {}
        latest = store.latest()
        self.revision, self.current = (latest[0], parse_stored(latest[1])) if latest else (0, RuntimePolicy())

    def resolve(self, workload: Workload) -> EncodedPolicy:
        """Return what a workload's Defender has to enforce now."""
        found = self._resolved.get(workload)
        if found is None:
            found = encode_policy(resolve(self.current, workload, revision=self.revision))
            if len(self._resolved) >= _MOST_CACHED:
                self._resolved.clear()
            self._resolved[workload] = found
        return found

    async def replace(self, policy: RuntimePolicy, *, author: str) -> int:
        """Put a whole policy in force and return its revision; an equal one changes nothing."""
        async with self._lock:
            return await self._publish(policy, author)

    async def add_rule(self, rule: Rule, *, author: str) -> int:
        """Put one rule before all others and return the revision. Raises ConflictError when its name is taken."""
        async with self._lock:
            if any(present.name == rule.name for present in self.current.rules):
                raise ConflictError(f"there is a rule `{rule.name}` already")
            if len(self.current.rules) >= MOST_RULES:
                raise InvalidError(f"there are {MOST_RULES} rules, no more are possible")
            return await self._publish(RuntimePolicy(rules=(rule, *self.current.rules)), author)

    async def _publish(self, policy: RuntimePolicy, author: str) -> int:
        now = self._clock()
        stamped = self._stamp(policy, author, rfc3339(now))
        if stamped == self.current and self.revision > 0:
            return self.revision
        document = msgspec.json.encode(policy_document(stamped))
        self.revision = await asyncio.to_thread(self._store.add, document, author=author, now=now)
        self.current = stamped
        self._resolved.clear()
        self._on_change()
        return self.revision

    def _stamp(self, policy: RuntimePolicy, author: str, now: str) -> RuntimePolicy:
        """Rules that did not change keep who changed them last, and when."""
        before = {rule.name: rule for rule in self.current.rules}

        def stamp(rule: Rule) -> Rule:
            old = before.get(rule.name)
            if old is not None and old == dataclasses.replace(rule, owner=old.owner, modified=old.modified):
                return old
            return dataclasses.replace(rule, owner=author, modified=now)

        return RuntimePolicy(rules=tuple(stamp(rule) for rule in policy.rules))
