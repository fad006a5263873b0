"""The history of the runtime policy: what it was, what differs, and the way back."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference
from bartizan.api.editing import EDIT_PARAMETERS, edit_of, in_force
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.revision_shapes import PolicyDifference, RevisionAnswer, RevisionContent
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import policy_document
from bartizan.policy.yaml_form import runtime_changes
from bartizan.services.interfaces import Revision, User

router = APIRouter(prefix="/api/v1/policies/runtime/app-embedded/revisions", tags=["policies"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_HIGHEST = 2**31 - 1
_Number = Annotated[int, Path(ge=1, le=_HIGHEST)]
_SAMPLE = {"revision": 12, "author": "alice", "time": "2026-11-22T09:30:00.000Z", "comment": "no shells in shop"}


@router.get("", responses=gives(list_of(RevisionAnswer), text="The newest first", example=[_SAMPLE]))
async def list_revisions(
    request: Request,
    _user: _reader,
    below: Annotated[int | None, Query(ge=1, le=_HIGHEST)] = None,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return the revisions of the runtime policy, the newest first; `below` a number for the next page."""
    only_known_parameters(request, frozenset(("below", "limit")))
    found = await services_of(request).policies.history(below=below, limit=limit)
    return _json([_told(item) for item in found])


@router.get(
    "/difference",
    responses=gives(reference(PolicyDifference), example={"fromRevision": 11, "toRevision": 12, "changes": []}),
)
async def difference(
    request: Request,
    _user: _reader,
    before: Annotated[int, Query(ge=0, le=_HIGHEST)],
    after: Annotated[int | None, Query(ge=1, le=_HIGHEST)] = None,
) -> Response:
    """Return what changed from one revision to another, or to the policy in force; 0 is the empty policy before all."""
    only_known_parameters(request, frozenset(("before", "after")))
    policies = services_of(request).policies
    to_revision, new = policies.revision, policies.current
    if after is not None:
        to_revision, new = after, (await policies.at(after))[1]
    old = (await policies.at(before))[1] if before else type(new)()
    changes = msgspec.to_builtins(runtime_changes(old, new))
    return _json({"fromRevision": before, "toRevision": to_revision, "changes": changes})


@router.get(
    "/{number}", responses=gives(reference(RevisionContent), example={**_SAMPLE, "policy": {"rules": [{"name": "a"}]}})
)
async def get_revision(request: Request, number: _Number, _user: _reader) -> Response:
    """Return a revision of the runtime policy, whole."""
    only_known_parameters(request, frozenset())
    revision, policy = await services_of(request).policies.at(number)
    return _json({**_told(revision), "policy": policy_document(policy)})


@router.post(
    "/{number}/restore",
    openapi_extra={"parameters": EDIT_PARAMETERS},
    responses=gives(None, text="It is in force"),
)
async def restore_revision(request: Request, number: _Number, user: _writer) -> Response:
    """Put the policy of a revision in force again, as a new revision."""
    edit = edit_of(request, user)
    return in_force(await services_of(request).policies.restore(number, edit))


def _told(revision: Revision) -> dict[str, Any]:
    return {
        "revision": revision.number,
        "author": revision.author,
        "time": rfc3339(revision.created),
        "comment": revision.comment,
    }


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
