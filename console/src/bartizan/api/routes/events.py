"""Events: runtime audits and WAAS events side by side."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.context import services_of
from bartizan.api.document import gives, reference
from bartizan.api.event_answers import allow_answer, decoded, defender_of, incident_of, rule_of
from bartizan.api.event_filter import EVENT_FILTERS, event_filter
from bartizan.api.event_shapes import (
    AllowAnswer,
    EventDetail,
    EventFacets,
    EventPageAnswer,
    EventTimeslice,
    EventTimeslices,
    FacetValue,
)
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.scoping import visible_defenders, within
from bartizan.audit.event_table import event_csv_head, event_csv_line
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.errors import InvalidError
from bartizan.services.events import (
    MOST_BUCKETS,
    EventList,
    EventQuery,
    parse_cursor,
    parse_event_id,
)
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/events", tags=["events"])
_reader = Annotated[User, Depends(Requires(Permission.AUDITS_READ, scoped=True))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_IDLE_SECONDS = 15.0
_DIGITS = 19
_EVENT = {
    "id": "runtime-12",
    "kind": "runtime",
    "runtime": {
        "_id": "12",
        "time": "2026-11-20T09:14:02.118Z",
        "type": "processes",
        "attackType": "explicitlyDeniedProcess",
        "effect": "prevent",
        "severity": "high",
        "msg": "/bin/sh launched from /usr/bin/python3 was prevented: it is on the deny list",
        "reason": "deniedProcess",
        "appID": "shop:1",
        "hostname": "shop:1",
        "profileId": "shop:1_web",
        "containerName": "web",
        "ruleName": "shop",
        "processPath": "/bin/sh",
    },
}


def scoped_filter(request: Request, user: _reader, query: Annotated[EventQuery, Depends(event_filter)]) -> EventQuery:
    """Return the filter of a request, within what its user may see."""
    limits = within(request, user, Permission.AUDITS_READ)
    return dataclasses.replace(
        query,
        runtime=None if query.runtime is None else dataclasses.replace(query.runtime, within=limits),
        waas=None if query.waas is None else dataclasses.replace(query.waas, within=limits),
    )


_Filter = Annotated[EventQuery, Depends(scoped_filter)]


@router.get(
    "",
    responses=gives(
        reference(EventPageAnswer),
        text="One page",
        example={"events": [_EVENT], "older": "o.1795166042118.1.12", "newer": "n.1795166042118.1.12"},
    ),
)
async def list_events(
    request: Request,
    query: _Filter,
    _user: _reader,
    cursor: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """
    Return runtime audits and WAAS events, the newest first; `older` and `newer` of the answer are cursors that lead on.

    A question looks at 20,000 events of each kind at most. Where that does not fill the page, `searchedTo` says how far
    it looked, and `older` goes on from there; only without `older` there are no more.
    """
    only_known_parameters(request, EVENT_FILTERS | {"cursor", "limit"})
    place = parse_cursor(cursor) if cursor else None
    page = await services_of(request).events.page(query, cursor=place, limit=limit)
    found = {
        "older": page.older.text() if page.older else "",
        "newer": page.newer.text() if page.newer else "",
        "searchedTo": "" if page.searched is None else rfc3339(page.searched),
    }
    rest = msgspec.json.encode({name: value for name, value in found.items() if value})[1:]
    events = b",".join(event.json() for event in page.events)
    body = b'{"events":[%b]%b%b' % (events, b"" if rest == b"}" else b",", rest)
    return Response(body, media_type="application/json")


@router.get(
    "/facets",
    responses=gives(
        reference(EventFacets),
        text="The facets",
        example={"facets": {"effect": [{"value": "prevent", "count": 41}, {"value": "alert", "count": 7}]}},
    ),
)
async def list_event_facets(
    request: Request, query: _Filter, _user: _reader, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Response:
    """
    Return the commonest values of each facet, with how many events have them.

    Each facet is counted among the events that pass all other filters, so that further values can be chosen. All events
    are counted where the filters are the time and facets alone; else only the newest 25,000 of each kind may be looked
    at, and `searchedTo` says since when. So it does while there are ever new facets or too many events in a quarter of
    an hour.
    """
    only_known_parameters(request, EVENT_FILTERS | {"limit"})
    found = await services_of(request).events.facets(query, most_values=limit)
    answer = EventFacets(
        facets={
            name: [FacetValue(value=value, count=count) for value, count in values]
            for name, values in found.values.items()
        },
        searched_to="" if found.searched is None else rfc3339(found.searched),
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.get(
    "/timeslice",
    responses=gives(
        reference(EventTimeslices),
        text="The parts of the time, in order",
        example={
            "slices": [
                {"start": "2026-11-20T09:00:00.000Z", "end": "2026-11-20T10:00:00.000Z", "counts": {"prevent": 41}}
            ]
        },
    ),
)
async def count_events(
    request: Request, query: _Filter, _user: _reader, buckets: Annotated[int, Query(ge=1, le=MOST_BUCKETS)] = 60
) -> Response:
    """
    Return how many events there were in each of `buckets` equal parts of the time, by effect.

    The time is from `from` (or the oldest event) to `to` (or now). Bounded as the facets are; more than 25,000 events
    are counted in fewer parts of whole quarters of an hour, none of them outside the time.
    """
    only_known_parameters(request, EVENT_FILTERS | {"buckets"})
    given = query.runtime or query.waas
    start, end = (given.start, given.end) if given is not None else (None, None)
    if start is not None and end is not None and start > end:
        raise InvalidError("`from` is later than `to`")
    found = await services_of(request).events.slices(query, start=start, end=end, buckets=buckets)
    answer = EventTimeslices(
        slices=[
            EventTimeslice(
                start=rfc3339(found.start + number * found.width),
                end=rfc3339(found.start + (number + 1) * found.width),
                counts=counts,
            )
            for number, counts in enumerate(found.counts)
        ],
        searched_to="" if found.searched is None else rfc3339(found.searched),
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.get(
    "/follow",
    responses=gives(
        {"type": "string"},
        media="text/event-stream",
        text="One event for each, as it is committed",
        example='id: 12.4\ndata: {"id":"runtime-12",…}\n\n',
    ),
)
async def follow_events(request: Request, query: _Filter, _user: _reader) -> Response:
    """
    Stream events as server-sent events; with `Last-Event-ID` those since then come first.

    Times of the filter are those of the events, too: without them every event that comes is sent.
    """
    only_known_parameters(request, EVENT_FILTERS)
    last = request.headers.get("last-event-id", "")
    events = services_of(request).events
    stream = _stream(events, query, _resumed(last) if last else None)
    # The first piece is had before the answer begins, so that a refusal is one.
    first = await anext(stream)
    return StreamingResponse(_with_first(first, stream), media_type="text/event-stream")


@router.get(
    "/export",
    responses=gives(
        {"type": "string"},
        media="text/csv",
        text="All that match",
        example="ID,Kind,Time\r\nruntime-12,runtime,…\r\n",
        also=("application/jsonl",),
    ),
)
async def export_events(
    request: Request,
    query: _Filter,
    _user: _reader,
    format: Literal["csv", "jsonl"] = "csv",  # noqa: A002
) -> Response:
    """Return all matching events, the newest first, as CSV or as JSON Lines (`format=jsonl`)."""
    only_known_parameters(request, EVENT_FILTERS | {"format"})
    media = "text/csv" if format == "csv" else "application/jsonl"
    headers = {"Content-Disposition": f'attachment; filename="events.{format}"'}
    lines = _csv(services_of(request).events, query) if format == "csv" else _jsonl(services_of(request).events, query)
    return StreamingResponse(lines, media_type=media, headers=headers)


@router.get("/{event}", responses=gives(reference(EventDetail), text="The event", example=_EVENT))
async def one_event(request: Request, event: str, user: _reader) -> Response:
    """Return one event by its id, such as `runtime-12` or `waas-4`, with its rule, Defender and incident."""
    only_known_parameters(request, frozenset())
    services = services_of(request)
    limits = within(request, user, Permission.AUDITS_READ)
    found = await services.events.one(*parse_event_id(event), within=limits)
    audit = decoded(found)
    around = {
        "rule": rule_of(audit, services.policies.current, services.firewall.current),
        "defender": defender_of(
            audit, services.defenders, visible=visible_defenders(request, user, Permission.AUDITS_READ)
        ),
        "incidentID": await incident_of(audit, services.incidents, within=limits),
    }
    rest = msgspec.json.encode({name: value for name, value in around.items() if value})
    return Response(found.json()[:-1] + (b"}" if rest == b"{}" else b"," + rest[1:]), media_type="application/json")


@router.post(
    "/{event}/allow",
    responses=gives(
        reference(AllowAnswer),
        text="What was changed, or would be",
        example={
            "ruleName": "shop",
            "applied": True,
            "revision": 8,
            "before": {"name": "shop", "processes": {"whitelist": ["/usr/bin/python3.11"]}},
            "after": {"name": "shop", "processes": {"whitelist": ["/usr/bin/python3.11", "/usr/bin/curl"]}},
            "changes": [{"field": "processes.whitelist", "entry": "/usr/bin/curl", "added": True}],
        },
    ),
)
async def allow_event(
    request: Request,
    event: str,
    user: _writer,
    dryRun: bool = False,  # noqa: FBT001, FBT002, N803
    revision: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """
    Allow just what an event tells of, in the rule that objected to it; with `dryRun` the change is only shown.

    An entry is put on the list that it was missing from, or taken off the deny list where it stood for this alone;
    otherwise a custom rule with the effect `allow` is made for it. For a WAAS event its place is left out of the
    protection. With `revision` (of a preview) nothing is changed when the policy is not that one any more.
    """
    only_known_parameters(request, frozenset(("dryRun", "revision")))
    services = services_of(request)
    audit = decoded(await services.events.one(*parse_event_id(event)))
    if dryRun:
        change = services.event_allowance.preview(audit)
    else:
        change = await services.event_allowance.apply(audit, author=user.name, revision=revision)
    return Response(msgspec.json.encode(allow_answer(change, applied=not dryRun)), media_type="application/json")


def _resumed(text: str) -> tuple[int, int]:
    numbers = text.split(".")
    if len(numbers) != 2 or not all(  # noqa: PLR2004 - one of each kind
        number.isascii() and number.isdigit() and len(number) < _DIGITS for number in numbers
    ):
        raise InvalidError("`Last-Event-ID`: it is two numbers with a dot between them, as this stream gave it")
    return int(numbers[0]), int(numbers[1])


async def _stream(events: EventList, query: EventQuery, after: tuple[int, int] | None) -> AsyncIterator[bytes]:
    async for seen, event in events.follow(query, after=after, idle_seconds=_IDLE_SECONDS):
        place = b"id: %d.%d\n" % seen
        # An id at once, so that a client that is cut off before the first event resumes at the right place.
        yield place + (b"retry: 1000\n\n" if event is None else b"data: %b\n\n" % event.json())


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(rest):  # type: ignore[type-var]
        yield first
        async for piece in rest:
            yield piece


async def _csv(events: EventList, query: EventQuery) -> AsyncIterator[str]:
    yield event_csv_head()
    async for page in events.all(query):
        yield "".join(event_csv_line(decoded(event)) for event in page)


async def _jsonl(events: EventList, query: EventQuery) -> AsyncIterator[bytes]:
    async for page in events.all(query):
        yield b"".join(event.json() + b"\n" for event in page)
