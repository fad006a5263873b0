"""The library of custom rules."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.policy_shapes import CustomRuleShape
from bartizan.api.reading import only_known_parameters
from bartizan.policy import custom_rule_document, parse_custom_rule
from bartizan.policy.sections import HIGHEST_ID
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/custom-rules", tags=["policies"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_Number = Annotated[int, Path(ge=0, le=HIGHEST_ID)]
_PROJECT = frozenset(("project",))


@router.get("", responses=gives(list_of(CustomRuleShape), text="All custom rules"))
async def list_custom_rules(request: Request, _user: _reader) -> Response:
    """Return the custom rules; a rule of the policy refers to them by `_id`."""
    only_known_parameters(request, _PROJECT)
    body = msgspec.json.encode([custom_rule_document(rule) for rule in services_of(request).custom_rules.all()])
    return Response(body, media_type="application/json")


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
