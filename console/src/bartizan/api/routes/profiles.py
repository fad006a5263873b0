"""Profiles: what workloads were seen to do, the rules that follow, and the stages of learned rules."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.csv_text import csv_text
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.profile_shapes import (
    AdoptionRequest,
    LearnedRuleAnswer,
    Profile,
    ProfileDetail,
    Promotion,
    SuggestedRule,
)
from bartizan.api.reading import only_known_parameters, read_vendor_body, values
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import rule_document
from bartizan.policy.evidence import LeftOut, Line
from bartizan.policy.stages import Stage
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User
from bartizan.services.learning import LearnedRule
from bartizan.services.models import ModelQuery, ModelRow

router = APIRouter(prefix="/api/v1", tags=["profiles"])
_reader = Annotated[User, Depends(Requires(Permission.PROFILES_READ))]
_keeper = Annotated[User, Depends(Requires(Permission.PROFILES_WRITE))]
_policy_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_policy_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_Several = Annotated[list[str] | None, Query()]
_COLUMNS = ("kind", "value", "detail", "count", "first", "last")
_PROFILES = "/profiles/app-embedded"
_LEARNED = "/policies/runtime/app-embedded/learned"


@router.get(_PROFILES, responses=gives(list_of(Profile), text="One page; `Total-Count` tells how many match"))
async def list_profiles(
    request: Request,
    _user: _reader,
    id: _Several = None,  # noqa: A002
    appID: _Several = None,  # noqa: N803
    image: _Several = None,
    container: _Several = None,
    search: Annotated[str, Query(max_length=1000)] = "",
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return profiles, the latest first; `search` is part of the name of an application, image or container."""
    only_known_parameters(request, frozenset(("id", "appID", "image", "container", "search", "offset", "limit")))
    query = ModelQuery(
        ids=tuple(_number(text) for text in values(id)),
        app_ids=values(appID),
        images=values(image),
        containers=values(container),
        search=search,
        offset=offset,
        limit=limit,
    )
    rows, total = await services_of(request).models.page(query)
    body = msgspec.json.encode([Profile(**_shown(row)) for row in rows])
    return Response(body, media_type="application/json", headers={"Total-Count": str(total)})


@router.get(
    f"{_PROFILES}/{{number}}/download",
    responses=gives({"type": "string"}, media="text/csv", text="Everything that was seen, as CSV"),
)
async def download_profile(request: Request, number: str, _user: _reader) -> Response:
    """Return everything in a profile as comma-separated values, one thing a line."""
    only_known_parameters(request, frozenset())
    _, observed = await services_of(request).models.get(_number(number))
    rows = [
        {
            "kind": item.kind.value,
            "value": item.value,
            "detail": item.detail,
            "count": item.count,
            "first": rfc3339(item.first),
            "last": rfc3339(item.last),
        }
        for item in observed
    ]
    headers = {"Content-Disposition": f'attachment; filename="profile-{_number(number)}.csv"'}
    return Response(csv_text(_COLUMNS, rows), media_type="text/csv", headers=headers)


@router.get(f"{_PROFILES}/{{number}}", responses=gives(reference(ProfileDetail), text="The profile"))
async def get_profile(request: Request, number: str, _user: _reader) -> Response:
    """Return one profile with everything that was seen."""
    row, observed = await services_of(request).models.get(_number(number))
    return _json(ProfileDetail(**_shown(row), observations=observed))


@router.delete(f"{_PROFILES}/{{number}}", responses=gives(None, text="It is forgotten"))
async def forget_profile(request: Request, number: str, _user: _keeper) -> Response:
    """Forget a profile, so that learning begins anew."""
    await services_of(request).models.forget(_number(number))
    return Response()


@router.get(f"{_PROFILES}/{{number}}/suggestion", responses=gives(reference(SuggestedRule), text="The rule"))
async def suggest_rule(request: Request, number: str, _user: _reader) -> Response:
    """Return the rule that allows just what was seen, in alert, with the evidence for each of its lines."""
    row, suggestion = await services_of(request).models.suggest(_number(number))
    answer = {
        "profile": Profile(**_shown(row)),
        "rule": rule_document(suggestion.rule),
        "evidence": [
            {**_fields(line), "first": rfc3339(line.first), "last": rfc3339(line.last)} for line in suggestion.lines
        ],
        "leftOut": [_fields(item) for item in suggestion.left_out],
    }
    return _json(answer)


@router.post(
    f"{_PROFILES}/{{number}}/rule",
    openapi_extra=takes(AdoptionRequest),
    responses=gives(reference(LearnedRuleAnswer), text="It is in force"),
)
async def adopt_rule(request: Request, number: str, user: _policy_writer) -> Response:
    """Put the rule of a profile into the runtime policy, before all others, in the stage `alert` or `discover`."""
    wanted = await read_vendor_body(request, AdoptionRequest)
    learned = await services_of(request).learning.adopt(
        _number(number), stage=Stage(wanted.stage), quiet_days=wanted.quiet_days, author=user.name
    )
    return _json(_learned(learned))


@router.get(_LEARNED, responses=gives(list_of(LearnedRuleAnswer), text="All of them"))
async def list_learned(request: Request, _user: _policy_reader) -> Response:
    """Return the learned rules of the policy with their stages."""
    return _json([_learned(item) for item in await services_of(request).learning.all()])


@router.post(
    f"{_LEARNED}/promote",
    openapi_extra=takes(Promotion),
    responses=gives(reference(LearnedRuleAnswer), text="It is in force"),
)
async def promote_rule(request: Request, user: _policy_writer) -> Response:
    """Take a learned rule to its next stage: from `discover` to `alert`, from `alert` to `prevent`."""
    wanted = await read_vendor_body(request, Promotion)
    return _json(_learned(await services_of(request).learning.promote(wanted.rule, author=user.name)))


def _learned(item: LearnedRule) -> LearnedRuleAnswer:
    return LearnedRuleAnswer(
        rule=item.rule,
        profile_id=str(item.model),
        stage=item.stage.value,
        since=rfc3339(item.since),
        quiet_days=item.quiet_days,
    )


def _shown(row: ModelRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "app_id": row.reporter,
        "image": row.key.image,
        "container": row.key.container,
        "start_time": rfc3339(row.started),
        "last_time": rfc3339(row.last),
        "change_time": rfc3339(row.changed),
        "overflow": row.overflow,
        "counts": row.counts,
    }


def _fields(item: Line | LeftOut) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - 64 bits
        raise InvalidError("a profile's id is a number")
    return int(text)
