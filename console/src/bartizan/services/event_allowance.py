"""Allowing what an event tells of: the smallest change of the policy, shown first, then put in force."""

import asyncio
import shlex
from dataclasses import dataclass, replace
from typing import Any

from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.policy import CustomDefinition, Rule, rule_document
from bartizan.policy.allowance import Allowance, Change, NotAllowableError, Stopped, allowance
from bartizan.policy.firewall import FirewallPolicy, firewall_document
from bartizan.services.custom_rules import CustomRules
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.firewall import Firewall
from bartizan.services.firewall_exceptions import add_exception, exception_for
from bartizan.services.policies import Policies

_CUT = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowChange:
    """
    What allowing an event changes: the rule's document before and after, entry by entry.

    `revision` is that of the policy which it was made of, or which it made.
    """

    rule: str
    revision: int
    before: dict[str, Any]
    after: dict[str, Any]
    changes: tuple[Change, ...]
    custom: CustomDefinition | None = None
    warnings: tuple[str, ...] = ()


class EventAllowance:
    """Changes of the policies that events ask for."""

    def __init__(self, policies: Policies, custom_rules: CustomRules, firewall: Firewall) -> None:
        self._policies = policies
        self._custom_rules = custom_rules
        self._firewall = firewall
        self._lock = asyncio.Lock()

    def preview(self, audit: RuntimeAudit | FirewallAudit) -> AllowChange:
        """
        Return what allowing the event would change.

        Raises InvalidError for what no rule can allow, MissingError when the rule is gone, ConflictError when a WAAS
        rule has the exception already.
        """
        if isinstance(audit, FirewallAudit):
            change = exception_for(audit, self._firewall)
            return self._exception(audit, self._firewall.current, change.policy, change.exception)
        rule, found = self._allowance(audit)
        return _shown(rule, found, self._policies.revision)

    async def apply(self, audit: RuntimeAudit | FirewallAudit, *, author: str, revision: int | None) -> AllowChange:
        """
        Allow the event, and return what changed. Raises as `preview`.

        With `revision` the policy must still be that one; otherwise ConflictError is raised.
        """
        async with self._lock:
            policy: Firewall | Policies = self._firewall if isinstance(audit, FirewallAudit) else self._policies
            if revision is not None and revision != policy.revision:
                raise ConflictError("the policy was changed meanwhile: look at the change again")
            if isinstance(audit, FirewallAudit):
                before = self._firewall.current
                change = await add_exception(audit, self._firewall, author=author)
                return self._exception(audit, before, self._firewall.current, change.exception)
            return await self._allow(audit, author)

    async def _allow(self, audit: RuntimeAudit, author: str) -> AllowChange:
        rule, found = self._allowance(audit)
        if found.custom is None:
            stopped = stopped_by(audit)
            number = await self._policies.change_rule(
                rule.name, lambda now: _allowance(stopped, now, self._policies).rule, author=author
            )
            return _shown(rule, found, number)
        await self._custom_rules.put(found.custom, author=author)
        attached = found.rule.custom[0]
        try:
            number = await self._policies.change_rule(
                rule.name, lambda now: replace(now, custom=(attached, *now.custom)), author=author
            )
        except Exception:
            # What nothing uses would only be in the way.
            await self._custom_rules.remove(found.custom.id, author=author)
            raise
        return _shown(rule, found, number)

    def _allowance(self, audit: RuntimeAudit) -> tuple[Rule, Allowance]:
        if not audit.rule_name:
            raise InvalidError("no rule objected to this, so none can allow it")
        rule = next((rule for rule in self._policies.current.rules if rule.name == audit.rule_name), None)
        if rule is None:
            raise MissingError(f"there is no rule `{audit.rule_name}` any more")
        note = f"Allows what the event runtime-{audit.id} told of."
        return rule, _allowance(stopped_by(audit), rule, self._policies, note)

    def _exception(
        self, audit: FirewallAudit, before: FirewallPolicy, after: FirewallPolicy, exception: dict[str, Any]
    ) -> AllowChange:
        entry = f"{exception['location']} `{exception['key']}`"
        field = f"{audit.rule_app_id}: {audit.type}.exceptionFields"
        return AllowChange(
            rule=audit.rule_name,
            revision=self._firewall.revision,
            before=_firewall_rule(before, audit.rule_name),
            after=_firewall_rule(after, audit.rule_name),
            changes=(Change(field=field, entry=entry, added=True),),
        )


def stopped_by(audit: RuntimeAudit) -> Stopped:
    """Return what an audit tells of that a rule objected to. Raises InvalidError when it was cut."""
    texts = (audit.process_path, audit.parent_path, audit.command, audit.domain, audit.filepath)
    if any(text.endswith(_CUT) for text in texts):
        raise InvalidError(
            "the event was too long to be kept whole, so it cannot be said exactly what is to be allowed"
        )
    try:
        arguments = tuple(shlex.split(audit.command))
    except ValueError:
        arguments = ()
    return Stopped(
        reason=audit.reason,
        program=audit.process_path,
        parent=audit.parent_path,
        arguments=arguments,
        sha256=audit.sha256,
        domain=audit.domain,
        file=audit.filepath,
        address=audit.ip,
        port=audit.port or None,
        matched=audit.matched,
    )


def _allowance(stopped: Stopped, rule: Rule, policies: Policies, note: str = "") -> Allowance:
    try:
        return allowance(stopped, rule, policies.library, note=note)
    except NotAllowableError as error:
        raise InvalidError(str(error)) from None


def _shown(rule: Rule, found: Allowance, revision: int) -> AllowChange:
    return AllowChange(
        rule=rule.name,
        revision=revision,
        before=rule_document(rule),
        after=rule_document(found.rule),
        changes=found.changes,
        custom=found.custom,
        warnings=found.warnings,
    )


def _firewall_rule(policy: FirewallPolicy, name: str) -> dict[str, Any]:
    rules: list[dict[str, Any]] = firewall_document(policy)["rules"]
    return next((rule for rule in rules if rule["name"] == name), {})
