"""
Models: what the workloads of an image and container were seen to do, merged from all their Defenders.

An image's containers are one model, whatever task they run in; an application with the Defender in its image is one by
its App ID. Bounded: so many models, and so many things of a kind in each.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from bartizan.audit.wire import Observed
from bartizan.policy import Effect, Rule, parse_rule, rule_document
from bartizan.policy.evidence import Seen
from bartizan.policy.model import Collection
from bartizan.policy.suggest import Suggestion, suggest
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import Clock

MOST_MODELS = 2000
MOST_OF_A_KIND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKey:
    """What a model is of: `app_id` for an application with the Defender in its image, or image and container."""

    app_id: str = ""
    image: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """
    A model without its observations. Times are unix milliseconds: `changed` is when something new was seen last.

    `reporter` is the App ID that reported last; `overflow` sightings found no place.
    """

    id: int
    key: ModelKey
    reporter: str
    started: int
    last: int
    changed: int
    overflow: int
    counts: dict[str, int]


class ModelStore(Protocol):
    """The models."""

    def merge(
        self,
        key: ModelKey,
        observed: Sequence[Observed],
        *,
        overflow: int,
        reporter: str,
        now: int,
        most_of_a_kind: int,
    ) -> None:
        """Add observations to a model, which is made if it is not there."""
        ...

    def page(self, *, wanted: "ModelQuery") -> tuple[list[ModelRow], int]:
        """Return one page, the latest first, and how many match in all."""
        ...

    def get(self, number: int) -> ModelRow | None:
        """Return a model."""
        ...

    def observations(self, number: int) -> list[Observed]:
        """Return everything in a model, by kind, the most frequent first."""
        ...

    def forget(self, number: int) -> bool:
        """Remove a model; False when there is none of this id."""
        ...

    def prune(self, *, most: int) -> int:
        """Remove the models that were not heard of for longest beyond `most`; return how many went."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuery:
    """Which models; tuples hold alternatives, empty is no condition. `search` is part of a name, in any case."""

    ids: tuple[int, ...] = ()
    app_ids: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    search: str = ""
    offset: int = 0
    limit: int = 50


class Models:
    """The models of one Console."""

    def __init__(self, store: ModelStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def learn(
        self, *, app_id: str, image: str | None, container: str | None, observed: Sequence[Observed], overflow: int
    ) -> None:
        """Merge what a Defender observed; it is on disk when this returns."""
        key = ModelKey(image=image, container=container or "") if image else ModelKey(app_id=app_id)
        await asyncio.to_thread(
            self._store.merge,
            key,
            observed,
            overflow=overflow,
            reporter=app_id,
            now=self._clock(),
            most_of_a_kind=MOST_OF_A_KIND,
        )

    async def page(self, query: ModelQuery) -> tuple[list[ModelRow], int]:
        """Return one page, the latest first, and how many match in all."""
        return await asyncio.to_thread(self._store.page, wanted=query)

    async def get(self, number: int) -> tuple[ModelRow, list[Observed]]:
        """Return a model with its observations. Raises MissingError."""
        row = await asyncio.to_thread(self._store.get, number)
        if row is None:
            raise MissingError(f"there is no profile `{number}`")
        return row, await asyncio.to_thread(self._store.observations, number)

    async def forget(self, number: int) -> None:
        """Remove a model, so that learning begins anew. Raises MissingError."""
        if not await asyncio.to_thread(self._store.forget, number):
            raise MissingError(f"there is no profile `{number}`")

    async def suggest(self, number: int) -> tuple[ModelRow, Suggestion]:
        """Return the rule that a model comes to, in alert. Raises MissingError, InvalidError, PolicyError."""
        row, observed = await self.get(number)
        found = [
            Seen(kind=item.kind.value, value=item.value, detail=item.detail, count=item.count, first=item.first,
                 last=item.last)
            for item in observed
        ]  # fmt: skip
        scope = scope_of(row.key)
        name = rule_name(row.key)
        suggestion = suggest(found, name=name, collection=scope, effect=Effect.ALERT, complete=row.overflow == 0)
        valid(suggestion.rule)
        return row, suggestion

    async def prune(self) -> int:
        """Remove the models beyond what is kept, and return how many."""
        return await asyncio.to_thread(self._store.prune, most=MOST_MODELS)


def rule_name(key: ModelKey) -> str:
    """Return the name of the rule that is learned from a model."""
    return f"learned: {key.app_id or f'{key.image} {key.container}'.strip()}"[:256]


def scope_of(key: ModelKey) -> Collection:
    """Return the scope of a model's workloads. Raises InvalidError for a name that would scope others too."""
    name = rule_name(key)
    if any("*" in part or part.startswith("-") for part in (key.app_id, key.image, key.container)):
        raise InvalidError(f"the scope of `{name}` cannot be written: its name has a `*`, or begins with `-`")
    if key.app_id:
        return Collection(name=name, app_ids=(key.app_id,))
    return Collection(name=name, images=(key.image,), containers=(key.container,) if key.container else ("*",))


def valid(rule: Rule) -> Rule:
    """
    Return a rule that was made here as it would be read from its document.

    Names in it were said by Defenders, and a policy that cannot be read again would keep the Console from starting.
    Raises PolicyError.
    """
    return parse_rule(msgspec.json.encode(rule_document(rule)))
