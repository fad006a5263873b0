"""The filters of WAAS events: the vendor's query parameters, all of them."""

from datetime import datetime
from typing import Annotated

from fastapi import Query

from bartizan.api.reading import milliseconds, values
from bartizan.audit.firewall_audit import span_of
from bartizan.services.errors import InvalidError
from bartizan.services.firewall_audits import FirewallQuery

_Several = Annotated[list[str] | None, Query()]
# What our events never have: a filter by one of them is a filter that nothing passes.
_NEVER = frozenset(("cluster", "ns", "imageID", "containerID", "functionID", "accountID", "provider", "region"))
FIREWALL_FILTERS = _NEVER | frozenset(
    ("id", "from", "to", "imageName", "containerName", "hostname", "ruleName", "type", "effect", "ruleAppID", "appID",
     "subnet", "connectingIPs", "country", "userAgentHeader", "url", "requestHost", "urlPath", "urlQuery", "method",
     "requestHeaderNames", "msg", "attackTechniques", "protection", "eventID", "owaspTop10", "owaspAPITop10", "os",
     "project")
)  # fmt: skip


def firewall_filter(  # noqa: PLR0913, PLR0917 - these are the vendor's parameters
    id: _Several = None,  # noqa: A002
    from_: Annotated[datetime | None, Query(alias="from")] = None,
    to: Annotated[datetime | None, Query()] = None,
    imageName: _Several = None,  # noqa: N803
    containerName: _Several = None,  # noqa: N803
    hostname: _Several = None,
    ruleName: _Several = None,  # noqa: N803
    type: _Several = None,  # noqa: A002
    effect: _Several = None,
    ruleAppID: _Several = None,  # noqa: N803
    appID: _Several = None,  # noqa: N803
    subnet: _Several = None,
    connectingIPs: _Several = None,  # noqa: N803
    country: _Several = None,
    userAgentHeader: _Several = None,  # noqa: N803
    url: _Several = None,
    requestHost: _Several = None,  # noqa: N803
    urlPath: _Several = None,  # noqa: N803
    urlQuery: _Several = None,  # noqa: N803
    method: _Several = None,
    requestHeaderNames: _Several = None,  # noqa: N803
    msg: _Several = None,
    attackTechniques: _Several = None,  # noqa: N803
    protection: _Several = None,
    eventID: _Several = None,  # noqa: N803
    owaspTop10: _Several = None,  # noqa: N803
    owaspAPITop10: _Several = None,  # noqa: N803
    os: _Several = None,
    cluster: _Several = None,
    ns: _Several = None,
    imageID: _Several = None,  # noqa: N803
    containerID: _Several = None,  # noqa: N803
    functionID: _Several = None,  # noqa: N803
    accountID: _Several = None,  # noqa: N803
    provider: _Several = None,
    region: _Several = None,
) -> FirewallQuery:
    """
    Return the filter of a request: alternatives may be repeated, most may be separated by commas, times are RFC 3339.

    `subnet` and `connectingIPs` are addresses, `subnet` may be a CIDR block; `url`, `urlPath`, `urlQuery`,
    `userAgentHeader`, `requestHost` and `msg` look for a part in any case.
    """
    numbers = values(id)
    if not all(number.isascii() and number.isdigit() and len(number) < 19 for number in numbers):  # noqa: PLR2004 - 64 bits
        raise InvalidError("`id`: the id of an event is a number")
    foreign = (cluster, ns, imageID, containerID, functionID, accountID, provider, region)
    systems = values(os)
    return FirewallQuery(
        ids=tuple(map(int, numbers)),
        start=milliseconds(from_),
        end=milliseconds(to),
        never=any(values(item) for item in foreign) or (bool(systems) and "linux" not in map(str.lower, systems)),
        spans=tuple(map(_span, values(subnet))),
        equal={
            "imageName": values(imageName),
            "containerName": values(containerName),
            "appID": (*values(appID), *values(hostname)),
            "ruleName": tuple(ruleName or ()),
            "ruleAppID": tuple(ruleAppID or ()),
            "type": values(type),
            "effect": values(effect),
            "country": tuple(code.upper() for code in values(country)),
            "method": values(method),
            "protection": values(protection),
            "eventID": values(eventID),
            "owaspTop10": values(owaspTop10),
            "owaspAPITop10": values(owaspAPITop10),
        },
        parts={
            "userAgentHeader": _texts("userAgentHeader", userAgentHeader),
            "url": _texts("url", url),
            "urlPath": _texts("urlPath", urlPath),
            "urlQuery": _texts("urlQuery", urlQuery),
            "requestHost": _texts("requestHost", requestHost),
            "msg": _texts("msg", msg),
        },
        words={
            "connectingIPs": values(connectingIPs),
            "requestHeaderNames": values(requestHeaderNames),
            "attackTechniques": values(attackTechniques),
        },
    )


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
