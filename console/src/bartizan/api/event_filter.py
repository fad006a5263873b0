"""The filters of events: what audits and WAAS events have in common by one name, and what only one of them has."""

from datetime import datetime
from typing import Annotated

from fastapi import Query

from bartizan.api.reading import milliseconds, values
from bartizan.audit.firewall_audit import span_of
from bartizan.services.errors import InvalidError
from bartizan.services.events import EventKind, EventQuery
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.interfaces import AuditQuery

_Several = Annotated[list[str] | None, Query()]
_MOST_WORDS = 10
EVENT_FILTERS = frozenset(
    ("kind", "from", "to", "q", "effect", "severity", "type", "reason", "protection", "appID", "container",
     "imageName", "ruleName", "country", "attackType", "attackTechniques", "user", "processPath", "ruleAppID",
     "subnet", "method", "requestHost", "urlPath", "eventID")
)  # fmt: skip


def event_filter(  # noqa: PLR0913, PLR0917 - a parameter for each filter
    kind: _Several = None,
    from_: Annotated[datetime | None, Query(alias="from")] = None,
    to: Annotated[datetime | None, Query()] = None,
    q: Annotated[str, Query(max_length=500)] = "",
    effect: _Several = None,
    severity: _Several = None,
    type: _Several = None,  # noqa: A002
    reason: _Several = None,
    protection: _Several = None,
    appID: _Several = None,  # noqa: N803
    container: _Several = None,
    imageName: _Several = None,  # noqa: N803
    ruleName: _Several = None,  # noqa: N803
    country: _Several = None,
    attackType: _Several = None,  # noqa: N803
    attackTechniques: _Several = None,  # noqa: N803
    user: _Several = None,
    processPath: _Several = None,  # noqa: N803
    ruleAppID: _Several = None,  # noqa: N803
    subnet: _Several = None,
    method: _Several = None,
    requestHost: _Several = None,  # noqa: N803
    urlPath: _Several = None,  # noqa: N803
    eventID: _Several = None,  # noqa: N803
) -> EventQuery:
    """
    Return the filter of a request: alternatives may be repeated, most may be separated by commas, times are RFC 3339.

    Each word of `q` has to be somewhere in the event, in any case. What only one kind of event has (`severity`,
    `reason`, `user`, … or `country`, `subnet`, `method`, …) leaves only that kind.
    """
    kinds = values(kind)
    if unknown := sorted(set(kinds) - {item.value for item in EventKind}):
        raise InvalidError(f"`kind`: `{unknown[0][:64]}` is none, possible are runtime, waas")
    start, end, words = milliseconds(from_), milliseconds(to), _words(q)
    of_runtime = {"attackType": values(attackType), "user": values(user), "processPath": tuple(processPath or ())}
    of_waas = {"ruleAppID": tuple(ruleAppID or ()), "method": values(method), "eventID": values(eventID)}
    parts = {"requestHost": _texts("requestHost", requestHost), "urlPath": _texts("urlPath", urlPath)}
    spans, techniques = tuple(map(_span, values(subnet))), values(attackTechniques)
    only_runtime, only_waas = any(of_runtime.values()), any((*of_waas.values(), *parts.values(), spans))
    runtime = AuditQuery(start=start, end=end, equal=of_runtime, techniques=techniques, words=words)
    waas = FirewallQuery(
        start=start,
        end=end,
        equal=of_waas,
        parts=parts,
        words={"attackTechniques": techniques},
        text=words,
        spans=spans,
    )
    return EventQuery(
        runtime=None if only_waas else runtime,
        waas=None if only_runtime else waas,
        facets={
            "kind": kinds,
            "effect": values(effect),
            "severity": values(severity),
            "type": values(type),
            "reason": values(reason),
            "protection": values(protection),
            "appID": tuple(appID or ()),
            "containerName": tuple(container or ()),
            "imageName": tuple(imageName or ()),
            "ruleName": tuple(ruleName or ()),
            "country": tuple(code.upper() for code in values(country)),
        },
    )


def _words(text: str) -> tuple[str, ...]:
    found = tuple(text.split())
    if len(found) > _MOST_WORDS:
        raise InvalidError(f"`q`: at most {_MOST_WORDS} words are looked for")
    return found


def _span(subnet: str) -> tuple[bytes, bytes]:
    try:
        return span_of(subnet)
    except ValueError:
        raise InvalidError(f"`subnet`: `{subnet[:64]}` is not an IP address or a CIDR block") from None


def _texts(name: str, given: list[str] | None) -> tuple[str, ...]:
    found = tuple(text for text in given or () if text)
    if len(found) > 20 or any(len(text) > 1000 for text in found):  # noqa: PLR2004 - each is looked for in every event
        raise InvalidError(f"`{name}`: at most 20 texts of at most 1000 characters are possible")
    return found
