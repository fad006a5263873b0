"""The Console itself: health, numbers for Prometheus, what it stands on, and for how long it keeps audits."""

import platform
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.metrics import exposition
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.api.system_shapes import (
    CertificateEnd,
    HealthAnswer,
    HealthProblem,
    RetentionBounds,
    RetentionShape,
    SystemAnswer,
)
from bartizan.audit import Retention
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.health import Problem
from bartizan.services.interfaces import User
from bartizan.services.retention import RetentionSettings

router = APIRouter(tags=["system"])
_anybody = Annotated[User, Depends(Requires(Permission.PUBLIC))]
_reader = Annotated[User, Depends(Requires(Permission.SYSTEM_READ))]
_writer = Annotated[User, Depends(Requires(Permission.SYSTEM_WRITE))]
_SICK = 503
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_HEALTHY = {"live": True, "ready": True, "problems": []}
_THIRTY_DAYS = {"days": 30, "audits": 1_000_000, "mebibytes": 2048}
_KEPT = {"runtime": _THIRTY_DAYS, "firewall": _THIRTY_DAYS, "cleanUpHour": 3}


@router.get("/api/v1/_health", responses=gives(reference(HealthAnswer), text="It can work", example=_HEALTHY))
async def get_health(request: Request, _user: _anybody) -> Response:
    """
    Tell whether the Console can do its work, and if not, what is wrong; 503 when something stops it.

    An orchestrator's liveness probe should ask `_ping`: to start the Console again does not mend a full disk.
    """
    only_known_parameters(request, frozenset())
    problems = await services_of(request).health.problems()
    ready = not any(problem.stops for problem in problems)
    answer = HealthAnswer(live=True, ready=ready, problems=_shown(problems))
    return Response(msgspec.json.encode(answer), 200 if ready else _SICK, media_type="application/json")


@router.get("/metrics", responses=gives({"type": "string"}, media="text/plain", text="Numbers"))
async def get_metrics(request: Request, _user: _reader) -> Response:
    """Return numbers for Prometheus; scrape them with an API token as bearer."""
    only_known_parameters(request, frozenset())
    services = services_of(request)
    measures = await services.health.measures()
    text = exposition(measures, services.defenders.all(), version=services.version)
    return Response(text, headers={"Content-Type": _METRICS})


@router.get("/api/v1/system", responses=gives(reference(SystemAnswer), text="The Console itself"))
async def get_system(request: Request, _user: _reader) -> Response:
    """Return what the Console is, what it stands on, how much there is, and what is wrong."""
    only_known_parameters(request, frozenset())
    services = services_of(request)
    measures, problems = await services.health.measures(), await services.health.problems()
    answer = SystemAnswer(
        version=services.version,
        started=rfc3339(services.defenders.started),
        database=services.about.database,
        database_kind=services.about.database_kind,
        database_bytes=measures.database_bytes,
        schema=services.about.schema,
        free_bytes=measures.free_bytes,
        audits_written=measures.written,
        audits_waiting=measures.waiting,
        audit_failures=measures.failures,
        defenders_connected=len(services.defenders.connected_records()),
        defenders_known=len(services.defenders.all()),
        python=platform.python_version(),
        certificates=[CertificateEnd(name=name, expiration=rfc3339(end)) for name, end in measures.expirations.items()],
        problems=_shown(problems),
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.get(
    "/api/v1/settings/retention", responses=gives(reference(RetentionShape), text="The retention", example=_KEPT)
)
async def get_retention(request: Request, _user: _reader) -> Response:
    """Return for how long audits are kept: by age, number and size, whichever is reached first."""
    only_known_parameters(request, frozenset())
    kept = services_of(request).retentions.current
    answer = RetentionShape(
        runtime=_bounds(kept.runtime), firewall=_bounds(kept.firewall), clean_up_hour=kept.clean_up_hour
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.put(
    "/api/v1/settings/retention",
    openapi_extra=takes(RetentionShape, example=_KEPT),
    responses=gives(None, text="In force"),
)
async def set_retention(request: Request, _user: _writer) -> Response:
    """Change for how long audits are kept; what is beyond goes at the next clean-up, in small steps."""
    only_known_parameters(request, frozenset())
    change = await read_body(request, RetentionShape)
    wanted = RetentionSettings(
        runtime=_retention(change.runtime), firewall=_retention(change.firewall), clean_up_hour=change.clean_up_hour
    )
    await services_of(request).retentions.replace(wanted)
    return Response()


def _shown(problems: list[Problem]) -> list[HealthProblem]:
    return [HealthProblem(name=problem.name, message=problem.text) for problem in problems]


def _bounds(kept: Retention) -> RetentionBounds:
    return RetentionBounds(days=kept.days, audits=kept.audits, mebibytes=kept.mebibytes)


def _retention(bounds: RetentionBounds) -> Retention:
    return Retention(days=bounds.days, audits=bounds.audits, mebibytes=bounds.mebibytes)
