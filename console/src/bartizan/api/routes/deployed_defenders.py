"""The Defenders that are there: pages, counts, CSV, one by one, and shutting one out."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from bartizan.api.context import services_of
from bartizan.api.csv_text import csv_text
from bartizan.api.defender_shapes import (
    Defender,
    DefenderFacets,
    DefenderFirewall,
    DefenderFirewallPort,
    DefenderGap,
    DefenderOpenPort,
    DefenderRuleset,
    DefenderSummary,
    DefenderWorkload,
)
from bartizan.api.document import gives, list_of, reference
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, values
from bartizan.api.scoping import visible_defenders
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.defender_state import Connection, GapKind, Sync
from bartizan.services.deployed import Deployed, DeployedQuery
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/defenders", tags=["defenders"])
_reader = Annotated[User, Depends(Requires(Permission.DEFENDERS_READ, scoped=True))]
_keeper = Annotated[User, Depends(Requires(Permission.DEFENDERS_MANAGE))]
_Several = Annotated[list[str] | None, Query()]
_KINDS = ("fargate", "appEmbedded")
_POSSIBLE = {
    "type": _KINDS,
    "state": tuple(Connection),
    "sync": tuple(Sync),
    "gap": tuple(GapKind),
    "certificateEnds": ("soon",),
}
_FILTERS = frozenset(
    ("type", "state", "sync", "version", "latest", "architecture", "appID", "gap", "certificateEnds", "bundle",
     "connected", "hostname", "search", "isARM64")
)  # fmt: skip
_COLUMNS = (
    "hostname", "type", "state", "sync", "version", "latest", "architecture", "host", "task", "firstSeen",
    "connectedSince", "lastModified", "removal", "certificateExpiration", "goodbye", "auditCount", "lastAudit",
    "containers", "gaps", "id",
)  # fmt: skip
_ARM64 = ("arm64", "aarch64")
_AT_ONCE = 250


def defender_filter(  # noqa: PLR0913, PLR0917 - one for each parameter
    type: _Several = None,  # noqa: A002
    state: _Several = None,
    sync: _Several = None,
    version: _Several = None,
    architecture: _Several = None,
    appID: _Several = None,  # noqa: N803
    gap: _Several = None,
    certificateEnds: _Several = None,  # noqa: N803
    bundle: _Several = None,
    hostname: _Several = None,
    latest: bool | None = None,  # noqa: FBT001 - a query parameter
    connected: bool | None = None,  # noqa: FBT001 - a query parameter
    isARM64: bool | None = None,  # noqa: FBT001, N803 - a query parameter
    search: Annotated[str, Query(max_length=1000)] = "",
) -> DeployedQuery:
    """Return the filter of a request: alternatives may be repeated or separated by commas."""
    facets = {
        "type": values(type),
        "state": values(state),
        "sync": values(sync),
        "version": values(version),
        "architecture": values(architecture),
        "appID": values(appID),
        "gap": values(gap),
        "certificateEnds": values(certificateEnds),
        "bundle": values(bundle),
    }
    for name, possible in _POSSIBLE.items():
        if not set(facets[name]) <= set(possible):
            raise InvalidError(f"`{name}`: possible are {', '.join(possible)}")
    if latest is not None:
        facets["latest"] = ("true" if latest else "false",)
    if isARM64 is not None:
        wanted = set(_ARM64) if isARM64 else {"amd64", "x86_64"}
        facets["architecture"] = tuple(wanted & set(facets["architecture"] or wanted)) or ("none",)
    set_ones = {name: alternatives for name, alternatives in facets.items() if alternatives}
    return DeployedQuery(facets=set_ones, connected=connected, hostnames=values(hostname), search=search)


def scoped_filter(
    request: Request, user: _reader, query: Annotated[DeployedQuery, Depends(defender_filter)]
) -> DeployedQuery:
    """Return the filter of a request, within what its user may see."""
    return dataclasses.replace(query, visible=visible_defenders(request, user, Permission.DEFENDERS_READ))


_Filter = Annotated[DeployedQuery, Depends(scoped_filter)]


@router.get("", responses=gives(list_of(Defender), text="One page; `Total-Count` tells how many match"))
async def list_defenders(
    request: Request,
    _user: _reader,
    query: _Filter,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return Defenders: connected ones first, then by their last contact."""
    only_known_parameters(request, _FILTERS | {"offset", "limit"})
    found, total = services_of(request).deployed.page(dataclasses.replace(query, offset=offset, limit=limit))
    body = msgspec.json.encode([_shown(item) for item in found])
    return Response(body, media_type="application/json", headers={"Total-Count": str(total)})


@router.get("/facets", responses=gives(reference(DefenderFacets), text="The counts"))
async def count_defenders(request: Request, _user: _reader, query: _Filter) -> Response:
    """Return how many Defenders have each value of what they can be filtered by."""
    only_known_parameters(request, _FILTERS)
    return _json(services_of(request).deployed.facets(query))


@router.get("/summary", responses=gives(list_of(DefenderSummary), text="One for each category"))
async def summarise_defenders(request: Request, user: _reader) -> Response:
    """Return how many Defenders of each category there are, and are connected."""
    only_known_parameters(request, frozenset())
    visible = visible_defenders(request, user, Permission.DEFENDERS_READ)
    found = services_of(request).deployed.all(DeployedQuery(visible=visible))
    answer = [
        DefenderSummary(
            category=kind,
            deployed=sum(item.record.kind == kind for item in found),
            connected=sum(item.record.kind == kind and item.record.connected for item in found),
        )
        for kind in ("fargate", "appEmbedded")
    ]
    return _json(answer)


