"""The library of custom rules."""

import re
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.policy_shapes import CustomRuleShape
from bartizan.api.reading import only_known_parameters
from bartizan.api.revision_shapes import CustomRuleCheck, CustomRuleState, CustomRuleUsage
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import PolicyError, custom_rule_document, parse_custom_rule
from bartizan.policy.sections import HIGHEST_ID
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/custom-rules", tags=["policies"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_Number = Annotated[int, Path(ge=0, le=HIGHEST_ID)]
_PROJECT = frozenset(("project",))
_COLUMN = re.compile(r"script: column ([0-9]{1,6}):")
_SAMPLE = {"_id": 12, "name": "no shells", "type": "processes", "script": 'proc.name in ("sh", "bash")',
           "message": "%proc.pname started a shell"}  # fmt: skip


@router.get("", responses=gives(list_of(CustomRuleShape), text="All custom rules"))
async def list_custom_rules(request: Request, _user: _reader) -> Response:
    """Return the custom rules; a rule of the policy refers to them by `_id`."""
    only_known_parameters(request, _PROJECT)
    body = msgspec.json.encode([custom_rule_document(rule) for rule in services_of(request).custom_rules.all()])
    return Response(body, media_type="application/json")


@router.post(
    "/check",
    openapi_extra=takes(CustomRuleShape, example=_SAMPLE),
    responses=gives(list_of(CustomRuleCheck), text="Every problem", example=[{"message": "…", "column": 7}]),
)
async def check_custom_rule(request: Request, _user: _reader) -> Response:
    """Return every problem of a custom rule, those of its script with their column; nothing is kept."""
    only_known_parameters(request, _PROJECT)
    body = await request.body()
    try:
        parse_custom_rule(body, number=_number_in(body))
    except PolicyError as error:
        return _json([_placed(problem) for problem in error.shown])
    return _json([])


@router.get(
    "/{number}/usages",
    responses=gives(
        list_of(CustomRuleUsage),
        text="Who uses it",
        example=[{"rule": "shop", "effect": "prevent", "action": "audit", "disabled": False}],
    ),
)
async def custom_rule_usages(request: Request, number: _Number, _user: _reader) -> Response:
    """Return the rules of the runtime policy that a custom rule is attached to, in their order."""
    only_known_parameters(request, _PROJECT)
    services = services_of(request)
    services.custom_rules.existing(number)
    return _json(
        [
            {
                "rule": rule.name,
                "effect": item.effect.value if item.effect else "disable",
                "action": item.action.value,
                "disabled": rule.disabled,
            }
            for rule in services.policies.current.rules
            for item in rule.custom
            if item.id == number
        ]
    )


@router.get("/{number}/revisions", responses=gives(list_of(CustomRuleState), text="The newest first", example=[]))
async def custom_rule_history(request: Request, number: _Number, _user: _reader) -> Response:
    """Return what a custom rule was, the newest first; a removed one has a state without a rule."""
    only_known_parameters(request, _PROJECT)
    found = await services_of(request).custom_rules.history(number)
    return _json(
        [
            {
                "revision": item.number,
                "author": item.author,
                "time": rfc3339(item.created),
                "rule": None if item.rule is None else custom_rule_document(item.rule),
            }
            for item in found
        ]
    )


@router.put("/{number}", openapi_extra=takes(CustomRuleShape), responses=gives(None, text="Kept"))
async def put_custom_rule(request: Request, number: _Number, user: _writer) -> Response:
    """Add a custom rule, or replace the one of this number; workloads whose policy uses it get it at once."""
    only_known_parameters(request, _PROJECT)
    rule = parse_custom_rule(await request.body(), number=number)
    await services_of(request).custom_rules.put(rule, author=user.name)
    return Response()


@router.delete("/{number}", responses=gives(None, text="Removed"))
async def remove_custom_rule(request: Request, number: _Number, user: _writer) -> Response:
    """Remove a custom rule that no policy uses; otherwise the refusal names the rules that do."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).custom_rules.remove(number, author=user.name)
    return Response()


def _number_in(body: bytes) -> int:
    """Return the number that a rule gives itself; one that is to be added may have none yet."""
    try:
        number = msgspec.json.decode(body, type=_Numbered).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    return 0 if number is None else number


class _Numbered(msgspec.Struct):
    id: int | None = msgspec.field(name="_id", default=None)


def _placed(problem: str) -> dict[str, object]:
    found = _COLUMN.match(problem)
    return {"message": problem, "column": int(found[1]) if found else None}


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
