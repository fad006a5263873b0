"""The overview: what is protected, what happened, what needs attention."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import ApiServices, services_of
from bartizan.api.document import gives, reference
from bartizan.api.event_shapes import FacetValue
from bartizan.api.overview_shapes import (
    OverviewAnswer,
    OverviewConsole,
    OverviewDefenders,
    OverviewEvents,
    OverviewHour,
    OverviewLearning,
)
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.interfaces import User
from bartizan.services.overview import DAY_HOURS, OverviewFacts

router = APIRouter(prefix="/api/v1", tags=["overview"])
_reader = Annotated[User, Depends(Requires(Permission.OVERVIEW_READ))]
_DAY = 24 * 3_600_000
_EXAMPLE = {
    "time": "2026-11-20T09:14:02.118Z",
    "defenders": {
        "total": 3,
        "connected": 2,
        "byType": {"fargate": 3},
        "byState": {"connected": 2, "lost": 1},
        "bySync": {"inSync": 2, "unknown": 1},
        "gaps": {"container": 1},
        "outdated": 0,
        "certificatesEndSoon": 0,
    },
    "events": {
        "hours": [{"time": "2026-11-20T09:00:00.000Z", "effects": {"prevent": 4, "alert": 1}}],
        "day": {"prevent": 4, "alert": 1},
        "week": {"prevent": 4, "alert": 1},
        "topRules": [{"value": "shop", "count": 5}],
        "topApps": [{"value": "shop:1", "count": 5}],
        "searchedTo": "",
    },
    "incidents": {"high": 1},
    "learning": {"profiles": 2, "byStage": {"discover": 1, "alert": 0, "prevent": 0}},
    "console": {
        "version": "0.1.0",
        "defenderArchitectures": ["amd64", "arm64"],
        "names": ["console.example.com"],
        "caExpiration": "2036-11-17T09:00:00.000Z",
        "caDays": 3649,
    },
}


@router.get("/overview", responses=gives(reference(OverviewAnswer), text="The overview", example=_EXAMPLE))
async def get_overview(request: Request, _user: _reader) -> Response:
    """Return what is protected and what is not, what happened in the last seven days, and what needs attention."""
    only_known_parameters(request, frozenset())
    services = services_of(request)
    facts = await services.overview.facts()
    answer = OverviewAnswer(
        time=rfc3339(facts.time),
        defenders=_defenders(facts),
        events=_events(facts),
        incidents=dict(facts.incidents),
        learning=OverviewLearning(
            profiles=facts.profiles, by_stage={stage.value: count for stage, count in facts.learning.items()}
        ),
        console=_console(services, facts.time),
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _defenders(facts: OverviewFacts) -> OverviewDefenders:
    found = facts.defenders
    return OverviewDefenders(
        # Who was shut out is on no list; of everybody else the facet counts each once.
        total=sum(found["type"].values()),
        connected=found["state"].get("connected", 0),
        by_type=dict(found["type"]),
        by_state=dict(found["state"]),
        by_sync=dict(found["sync"]),
        gaps=dict(found["gap"]),
        outdated=found["latest"].get("false", 0),
        certificates_end_soon=found["certificateEnds"].get("soon", 0),
    )


def _events(facts: OverviewFacts) -> OverviewEvents:
    week = facts.week
    searched = max((end for end in (week.searched, facts.day.searched) if end is not None), default=None)
    return OverviewEvents(
        hours=[
            OverviewHour(time=rfc3339(week.start + number * week.width), effects=counts)
            for number, counts in enumerate(week.counts)
        ],
        day=_sum(week.counts[-DAY_HOURS:]),
        week=_sum(week.counts),
        top_rules=[FacetValue(value=value, count=count) for value, count in facts.day.values["ruleName"]],
        top_apps=[FacetValue(value=value, count=count) for value, count in facts.day.values["appID"]],
        searched_to="" if searched is None else rfc3339(searched),
    )


def _sum(hours: Sequence[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for hour in hours:
        total.update(hour)
    return dict(total)


def _console(services: ApiServices, now: int) -> OverviewConsole:
    return OverviewConsole(
        version=services.version,
        defender_architectures=sorted(services.binaries),
        names=list(services.names.all()),
        ca_expiration=rfc3339(services.ca_expiration),
        ca_days=(services.ca_expiration - now) // _DAY,
    )
