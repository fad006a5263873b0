"""What a runtime policy would have done about what happened."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.api.revision_shapes import TrialAnswer, TrialRequest
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import parse_policy, parse_rule
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User
from bartizan.services.trial import Case, Trial

router = APIRouter(prefix="/api/v1/policies/runtime/app-embedded", tags=["policies"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_SAMPLE = {"rule": {"name": "shop", "processes": {"effect": "prevent", "blacklist": ["curl"]}}, "days": 7}


_NOTHING = b"null"


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    """`TrialRequest`, with policy and rule as they are written: they are parsed more strictly than a shape is."""

    policy: msgspec.Raw = msgspec.Raw(_NOTHING)
    rule: msgspec.Raw = msgspec.Raw(_NOTHING)
    days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7


@router.post("/trial", openapi_extra=takes(TrialRequest, example=_SAMPLE), responses=gives(reference(TrialAnswer)))
async def try_policy(request: Request, _user: _reader) -> Response:
    """Return what a policy, or one rule, would have done about audits and observations; nothing is kept."""
    only_known_parameters(request, frozenset(("project",)))
    given = await read_body(request, _Given)
    trials = services_of(request).trials
    policy, rule = bytes(given.policy), bytes(given.rule)
    if (policy == _NOTHING) is (rule == _NOTHING):
        raise InvalidError("give `policy` or `rule`, one of them")
    if policy != _NOTHING:
        trial = await trials.of_policy(parse_policy(policy), days=given.days)
    else:
        trial = await trials.of_rule(parse_rule(rule), days=given.days)
    return Response(msgspec.json.encode(_told(trial)), media_type="application/json")


def _told(trial: Trial) -> dict[str, Any]:
    return {
        "start": rfc3339(trial.start),
        "end": rfc3339(trial.end),
        "audits": trial.audits,
        "observations": trial.observations,
        "complete": trial.complete,
        "before": trial.before,
        "after": trial.after,
        "cases": [_case(case) for case in trial.cases],
        "more": trial.more,
    }


def _case(case: Case) -> dict[str, Any]:
    past = case.past
    return {
        "source": past.source,
        "kind": past.kind,
        "what": past.what,
        "by": past.by,
        "appID": past.app_id,
        "container": past.container,
        "image": past.image,
        "count": past.count,
        "last": past.last,
        "before": case.before,
        "after": case.after,
    }
