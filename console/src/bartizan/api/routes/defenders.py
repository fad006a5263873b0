"""Defenders: install bundles, protected task definitions, and who is there."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, values
from bartizan.api.shapes import (
    BundleGenerationAnswer,
    Defender,
    DefenderFirewall,
    DefenderFirewallPort,
    DefenderOpenPort,
    DefenderRuleset,
    DefenderWorkload,
    InstallBundleAnswer,
)
from bartizan.audit.runtime_audit import rfc3339
from bartizan.embed import TaskChoices
from bartizan.policy import Workload
from bartizan.services.defenders import DefenderQuery
from bartizan.services.errors import InvalidError
from bartizan.services.firewall import Firewall
from bartizan.services.interfaces import DefenderRecord, User
from bartizan.services.policies import Policies
from bartizan.services.protect_task import LookUpRequest

router = APIRouter(prefix="/api/v1/defenders", tags=["defenders"])
_reader = Annotated[User, Depends(Requires(Permission.DEFENDERS_READ))]
_embedder = Annotated[User, Depends(Requires(Permission.DEFENDERS_EMBED))]
_keeper = Annotated[User, Depends(Requires(Permission.DEFENDERS_MANAGE))]
_LONGEST_HEADER = 6000
_KINDS = ("fargate", "appEmbedded")
_FARGATE = frozenset(
    ("consoleaddr", "defenderType", "interpreter", "cloudFormation", "filesystemMonitoring", "filestemMonitoring",
     "extractEntrypoint", "registryType", "registryCredentialID", "defenderImage", "defenderImagePullSecret",
     "compat", "allow32bit", "findPrivileged", "installBundleSecret", "waasPorts", "project")
)  # fmt: skip
_SYNTAXES = {"application/json": {"schema": {"type": "object"}}, "text/yaml": {"schema": {"type": "string"}}}
_TASK = {"requestBody": {"required": True, "content": _SYNTAXES}}
_PROTECTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The protected task definition, in the syntax of the one given", "content": _SYNTAXES}
}


@router.get("/install-bundle", responses=gives(reference(InstallBundleAnswer), text="The bundle"))
async def install_bundle(
    request: Request,
    _user: _embedder,
    consoleaddr: str = "",
    defenderType: str = "",  # noqa: N803
) -> Response:
    """Return the install bundle for one address of the Console, by default the one that this request went to."""
    only_known_parameters(request, _FARGATE)
    _check_type(defenderType)
    services = services_of(request)
    bundle = services.bundles.install_bundle(consoleaddr or request.url.netloc)
    answer = InstallBundleAnswer(
        bundle=bundle.text,
        install_bundle=bundle.text,
        ws_address=bundle.ws_address,
        defender_image=services.protect_task.defender_image,
        defender_architectures=sorted(services.binaries),
        version=services.version,
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.get("/install-bundles", responses=gives(list_of(BundleGenerationAnswer), text="All generations"))
async def install_bundles(request: Request, _user: _keeper) -> Response:
    """Return the generations of install bundles, without their secrets."""
    answer = [
        BundleGenerationAnswer(
            id=item.id, created=rfc3339(item.created), revoked=rfc3339(item.revoked) if item.revoked else None
        )
        for item in services_of(request).bundles.all()
    ]
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.delete("/install-bundles/{bundle}", responses=gives(None, text="Revoked"))
async def revoke_install_bundle(request: Request, bundle: str, _user: _keeper) -> Response:
    """Revoke a generation of install bundles: nobody enrols with it any more, and its Defenders are cut off."""
    await services_of(request).bundles.revoke(bundle)
    return Response()


@router.post("/fargate.json", openapi_extra=_TASK, responses=_PROTECTED)
@router.post("/fargate.yaml", openapi_extra=_TASK, responses=_PROTECTED)
async def protect_fargate(  # noqa: PLR0913, PLR0917 - these are the vendor's parameters
    request: Request,
    _user: _embedder,
    consoleaddr: str = "",
    defenderType: str = "",  # noqa: N803
    interpreter: str = "",  # noqa: ARG001 - accepted, see below
    cloudFormation: bool = False,  # noqa: ARG001, FBT001, FBT002, N803 - accepted, see below
    filesystemMonitoring: bool = False,  # noqa: FBT001, FBT002, N803
    filestemMonitoring: bool = False,  # noqa: FBT001, FBT002, N803 - the vendor misspells it
    extractEntrypoint: bool = False,  # noqa: FBT001, FBT002, N803
    registryType: str = "",  # noqa: N803
    registryCredentialID: str = "",  # noqa: N803
    defenderImage: str = "",  # noqa: N803
    defenderImagePullSecret: str = "",  # noqa: N803
    compat: Annotated[list[str] | None, Query()] = None,
    allow32bit: bool = False,  # noqa: FBT001, FBT002
    findPrivileged: bool = False,  # noqa: FBT001, FBT002, N803
    installBundleSecret: str = "",  # noqa: N803
    waasPorts: Annotated[list[str] | None, Query()] = None,  # noqa: N803
) -> Response:
    """
    Protect an ECS task definition, JSON or YAML; the answer has the syntax of what was sent, whichever the path.

    With `extractEntrypoint` images say what containers start, where the definition does not; `registryCredentialID`
    opens the registries that the credential is for. `cloudFormation` and `interpreter` are accepted and without effect:
    a template is recognised by itself, and our Defender needs no shell in the image.

    The last five are ours. `compat` (repeated for several) selects containers whose programs may gain rights,
    `findPrivileged` looks for images that have such programs. `installBundleSecret` is the ARN of a secret that holds
    the install bundle, which is then left out. `waasPorts` (`EXPOSED:APP`, repeated for several) lets the firewall take
    the port EXPOSED and pass on to the application's. What people should know is in the header `Bartizan-Warnings`, a
    list in JSON.
    """
    only_known_parameters(request, _FARGATE)
    _check_type(defenderType)
    if not (extractEntrypoint or findPrivileged) and (registryType or registryCredentialID):
        raise InvalidError("`registryType` and `registryCredentialID` are for look-ups: add `extractEntrypoint=true`")
    look_up = LookUpRequest(registry_type=registryType, credential=registryCredentialID)
    protected = await services_of(request).protect_task.protect(
        await request.body(),
        console=consoleaddr or request.url.netloc,
        defender_image=defenderImage or None,
        choices=TaskChoices(
            image_pull_secret=defenderImagePullSecret or None,
            install_bundle_secret=installBundleSecret or None,
            filesystem_monitoring=filesystemMonitoring or filestemMonitoring,
            compat=tuple(compat or ()),
            allow_32bit=allow32bit,
            waas_ports=tuple(waasPorts or ()),
        ),
        look_up=look_up if extractEntrypoint else None,
        find_privileged=look_up if findPrivileged else None,
    )
    headers = {"Bartizan-Warnings": _warnings(protected.warnings)} if protected.warnings else {}
    return Response(protected.text, media_type=_media_type(protected.text), headers=headers)


@router.get("", responses=gives(list_of(Defender), text="One page; `Total-Count` tells how many match"))
async def list_defenders(
    request: Request,
    _user: _reader,
    type: Annotated[list[str] | None, Query()] = None,  # noqa: A002
    connected: bool | None = None,  # noqa: FBT001 - a query parameter
    hostname: Annotated[list[str] | None, Query()] = None,
    search: Annotated[str, Query(max_length=1000)] = "",
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return Defenders: connected ones first, then by their last contact."""
    only_known_parameters(request, frozenset(("type", "connected", "hostname", "search", "offset", "limit")))
    kinds = values(type)
    if not set(kinds) <= set(_KINDS):
        raise InvalidError(f"`type`: possible are {', '.join(_KINDS)}")
    query = DefenderQuery(
        kinds=kinds, connected=connected, hostnames=values(hostname), search=search, offset=offset, limit=limit
    )
    records, total = services_of(request).defenders.page(query)
    services = services_of(request)
    body = msgspec.json.encode([_shown(record, services.policies, services.firewall) for record in records])
    return Response(body, media_type="application/json", headers={"Total-Count": str(total)})


