"""Sets of rules for the firewall: releases of the OWASP Core Rule Set that were brought in."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.firewall_shapes import WaasRuleset, WaasRulesetChoice
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.interfaces import User
from bartizan.services.rulesets import KeptRuleset, UsedRuleset

router = APIRouter(prefix="/api/v1/waas/rulesets", tags=["waas"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_RULESET = {
    "hash": "aecd811b0b4d7e27045b1b6928cf189cdc339e19bafdaec8a1457cf5d6bc92be",
    "version": "4.25.0",
    "files": 50,
    "author": "admin",
    "created": "2026-11-21T15:04:05.000Z",
    "inUse": True,
}


@router.get("", responses=gives(list_of(WaasRuleset), text="All of them, the latest first", example=[_RULESET]))
async def list_rulesets(request: Request, _user: _reader) -> Response:
    """Return the sets of rules that were brought in."""
    only_known_parameters(request, frozenset(("project",)))
    rulesets = services_of(request).rulesets
    return _json([_shown(item, rulesets.in_use) for item in await rulesets.all()])


@router.post(
    "",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    responses=gives(reference(WaasRuleset), text="It is kept", example=_RULESET),
)
async def bring_in_ruleset(
    request: Request,
    user: _writer,
    use: bool = True,  # noqa: FBT001, FBT002 - as in the query
) -> Response:
    """
    Check a release of the Core Rule Set as a zip archive (at most 8 MiB), and keep it by its digest.

    Connected Defenders get it at once and judge by it, unless `use` is false.
    """
    only_known_parameters(request, frozenset(("project", "use")))
    rulesets = services_of(request).rulesets
    kept = await rulesets.bring_in(await request.body(), author=user.name)
    if use:
        await rulesets.use(kept.hash)
    return _json(_shown(kept, rulesets.in_use))


@router.put(
    "/in-use",
    openapi_extra=takes(WaasRulesetChoice, example={"hash": _RULESET["hash"]}),
    responses=gives(None, text="Defenders get it"),
)
async def use_ruleset(request: Request, _user: _writer) -> Response:
    """Let all Defenders judge by a set of rules that was brought in, or by the one that they come with (null)."""
    only_known_parameters(request, frozenset(("project",)))
    await services_of(request).rulesets.use((await read_body(request, WaasRulesetChoice)).hash)
    return Response()


@router.delete("/{hash}", responses=gives(None, text="Removed"))
async def remove_ruleset(request: Request, hash: str, _user: _writer) -> Response:  # noqa: A002 - as in the path
    """Remove a set of rules, unless it is in use."""
    only_known_parameters(request, frozenset(("project",)))
    await services_of(request).rulesets.remove(hash)
    return Response()


def _shown(item: KeptRuleset, used: UsedRuleset | None) -> WaasRuleset:
    return WaasRuleset(
        hash=item.hash,
        version=item.version,
        files=item.files,
        author=item.author,
        created=rfc3339(item.created),
        in_use=used is not None and used.hash == item.hash,
    )


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