@router.get("/names", responses=gives({"type": "array", "items": {"type": "string"}}, text="The App IDs"))
async def name_defenders(request: Request, _user: _reader, query: _Filter) -> Response:
    """Return the App IDs of the Defenders that match, each once, in their order."""
    only_known_parameters(request, _FILTERS)
    return _json(sorted({item.record.app_id for item in services_of(request).deployed.all(query)}))


@router.get("/download", responses=gives({"type": "string"}, media="text/csv", text="All that match, as CSV"))
async def download_defenders(request: Request, _user: _reader, query: _Filter) -> Response:
    """Return all Defenders that match as comma-separated values, one line each."""
    only_known_parameters(request, _FILTERS)
    found = services_of(request).deployed.all(query)
    headers = {"Content-Disposition": 'attachment; filename="defenders.csv"'}
    return StreamingResponse(_csv(found), media_type="text/csv", headers=headers)


@router.get("/{defender}", responses=gives(reference(Defender), text="The Defender"))
async def get_defender(request: Request, defender: str, user: _reader) -> Response:
    """Return one Defender."""
    only_known_parameters(request, frozenset())
    found = services_of(request).deployed.one(defender)
    visible = visible_defenders(request, user, Permission.DEFENDERS_READ)
    if visible is not None and not visible(found.record):
        raise MissingError(f"there is no Defender `{defender[:64]}`")
    return _json(_shown(found))


@router.post("/{defender}/disconnect", responses=gives(None, text="Its session ends"))
async def disconnect_defender(request: Request, defender: str, _user: _keeper) -> Response:
    """End a Defender's session; it connects again by itself, and its workload goes on under the policy it has."""
    services_of(request).defenders.disconnect(defender)
    return Response()


@router.delete("/{defender}", responses=gives(None, text="It is shut out"))
async def revoke_defender(request: Request, defender: str, _user: _keeper) -> Response:
    """
    Shut a Defender out: its certificate is worth nothing any more, and it is no longer listed.

    Its workload stays under the policy that it has. A new task with the same install bundle is another Defender: revoke
    the bundle to keep those out too.
    """
    await services_of(request).defenders.revoke(defender)
    return Response()


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _csv(found: Sequence[Deployed]) -> Iterator[str]:
    yield csv_text(_COLUMNS, ())
    for start in range(0, len(found), _AT_ONCE):
        yield csv_text(_COLUMNS, [_row(item) for item in found[start : start + _AT_ONCE]], header=False)


def _row(item: Deployed) -> dict[str, object]:
    shown = _shown(item)
    containers = " ".join(workload.container or "" for workload in shown.workloads)
    gaps = "; ".join(f"{gap.name}: {gap.reason}".removeprefix(": ") for gap in shown.gaps)
    row: dict[str, object] = msgspec.to_builtins(shown)
    return row | {"containers": containers, "gaps": gaps}


def _shown(item: Deployed) -> Defender:
    record = item.record
    return Defender(
        id=record.instance,
        type="fargate" if record.kind == "fargate" else "appEmbedded",
        hostname=record.app_id,
        app_id=record.app_id,
        host=record.hostname,
        task=record.task,
        connected=record.connected,
        state=item.connection.value,
        sync=item.sync.value,
        version=record.version,
        latest=item.latest,
        architecture=record.architecture,
        is_arm64=record.architecture in _ARM64,
        first_seen=rfc3339(record.first_seen),
        connected_since=rfc3339(record.since) if record.since else None,
        last_modified=rfc3339(record.last_seen),
        removal=rfc3339(item.leaves) if item.leaves is not None else None,
        certificate_expiration=rfc3339(record.certificate_end),
        certificate_ends_soon=item.ends_soon,
        bundle=record.bundle,
        goodbye=record.goodbye,
        audit_count=record.audits,
        last_audit=rfc3339(record.last_audit) if record.last_audit else None,
        gaps=[DefenderGap(kind=gap.kind.value, name=gap.name, reason=gap.reason) for gap in item.gaps],
        workloads=_workloads(item),
        waas=_firewall(item),
    )


def _workloads(item: Deployed) -> list[DefenderWorkload]:
    return [
        DefenderWorkload(
            container=workload.container,
            image=workload.image,
            policy_hash=workload.policy_hash,
            desired_policy_hash=wanted.hash,
            tier=workload.tier,
            tier_reasons=workload.tier_reasons,
            dropped=workload.dropped,
            rule=wanted.rule or "",
            instance=workload.instance,
        )
        for workload, wanted in zip(item.record.workloads, item.wanted.workloads, strict=True)
    ]


def _firewall(item: Deployed) -> DefenderFirewall | None:
    firewall = item.record.firewall
    if firewall is None:
        return None
    found = firewall.ruleset
    return DefenderFirewall(
        policy_hash=firewall.hash,
        desired_policy_hash=item.wanted.firewall or "",
        error=firewall.error,
        ports=[DefenderFirewallPort(exposed=exposed, internal=internal) for exposed, internal in firewall.ports],
        ruleset=None if found is None else DefenderRuleset(**{**found, "left_out": list(found.get("left_out", ()))}),
        open_ports=[DefenderOpenPort(port=port, covered=covered) for port, covered in firewall.open_ports],
        counters=firewall.counters,
    )
