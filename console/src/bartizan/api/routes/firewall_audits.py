"""WAAS events: pages, a table, counts over time, and exceptions for false alarms."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference
from bartizan.api.firewall_filter import FIREWALL_FILTERS, firewall_filter
from bartizan.api.firewall_shapes import WaasExceptionAnswer, WaasTimeslice
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.scoping import within
from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.audit.firewall_table import firewall_csv_head, firewall_csv_line
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy.firewall import firewall_document
from bartizan.services.errors import InvalidError
from bartizan.services.firewall_audits import FirewallAudits, FirewallQuery
from bartizan.services.firewall_exceptions import add_exception, exception_for
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/audits/firewall/app/app-embedded", tags=["waas"])
_reader = Annotated[User, Depends(Requires(Permission.AUDITS_READ, scoped=True))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_SORTS = ("time", "_id", "appID", "country", "effect", "method", "protection", "requestHost", "ruleName", "subnet",
          "type", "urlPath")  # fmt: skip
_EVENT = {
    "_id": "12",
    "time": "2026-11-21T15:04:05.000Z",
    "appID": "shop:7",
    "hostname": "shop:7",
    "ruleName": "shop",
    "ruleAppID": "storefront",
    "effect": "prevent",
    "type": "sqli",
    "protection": "firewall",
    "msg": "SQL injection in the query's value `id`",
    "attackField": {"type": "queryValues", "key": "id", "value": "' OR '1"},
    "attackTechniques": ["T1190"],
    "owaspTop10": "injection",
    "eventID": "5f0c2a7e",
    "url": "shop.test/item?id=' OR '1",
    "urlPath": "/item",
    "method": "GET",
    "requestHost": "shop.test",
    "subnet": "203.0.113.9",
    "rules": [942100],
    "firewallType": "app-embedded",
}
_SLICE = {"start": "2026-11-21T15:00:00.000Z", "end": "2026-11-21T16:00:00.000Z", "count": 3}


def scoped_filter(
    request: Request, user: _reader, query: Annotated[FirewallQuery, Depends(firewall_filter)]
) -> FirewallQuery:
    """Return the filter of a request, within what its user may see."""
    return dataclasses.replace(query, within=within(request, user, Permission.AUDITS_READ))


_Filter = Annotated[FirewallQuery, Depends(scoped_filter)]


@router.get(
    "", responses=gives(list_of(FirewallAudit), text="One page; `Total-Count` tells how many match", example=[_EVENT])
)
async def list_waas_events(
    request: Request,
    query: _Filter,
    _user: _reader,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
    sort: str = "",
    reverse: bool | None = None,  # noqa: FBT001 - a query parameter
    aggregate: bool = False,  # noqa: FBT001, FBT002
) -> Response:
    """
    Return WAAS events, the newest first unless `sort` says otherwise; `reverse` turns the order round.

    With `aggregate` those of the same client, host, path, method, user agent and type that are less than 5 minutes
    apart are one: the newest, with their count and `firstSeen`.
    """
    only_known_parameters(request, FIREWALL_FILTERS | {"offset", "limit", "sort", "reverse", "aggregate"})
    if sort and sort not in _SORTS:
        raise InvalidError(f"`sort`: possible are {', '.join(_SORTS)}")
    descending = reverse if reverse is not None else not sort
    page = dataclasses.replace(query, sort=sort or "time", descending=descending, offset=offset, limit=limit)
    events = services_of(request).firewall_audits
    documents, total = await (events.grouped(page) if aggregate else events.page(page))
    body = b"[" + b",".join(documents) + b"]"
    return Response(body, media_type="application/json", headers={"Total-Count": str(total)})


@router.get(
    "/download",
    responses=gives({"type": "string"}, media="text/csv", text="All that match", example="ID,Time,App ID\r\n12,…\r\n"),
)
async def download_waas_events(request: Request, query: _Filter, _user: _reader) -> Response:
    """Return all matching WAAS events as CSV, the oldest first."""
    only_known_parameters(request, FIREWALL_FILTERS)
    headers = {"Content-Disposition": 'attachment; filename="app-embedded-waas-audits.csv"'}
    lines = _lines(services_of(request).firewall_audits, query)
    return StreamingResponse(lines, media_type="text/csv", headers=headers)


@router.get(
    "/timeslice", responses=gives(list_of(WaasTimeslice), text="The parts of the time, in order", example=[_SLICE])
)
async def count_waas_events(
    request: Request, query: _Filter, _user: _reader, buckets: Annotated[int, Query(ge=1, le=1000)] = 24
) -> Response:
    """Return how many WAAS events there were in each of `buckets` equal parts of the time."""
    only_known_parameters(request, FIREWALL_FILTERS | {"buckets"})
    found = await services_of(request).firewall_audits.timeslices(query, buckets=buckets)
    shown = [WaasTimeslice(start=rfc3339(item.start), end=rfc3339(item.end), count=item.count) for item in found]
    return Response(msgspec.json.encode(shown), media_type="application/json")


@router.post(
    "/{number}/exception",
    responses=gives(
        reference(WaasExceptionAnswer),
        text="What was changed",
        example={
            "ruleName": "shop",
            "appID": "storefront",
            "protection": "sqli",
            "exception": {"location": "queryValues", "key": "id"},
            "applied": True,
            "policy": {"_id": "appEmbeddedAppFirewall", "rules": []},
        },
    ),
)
async def add_waas_exception(
    request: Request,
    number: str,
    user: _writer,
    dryRun: bool = False,  # noqa: FBT001, FBT002, N803
) -> Response:
    """
    Leave the place of an event out of the protection that found it; with `dryRun` the policy is only shown.

    Where the event was, and nothing wider: that name in that part of the request, in that application.
    """
    only_known_parameters(request, frozenset(("dryRun", "project")))
    if not (number.isascii() and number.isdigit() and len(number) < 19):  # noqa: PLR2004 - 64 bits
        raise InvalidError("the id of an event is a number")
    services = services_of(request)
    event = await services.firewall_audits.one(int(number))
    if dryRun:
        change = exception_for(event, services.firewall)
    else:
        change = await add_exception(event, services.firewall, author=user.name)
    answer = {
        "ruleName": change.rule,
        "appID": change.app_id,
        "protection": change.protection,
        "exception": change.exception,
        "applied": not dryRun,
        "policy": firewall_document(change.policy),
    }
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def _lines(events: FirewallAudits, query: FirewallQuery) -> AsyncIterator[str]:
    yield firewall_csv_head()
    async for page in events.all(query):
        yield "".join(map(firewall_csv_line, page))
