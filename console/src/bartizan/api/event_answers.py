"""What is told of an event beside itself, and of a change that allows it."""

from collections.abc import Callable

import msgspec

from bartizan.api.event_shapes import AllowAnswer, AllowedEntry, EventDefender, EventRule
from bartizan.api.policy_shapes import CustomRuleShape
from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import RuntimePolicy, custom_rule_document
from bartizan.policy.firewall import FirewallPolicy
from bartizan.policy.model import Within
from bartizan.services.audits import with_id
from bartizan.services.defenders import Defenders
from bartizan.services.event_allowance import AllowChange
from bartizan.services.events import EventKind, FoundEvent
from bartizan.services.incidents import IncidentQuery, Incidents
from bartizan.services.interfaces import DefenderRecord

_MOST_INCIDENTS = 10


def decoded(event: FoundEvent) -> RuntimeAudit | FirewallAudit:
    """Return the audit of an event, with its id."""
    document = with_id(event.number, event.document)
    if event.kind is EventKind.RUNTIME:
        return msgspec.json.decode(document, type=RuntimeAudit)
    return msgspec.json.decode(document, type=FirewallAudit)


def rule_of(audit: RuntimeAudit | FirewallAudit, policy: RuntimePolicy, firewall: FirewallPolicy) -> EventRule | None:
    """Return the rule that spoke of an event, None where none did."""
    if not audit.rule_name:
        return None
    rules = policy.rules if isinstance(audit, RuntimeAudit) else firewall.rules
    found = next((rule for rule in rules if rule.name == audit.rule_name), None)
    return EventRule(name=audit.rule_name, present=found is not None, disabled=found is not None and found.disabled)


def defender_of(
    audit: RuntimeAudit | FirewallAudit, defenders: Defenders, *, visible: Callable[[DefenderRecord], bool] | None
) -> EventDefender | None:
    """Return the Defender that reported an event, None when it is not known any more, or not visible."""
    record = defenders.get(audit.defender_id)
    if record is None or (visible is not None and not visible(record)):
        return None
    return EventDefender(
        id=record.instance,
        app_id=record.app_id,
        host=record.hostname,
        connected=record.connected,
        version=record.version,
        last_seen=rfc3339(record.last_seen),
    )


async def incident_of(audit: RuntimeAudit | FirewallAudit, incidents: Incidents, *, within: Within) -> str:
    """Return the id of the incident that an event belongs to, or nothing."""
    if isinstance(audit, FirewallAudit) or not audit.incident_category:
        return ""
    same: dict[str, tuple[str, ...]] = {
        "profileID": (audit.profile_id,),
        "appID": (audit.app_id,),
        "containerName": (audit.container_name,),
        "imageName": (audit.image_name,),
        "category": (audit.incident_category,),
    }
    found, _ = await incidents.page(IncidentQuery(equal=same, within=within, limit=_MOST_INCIDENTS))
    return next((item.id for item in found if item.time <= audit.time <= item.last_time), "")


def allow_answer(change: AllowChange, *, applied: bool) -> AllowAnswer:
    """Return a change as the API shows it."""
    return AllowAnswer(
        rule_name=change.rule,
        applied=applied,
        revision=change.revision,
        before=change.before,
        after=change.after,
        changes=[AllowedEntry(field=item.field, entry=item.entry, added=item.added) for item in change.changes],
        custom_rule=None
        if change.custom is None
        else msgspec.convert(custom_rule_document(change.custom), CustomRuleShape),
        warnings=list(change.warnings),
    )
