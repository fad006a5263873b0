"""
Learned rules and their stages: discover → alert → prevent, by hand or after quiet days.

A rule that is learned from a model is an ordinary rule of the policy; which model it came from, how far it has come
and when it may go on by itself is kept here. Who changes such a rule by hand keeps the changes: `alert` becomes
`prevent` in the rule as it is then. Only the step from `discover` to `alert` writes the lists.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Protocol

from bartizan.policy import Rule
from bartizan.policy.stages import Stage, discovering, preventing
from bartizan.policy.suggest import Suggestion
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.interfaces import AuditQuery, AuditStore, Clock
from bartizan.services.models import ModelRow, Models, rule_name, scope_of, valid
from bartizan.services.policies import Policies

MOST_DAYS = 365
_DAY = 24 * 3600 * 1000
_AUTHOR = "bartizan"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedRule:
    """A rule by its name, the model that it is learned from, its stage and since when; None: promoted by hand only."""

    rule: str
    model: int
    stage: Stage
    since: int
    quiet_days: int | None = None


class LearnedStore(Protocol):
    """The learned rules."""

    def all(self) -> list[LearnedRule]:
        """Return all, by name."""
        ...

    def put(self, learned: LearnedRule) -> None:
        """Add or replace one."""
        ...

    def remove(self, rule: str) -> None:
        """Forget one."""
        ...


class Learning:
    """Makes rules of models and promotes them."""

    def __init__(
        self, store: LearnedStore, models: Models, policies: Policies, audits: AuditStore, *, clock: Clock
    ) -> None:
        self._store = store
        self._models = models
        self._policies = policies
        self._audits = audits
        self._clock = clock

    async def all(self) -> list[LearnedRule]:
        """Return the learned rules that are in the policy."""
        present = {rule.name for rule in self._policies.current.rules}
        return [item for item in await asyncio.to_thread(self._store.all) if item.rule in present]

    async def adopt(self, number: int, *, stage: Stage, quiet_days: int | None, author: str) -> LearnedRule:
        """
        Put the rule of a model into the policy, before all others, in this stage.

        Raises MissingError, ConflictError when it is there already, InvalidError for days out of range or for
        `prevent`, which nothing begins with.
        """
        if quiet_days is not None and not 1 <= quiet_days <= MOST_DAYS:
            raise InvalidError(f"the number of quiet days has to be from 1 to {MOST_DAYS}")
        if stage is Stage.PREVENT:
            raise InvalidError("a learned rule begins with `discover` or `alert`, and is promoted")
        row, suggestion = await self._models.suggest(number)
        rule = _in_alert(suggestion) if stage is Stage.ALERT else _watching(row)
        await self._policies.add_rule(rule, author=author)
        learned = LearnedRule(rule=rule.name, model=row.id, stage=stage, since=self._clock(), quiet_days=quiet_days)
        await asyncio.to_thread(self._store.put, learned)
        return learned

    async def promote(self, name: str, *, author: str) -> LearnedRule:
        """Take a learned rule to its next stage. Raises MissingError, or ConflictError when there is none."""
        learned = next((item for item in await self.all() if item.rule == name), None)
        if learned is None:
            raise MissingError(f"there is no learned rule `{name}`")
        return await self._promote(learned, author)

    async def tick(self) -> None:
        """Promote what was quiet for long enough: nothing new was seen in `discover`, nothing reported in `alert`."""
        for learned in await self.all():
            if learned.quiet_days is None or learned.stage is Stage.PREVENT or not await self._is_quiet(learned):
                continue
            try:
                after = await self._promote(learned, _AUTHOR)
            except (ConflictError, InvalidError, MissingError) as error:
                _log.warning("the rule %r stays in %s: %s", learned.rule, learned.stage.value, error)
            else:
                _log.info("the rule %r went on to %s", after.rule, after.stage.value)

    async def _is_quiet(self, learned: LearnedRule) -> bool:
        start = self._clock() - (learned.quiet_days or 0) * _DAY
        if learned.since > start:
            return False
        try:
            row, _ = await self._models.get(learned.model)
        except MissingError:
            return False
        # Silence of a workload that does not run proves nothing.
        if row.last <= start:
            return False
        if learned.stage is Stage.DISCOVER:
            return row.changed <= start
        query = AuditQuery(start=start, equal={"ruleName": (learned.rule,)})
        return await asyncio.to_thread(self._audits.count, query) == 0

    async def _promote(self, learned: LearnedRule, author: str) -> LearnedRule:
        if learned.stage is Stage.PREVENT:
            raise ConflictError(f"the rule `{learned.rule}` prevents already, there is no further stage")
        if learned.stage is Stage.ALERT:
            stage = Stage.PREVENT
            await self._policies.change_rule(learned.rule, preventing, author=author)
        else:
            stage = Stage.ALERT
            _, suggestion = await self._models.suggest(learned.model)
            found = _in_alert(suggestion)

            def filled(rule: Rule) -> Rule:
                return replace(found, name=rule.name, collections=rule.collections, notes=rule.notes)

            await self._policies.change_rule(learned.rule, filled, author=author)
        promoted = replace(learned, stage=stage, since=self._clock())
        await asyncio.to_thread(self._store.put, promoted)
        return promoted


def _watching(row: ModelRow) -> Rule:
    return valid(discovering(rule_name(row.key), scope_of(row.key)))


def _in_alert(suggestion: Suggestion) -> Rule:
    if not suggestion.lines:
        raise ConflictError("nothing was seen of this workload yet, so nothing can be allowed")
    return suggestion.rule
