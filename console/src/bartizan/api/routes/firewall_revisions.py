"""Beside the WAAS policy: its history and the way back, checks before it is saved, counters, certificates."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.editing import EDIT_PARAMETERS, edit_of, in_force
from bartizan.api.firewall_shapes import WaasCertificateFacts, WaasPolicyShape, WaasRevisionContent
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.api.revision_shapes import PolicyCheck, PolicyDifference, RevisionAnswer, RuleUse
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import PolicyError
from bartizan.policy.firewall import firewall_document, parse_firewall
from bartizan.policy.firewall.changes import firewall_changes
from bartizan.services.collections import workloads_of
from bartizan.services.interfaces import Revision, User

router = APIRouter(prefix="/api/v1/policies/firewall/app", tags=["waas"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_HIGHEST = 2**31 - 1
_Number = Annotated[int, Path(ge=1, le=_HIGHEST)]
_PROJECT = frozenset(("project",))
_SAMPLE = {"revision": 12, "author": "alice", "time": "2026-11-22T09:30:00.000Z", "comment": "storefront in prevent"}
_EMPTY: dict[str, list[Any]] = {"rules": []}
_CERTIFICATE = {
    "name": "sealed:0123456789abcdef0123456789abcdef",
    "subject": "CN=shop.example.com",
    "names": ["shop.example.com"],
    "expires": "2027-02-01T00:00:00.000Z",
    "usedBy": ["shop: storefront"],
}


@router.get(
    "/app-embedded/revisions", responses=gives(list_of(RevisionAnswer), text="The newest first", example=[_SAMPLE])
)
async def list_waas_revisions(
    request: Request,
    _user: _reader,
    below: Annotated[int | None, Query(ge=1, le=_HIGHEST)] = None,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return the revisions of the WAAS policy, the newest first; `below` a number for the next page."""
    only_known_parameters(request, frozenset(("below", "limit")))
    found = await services_of(request).firewall.history.page(below=below, limit=limit)
    return _json([_told(item) for item in found])


@router.get(
    "/app-embedded/revisions/difference",
    responses=gives(reference(PolicyDifference), example={"fromRevision": 11, "toRevision": 12, "changes": []}),
)
async def waas_difference(
    request: Request,
    _user: _reader,
    before: Annotated[int, Query(ge=0, le=_HIGHEST)],
    after: Annotated[int | None, Query(ge=1, le=_HIGHEST)] = None,
) -> Response:
    """Return what changed from one revision to another, or to the policy in force; 0 is the empty policy before all."""
    only_known_parameters(request, frozenset(("before", "after")))
    firewall = services_of(request).firewall
    to_revision, new = firewall.revision, firewall.current
    if after is not None:
        to_revision, new = after, (await firewall.history.at(after))[1]
    old = (await firewall.history.at(before))[1]
    changes = msgspec.to_builtins(firewall_changes(old, new))
    return _json({"fromRevision": before, "toRevision": to_revision, "changes": changes})


@router.get(
    "/app-embedded/revisions/{number}",
    responses=gives(reference(WaasRevisionContent), example={**_SAMPLE, "policy": _EMPTY}),
)
async def get_waas_revision(request: Request, number: _Number, _user: _reader) -> Response:
    """Return a revision of the WAAS policy, whole."""
    only_known_parameters(request, frozenset())
    revision, policy = await services_of(request).firewall.history.at(number)
    return _json({**_told(revision), "policy": firewall_document(policy)})


@router.post(
    "/app-embedded/revisions/{number}/restore",
    openapi_extra={"parameters": EDIT_PARAMETERS},
    responses=gives(None, text="It is in force"),
)
async def restore_waas_revision(request: Request, number: _Number, user: _writer) -> Response:
    """Put the WAAS policy of a revision in force again, as a new revision."""
    edit = edit_of(request, user)
    firewall = services_of(request).firewall
    return in_force(await firewall.restore(number, author=edit.author, comment=edit.comment, base=edit.base))


@router.post(
    "/app-embedded/check",
    openapi_extra=takes(WaasPolicyShape, example=_EMPTY),
    responses=gives(reference(PolicyCheck), example={"problems": [], "changes": []}),
)
async def check_waas_policy(request: Request, _user: _reader) -> Response:
    """Return what a WAAS policy would be refused for, and what it would change; nothing is kept."""
    only_known_parameters(request, _PROJECT)
    firewall = services_of(request).firewall
    try:
        policy = parse_firewall(await request.body())
    except PolicyError as error:
        return _json({"problems": error.shown, "changes": []})
    changes = msgspec.to_builtins(firewall_changes(firewall.current, policy))
    return _json({"problems": firewall.problems(policy), "changes": changes})


@router.get(
    "/app-embedded/hits",
    responses=gives(list_of(RuleUse), example=[{"rule": "shop", "hits": 3, "lastHit": None, "workloads": 2}]),
)
async def waas_hits(request: Request, _user: _reader) -> Response:
    """Return how often each WAAS rule matched and when it last did, and to how many connected Defenders it applies."""
    only_known_parameters(request, _PROJECT)
    services = services_of(request)
    defenders: dict[str, int] = {}
    for record in services.defenders.connected_records():
        name = services.firewall.resolve(workloads_of(record)).policy["rule"]
        if name is not None:
            defenders[name] = defenders.get(name, 0) + 1
    answer = []
    for rule in services.firewall.current.rules:
        hits = services.firewall_hits.of(rule.name)
        last = rfc3339(hits.last) if hits else None
        count = hits.count if hits else 0
        answer.append({"rule": rule.name, "hits": count, "lastHit": last, "workloads": defenders.get(rule.name, 0)})
    return _json(answer)


@router.get("/certificates", responses=gives(list_of(WaasCertificateFacts), example=[_CERTIFICATE]))
async def list_waas_certificates(request: Request, _user: _reader) -> Response:
    """Return the certificates that are kept for protected applications, without their keys, and who uses them."""
    only_known_parameters(request, _PROJECT)
    return _json([
        {
            "name": item.name,
            "subject": item.subject,
            "names": item.names,
            "expires": rfc3339(item.expires) if item.subject else "",
            "usedBy": item.used_by,
        }
        for item in services_of(request).firewall.certificates()
    ])  # fmt: skip


def _told(revision: Revision) -> dict[str, Any]:
    return {
        "revision": revision.number,
        "author": revision.author,
        "time": rfc3339(revision.created),
        "comment": revision.comment,
    }


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
