"""An exception for an event: the place of a false alarm is left out of the protection that found it."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import msgspec

from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.policy.firewall import FirewallPolicy, FirewallRule, firewall_document, parse_firewall
from bartizan.policy.firewall.protections import GROUPS, LOCATIONS, MOST_EXCEPTIONS, NEAREST
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.firewall import Firewall

_GROUPS = {"malformedRequest": "malformedReq", **{name: name for name in GROUPS}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionChange:
    """What an exception changes: in which rule and application, for which protection; and the policy with it."""

    rule: str
    app_id: str
    protection: str
    exception: dict[str, Any]
    policy: FirewallPolicy


def exception_for(event: FirewallAudit, policy: Firewall) -> ExceptionChange:
    """
    Return what an exception for this event changes in the policy in force, without changing it.

    Raises InvalidError for an event that no exception is possible for, MissingError when its rule or application is
    gone, ConflictError when there is such an exception already.
    """
    group = _group(event, policy.current)
    found = event.attack_field
    if event.protection != "firewall" or group is None:
        raise InvalidError(f"events of the type `{event.type}` have no exceptions: change the rule `{event.rule_name}`")
    if found is None or found.type not in LOCATIONS:
        raise InvalidError("the event tells no place that an exception could be for")
    # A path and a user agent have no names: what they are is meant.
    key = {"path": event.url_path, "UserAgentHeader": event.user_agent_header}.get(found.type, found.key)
    if not key or found.type == "rawBody":
        raise InvalidError(f"the event tells no name in its {found.type} that an exception could be for")
    exception = {"location": found.type, "key": key, "keyPattern": False, "value": "", "valuePattern": False}

    def change(rule: FirewallRule) -> FirewallRule:
        return _with(rule, event.rule_app_id, group, exception)

    changed = policy.with_rule(event.rule_name, change)
    # As it would be read from its document, so that a name said by a client cannot make a policy unreadable.
    parse_firewall(msgspec.json.encode(firewall_document(changed)))
    return ExceptionChange(
        rule=event.rule_name, app_id=event.rule_app_id, protection=group, exception=exception, policy=changed
    )


def _group(event: FirewallAudit, policy: FirewallPolicy) -> str | None:
    """Return the group that speaks for an event: where the application does not name ours, the vendor's nearest."""
    group = _GROUPS.get(event.type)
    applications = (item for rule in policy.rules if rule.name == event.rule_name for item in rule.applications)
    item = next((item for item in applications if item.app_id == event.rule_app_id), None)
    return NEAREST.get(group, group) if group and item is not None and group not in item.document else group


async def add_exception(event: FirewallAudit, policy: Firewall, *, author: str) -> ExceptionChange:
    """Put an exception for this event in force. Raises as `exception_for`."""
    change = exception_for(event, policy)
    await policy.change_rule(
        change.rule, lambda now: _with(now, change.app_id, change.protection, change.exception), author=author
    )
    return dataclasses.replace(change, policy=policy.current)


def _with(rule: FirewallRule, app_id: str, group: str, exception: dict[str, Any]) -> FirewallRule:
    if not any(item.app_id == app_id for item in rule.applications):
        raise MissingError(f"the WAAS rule `{rule.name}` has no application `{app_id}` any more")
    applications = []
    for item in rule.applications:
        if item.app_id != app_id:
            applications.append(item)
            continue
        present = item.document[group]["exceptionFields"]
        if exception in present:
            raise ConflictError(f"there is such an exception in `{rule.name}` already")
        if len(present) >= MOST_EXCEPTIONS:
            raise InvalidError(f"`{group}` has {MOST_EXCEPTIONS} exceptions, no more are possible")
        changed = {**item.document[group], "exceptionFields": [*present, exception]}
        applications.append(dataclasses.replace(item, document={**item.document, group: changed}))
    return dataclasses.replace(rule, applications=tuple(applications))
