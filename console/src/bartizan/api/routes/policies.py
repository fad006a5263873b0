"""The runtime policy."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.policy_shapes import RuntimePolicyShape, RuntimeRule
from bartizan.policy import parse_policy, parse_rule, policy_document
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/policies/runtime", tags=["policies"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]


@router.get("/app-embedded", responses=gives(reference(RuntimePolicyShape), text="The policy in force"))
async def get_policy(request: Request, _user: _reader) -> Response:
    """Return the runtime policy."""
    document = policy_document(services_of(request).policies.current)
    return Response(msgspec.json.encode(document), media_type="application/json")


@router.put("/app-embedded", openapi_extra=takes(RuntimePolicyShape), responses=gives(None, text="It is in force"))
async def put_policy(request: Request, user: _writer) -> Response:
    """Replace the whole runtime policy; running workloads get it at once."""
    policy = parse_policy(await request.body())
    revision = await services_of(request).policies.replace(policy, author=user.name)
    return Response(headers={"Policy-Revision": str(revision)})


@router.post("/app-embedded", openapi_extra=takes(RuntimeRule), responses=gives(None, text="It is in force"))
async def add_rule(request: Request, user: _writer) -> Response:
    """Add one rule before all others."""
    rule = parse_rule(await request.body())
    revision = await services_of(request).policies.add_rule(rule, author=user.name)
    return Response(headers={"Policy-Revision": str(revision)})
