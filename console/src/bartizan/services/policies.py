"""The runtime policy and the library of custom rules: publish them, and resolve them for workloads."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Sequence

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
from bartizan.policy.yaml_form import runtime_changes
from bartizan.services.collections import Usage, bound_rules, refreshed_rules
from bartizan.services.errors import ConflictError, InvalidError, MissingError, StaleError
from bartizan.services.interfaces import Clock, PolicyStore, Revision

_MOST_CACHED = 10_000
_MOST_REVISIONS_SHOWN = 250
LONGEST_COMMENT = 500
_NO_LIBRARY: Library = {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Who changes the policy and what they say of it; `base` is the revision they had before them, if they say so."""

    author: str
    comment: str = ""
    base: int | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody reads. Raises InvalidError."""
        if len(self.comment) > LONGEST_COMMENT or not self.comment.isprintable():
            raise InvalidError(f"a comment is one line of at most {LONGEST_COMMENT} characters")


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

    def problems(self, policy: RuntimePolicy) -> list[str]:
        """Return what a policy names and the Console lacks: custom rules and collections; and what is too much."""
        problems: list[str] = []
        self._bound(policy, problems)
        return problems

    def bound(self, policy: RuntimePolicy) -> RuntimePolicy:
        """Return a policy as it would be put in force. Raises PolicyError."""
        problems: list[str] = []
        found = self._bound(policy, problems)
        if problems:
            raise PolicyError(problems)
        return found

    async def replace(self, policy: RuntimePolicy, *, author: str, comment: str = "", base: int | None = None) -> int:
        """
        Put a whole policy in force and return its revision; an equal one changes nothing.

        Raises PolicyError when it does not fit the library of custom rules, StaleError when it was made from another
        policy than the present one.
        """
        return await self._edit(Edit(author=author, comment=comment, base=base), lambda _: policy)

    async def add_rule(self, rule: Rule, *, author: str, comment: str = "", base: int | None = None) -> int:
        """
        Put one rule before all others and return the revision.

        Raises ConflictError when its name is taken, PolicyError and StaleError as `replace` does.
        """

        def added(present: RuntimePolicy) -> RuntimePolicy:
            if any(other.name == rule.name for other in present.rules):
                raise ConflictError(f"there is a rule `{rule.name}` already")
            _refuse_more(present)
            return RuntimePolicy(rules=(rule, *present.rules))

        return await self._edit(Edit(author=author, comment=comment, base=base), added)

    async def change_rule(
        self, name: str, change: Callable[[Rule], Rule], *, author: str, comment: str = "", base: int | None = None
    ) -> int:
        """
        Put the policy with one changed rule in force and return its revision.

        Raises MissingError, ConflictError when its new name is taken, PolicyError and StaleError as `replace` does.
        """

        def changed(present: RuntimePolicy) -> RuntimePolicy:
            new = change(_named(present, name))
            if new.name != name and any(rule.name == new.name for rule in present.rules):
                raise ConflictError(f"there is a rule `{new.name}` already")
            return RuntimePolicy(rules=tuple(new if rule.name == name else rule for rule in present.rules))

        return await self._edit(Edit(author=author, comment=comment, base=base), changed)

    async def remove_rule(self, name: str, edit: Edit) -> int:
        """Put the policy without one rule in force. Raises MissingError, StaleError."""

        def removed(present: RuntimePolicy) -> RuntimePolicy:
            gone = _named(present, name)
            return RuntimePolicy(rules=tuple(rule for rule in present.rules if rule is not gone))

        return await self._edit(edit, removed)

    async def clone_rule(self, name: str, new_name: str, edit: Edit) -> int:
        """
        Put a copy of a rule behind it, disabled, so that it changes nothing yet.

        Raises MissingError, ConflictError when the name is taken, StaleError.
        """

        def cloned(present: RuntimePolicy) -> RuntimePolicy:
            original = _named(present, name)
            if any(rule.name == new_name for rule in present.rules):
                raise ConflictError(f"there is a rule `{new_name}` already")
            _refuse_more(present)
            place = present.rules.index(original) + 1
            copy = dataclasses.replace(original, name=new_name, disabled=True)
            return RuntimePolicy(rules=(*present.rules[:place], copy, *present.rules[place:]))

        return await self._edit(edit, cloned)

    async def order(self, names: Sequence[str], edit: Edit) -> int:
        """Put the rules into this order. Raises InvalidError unless each is named once, StaleError."""

        def ordered(present: RuntimePolicy) -> RuntimePolicy:
            rules = {rule.name: rule for rule in present.rules}
            if len(names) != len(rules) or set(names) != set(rules):
                raise InvalidError("an order names every rule of the policy, each once")
            return RuntimePolicy(rules=tuple(rules[name] for name in names))

        return await self._edit(edit, ordered)

    async def restore(self, number: int, edit: Edit) -> int:
        """
        Put the policy of an earlier revision in force, as a new one.

        Raises MissingError, PolicyError when the library of custom rules has gone on without it, StaleError.
        """
        _, policy = await self.at(number)
        comment = edit.comment or f"back to revision {number}"
        return await self._edit(dataclasses.replace(edit, comment=comment), lambda _: policy)

    async def history(self, *, below: int | None = None, limit: int = 50) -> list[Revision]:
        """Return the revisions that are kept, the newest first."""
        wanted = min(limit, _MOST_REVISIONS_SHOWN)
        return await asyncio.to_thread(lambda: self._store.page(below=below, limit=wanted))

    async def at(self, number: int) -> tuple[Revision, RuntimePolicy]:
        """Return the policy of a revision. Raises MissingError."""
        found = await asyncio.to_thread(self._store.get, number)
        if found is None:
            raise MissingError(f"there is no revision {number} of the policy, or it is not kept any more")
        return found[0], parse_stored(found[1])

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
            touched = sorted(number for number in used if _sent(library, number) != _sent(self.library, number))
            await asyncio.to_thread(keep)
            self.library, self._by_name = library, _by_name(library)
            if touched:
                names = ", ".join(f"`{library[number].name}`" for number in touched)[: LONGEST_COMMENT - 40]
                await self._put_in_force(self.current, author, f"custom rule {names} changed")

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
                await self._put_in_force(policy, author, "a collection changed")

    def _refreshed(self, policy: RuntimePolicy) -> RuntimePolicy:
        return RuntimePolicy(rules=refreshed_rules(policy.rules, self._collections()))

    def _bound(self, policy: RuntimePolicy, problems: list[str]) -> RuntimePolicy:
        """Return the policy with the collections that its rules name; what it and the Console lack is a problem."""
        bound = RuntimePolicy(rules=bound_rules(policy.rules, self._collections(), problems))
        problems.extend(library_problems(bound, self.library))
        return bound

    async def _edit(self, edit: Edit, change: Callable[[RuntimePolicy], RuntimePolicy]) -> int:
        async with self._lock:
            await self._refuse_stale(edit.base)
            policy = self.bound(change(self.current))
            stamped = self._stamp(policy, edit.author, rfc3339(self._clock()))
            if stamped == self.current and self.revision > 0:
                return self.revision
            await self._put_in_force(stamped, edit.author, edit.comment)
            return self.revision

    async def _refuse_stale(self, base: int | None) -> None:
        """Raise StaleError when the policy is not the one of this revision any more, with what has changed since."""
        if base is None or base == self.revision:
            return
        found = await asyncio.to_thread(self._store.get, base)
        before = self._refreshed(parse_stored(found[1])) if found is not None else RuntimePolicy()
        if (found is not None or base == 0) and before == self.current:
            return
        newest = await asyncio.to_thread(lambda: self._store.page(below=None, limit=1))
        latest = newest[0] if newest else Revision(number=0, author="", created=0)
        changes = runtime_changes(before, self.current) if found is not None or base == 0 else []
        when = rfc3339(latest.created)
        raise StaleError(
            f"the policy was changed by `{latest.author}` at {when}: "
            f"this was made from revision {base}, now there is {self.revision}",
            changed={
                "revision": self.revision,
                "author": latest.author,
                "time": when,
                "comment": latest.comment,
                "changes": msgspec.to_builtins(changes),
            },
        )

    async def _put_in_force(self, policy: RuntimePolicy, author: str, comment: str) -> None:
        document = msgspec.json.encode(policy_document(policy))
        self.revision = await asyncio.to_thread(
            lambda: self._store.add(document, author=author, now=self._clock(), comment=comment)
        )
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


def _named(policy: RuntimePolicy, name: str) -> Rule:
    found = next((rule for rule in policy.rules if rule.name == name), None)
    if found is None:
        raise MissingError(f"there is no rule `{name}`")
    return found


def _refuse_more(policy: RuntimePolicy) -> None:
    if len(policy.rules) >= MOST_RULES:
        raise InvalidError(f"there are {MOST_RULES} rules, no more are possible")


def _by_name(library: Library) -> dict[str, CustomDefinition]:
    return {rule.name: rule for rule in library.values()}


def _sent(library: Library, number: int) -> tuple[object, ...]:
    """Return what of a custom rule reaches Defenders."""
    rule = library.get(number)
    return () if rule is None else (rule.name, rule.kind, rule.script)