def _warnings(warnings: Sequence[str]) -> str:
    """Return warnings as a header may hold them: JSON in ASCII, no longer than clients take."""
    shown = list(warnings)
    while len(json.dumps(shown)) > _LONGEST_HEADER:
        shown = [*shown[:-2], "there are more: the command line tells them all"]
    return json.dumps(shown)


def _media_type(text: bytes) -> str:
    """Return what a definition is written in: JSON begins with a brace, perhaps after a byte order mark."""
    is_json = text.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    return "application/json" if is_json else "text/yaml"


def _check_type(kind: str) -> None:
    if kind not in ("", *_KINDS):
        raise InvalidError(f"`defenderType`: possible are {', '.join(_KINDS)}")


def _shown(record: DefenderRecord, policies: Policies, firewall: Firewall) -> Defender:
    return Defender(
        id=record.instance,
        type="fargate" if record.kind == "fargate" else "appEmbedded",
        hostname=record.app_id,
        app_id=record.app_id,
        host=record.hostname,
        task=record.task,
        connected=record.connected,
        version=record.version,
        architecture=record.architecture,
        is_arm64=record.architecture in ("arm64", "aarch64"),
        first_seen=rfc3339(record.first_seen),
        last_modified=rfc3339(record.last_seen),
        certificate_expiration=rfc3339(record.certificate_end),
        goodbye=record.goodbye,
        workloads=[
            DefenderWorkload(
                container=workload.container,
                image=workload.image,
                policy_hash=workload.policy_hash,
                desired_policy_hash=policies.resolve(
                    Workload(app_id=record.app_id, container=workload.container, image=workload.image)
                ).hash,
                tier=workload.tier,
                tier_reasons=workload.tier_reasons,
                dropped=workload.dropped,
            )
            for workload in record.workloads
        ],
        waas=_firewall(record, firewall),
    )


def _firewall(record: DefenderRecord, firewall: Firewall) -> DefenderFirewall | None:
    if record.firewall is None:
        return None
    scopes = tuple(
        Workload(app_id=record.app_id, container=item.container, image=item.image) for item in record.workloads
    )
    found = record.firewall.ruleset
    return DefenderFirewall(
        policy_hash=record.firewall.hash,
        desired_policy_hash=firewall.resolve(scopes or (Workload(app_id=record.app_id),)).hash,
        error=record.firewall.error,
        ports=[DefenderFirewallPort(exposed=exposed, internal=internal) for exposed, internal in record.firewall.ports],
        ruleset=None if found is None else DefenderRuleset(**{**found, "left_out": list(found.get("left_out", ()))}),
        open_ports=[DefenderOpenPort(port=port, covered=covered) for port, covered in record.firewall.open_ports],
        counters=record.firewall.counters,
    )
