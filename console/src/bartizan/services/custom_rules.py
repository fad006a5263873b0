"""The library of custom rules; policies refer to its rules by their numbers."""

import asyncio
import dataclasses

from bartizan.policy import CustomDefinition, Library
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.interfaces import Clock, CustomRuleRevision, CustomRuleStore
from bartizan.services.policies import Policies

_MOST = 1000
_MOST_SHOWN = 200


class CustomRules:
    """Changes of the library; running workloads get them at once."""

    def __init__(self, store: CustomRuleStore, policies: Policies, *, clock: Clock) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock

    def all(self) -> list[CustomDefinition]:
        """Return all rules by their numbers."""
        return [rule for _, rule in sorted(self._policies.library.items())]

    async def put(self, rule: CustomDefinition, *, author: str) -> None:
        """
        Add a rule, or replace the one of this number.

        Raises ConflictError when another one has its name, InvalidError when there are too many, PolicyError when a
        policy that uses it would become too large.
        """
        owned = dataclasses.replace(rule, owner=author)

        def change(library: Library) -> Library:
            if any(other.name == rule.name and other.id != rule.id for other in library.values()):
                raise ConflictError(f"there is a custom rule `{rule.name}` already")
            if rule.id not in library and len(library) >= _MOST:
                raise InvalidError(f"there are {_MOST} custom rules, no more are possible")
            return {**library, rule.id: owned}

        await self._policies.change_library(
            change, keep=lambda: self._store.put(owned, now=self._clock()), author=author
        )

    async def remove(self, number: int, *, author: str) -> None:
        """Remove a rule that no policy refers to. Raises MissingError, or ConflictError with the rules that use it."""

        def change(library: Library) -> Library:
            if number not in library:
                raise MissingError(f"there is no custom rule {number}")
            if users := self.users(number):
                names = ", ".join(f"`{name}`" for name in users)
                raise ConflictError(f"custom rule `{library[number].name}` is used by {names}: detach it there first")
            return {other: rule for other, rule in library.items() if other != number}

        def keep() -> None:
            self._store.remove(number, author=author, now=self._clock())

        await self._policies.change_library(change, keep=keep, author=author)

    async def history(self, number: int) -> list[CustomRuleRevision]:
        """Return what a rule was, the newest first; also of one that is gone. Raises MissingError."""
        found = await asyncio.to_thread(lambda: self._store.history(number, limit=_MOST_SHOWN))
        if not found and number not in self._policies.library:
            raise MissingError(f"there is no custom rule {number}")
        return found

    def existing(self, number: int) -> CustomDefinition:
        """Return a rule. Raises MissingError."""
        found = self._policies.library.get(number)
        if found is None:
            raise MissingError(f"there is no custom rule {number}")
        return found

    def users(self, number: int) -> list[str]:
        """Return the names of the policy's rules that a custom rule is attached to."""
        return [rule.name for rule in self._policies.current.rules if any(item.id == number for item in rule.custom)]
