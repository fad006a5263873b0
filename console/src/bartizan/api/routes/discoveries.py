"""API discovery: what requests have shown applications to have."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of
from bartizan.api.firewall_shapes import WaasDiscoveredApplication, WaasDiscoveredOperation
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, values
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.discoveries import (
    RISKS,
    DiscoveredApplication,
    DiscoveryKey,
    DiscoveryQuery,
    ShownOperation,
)
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/waas/discovery", tags=["waas"])
_reader = Annotated[User, Depends(Requires(Permission.PROFILES_READ))]
_keeper = Annotated[User, Depends(Requires(Permission.PROFILES_WRITE))]
_Several = Annotated[list[str] | None, Query()]
_One = Annotated[str, Query(min_length=1, max_length=512)]
_OPERATION = {
    "appID": "shop:1",
    "application": "storefront",
    "path": "/orders/{id}",
    "method": "PATCH",
    "hits": 12,
    "firstSeen": "2026-11-21T12:00:00.000Z",
    "lastSeen": "2026-11-21T12:03:20.000Z",
    "statuses": {"200": 12},
    "risks": ["unauthenticated"],
    "shadow": True,
    "query": {"type": "object", "properties": {"dry": {"type": "boolean"}}},
    "body": {"type": "object", "properties": {"count": {"type": "integer"}}},
}
_APPLICATION = {
    "appID": "shop:1",
    "application": "storefront",
    "ruleName": "shop",
    "firstSeen": "2026-11-21T12:00:00.000Z",
    "lastSeen": "2026-11-21T12:03:20.000Z",
    "operations": 1,
    "hits": 12,
    "dropped": 0,
}
_DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "storefront", "version": "1", "description": "What 12 requests to `shop:1` have shown, …"},
    "paths": {
        "/orders/{id}": {
            "patch": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "OK"}},
            }
        }
    },
}


@router.get(
    "",
    responses=gives(
        list_of(WaasDiscoveredOperation), text="One page; `Total-Count` tells how many match", example=[_OPERATION]
    ),
)
async def list_discovered(  # noqa: PLR0913, PLR0917 - one for each filter
    request: Request,
    _user: _reader,
    appID: _Several = None,  # noqa: N803
    application: _Several = None,
    method: _Several = None,
    path: Annotated[str, Query(max_length=1000)] = "",
    risk: _Several = None,
    shadow: bool | None = None,  # noqa: FBT001
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """
    Return discovered operations, by App ID, application and path.

    `path` is a part of the path. Of `risk` (`sensitive`, `unauthenticated`, `unencrypted`) all that are given have to
    be there.
    """
    only_known_parameters(
        request, frozenset(("appID", "application", "method", "path", "risk", "shadow", "offset", "limit", "project"))
    )
    risks = values(risk)
    if wrong := [name for name in risks if name not in RISKS]:
        raise InvalidError(f"`risk`: there is no `{wrong[0][:64]}`, only {', '.join(RISKS)}")
    query = DiscoveryQuery(
        app_ids=values(appID),
        applications=tuple(application or ()),
        methods=tuple(name.upper() for name in values(method)),
        path=path,
        risks=risks,
        shadow=shadow,
        offset=offset,
        limit=limit,
    )
    found, total = await services_of(request).discoveries.page(query)
    return _json([_operation(item) for item in found], headers={"Total-Count": str(total)})


@router.get(
    "/applications",
    responses=gives(list_of(WaasDiscoveredApplication), text="All that match", example=[_APPLICATION]),
)
async def list_discovered_applications(
    request: Request,
    _user: _reader,
    appID: _Several = None,  # noqa: N803
    application: _Several = None,
) -> Response:
    """Return the applications of which operations were discovered, by App ID and name."""
    only_known_parameters(request, frozenset(("appID", "application", "project")))
    query = DiscoveryQuery(app_ids=values(appID), applications=tuple(application or ()))
    found = await services_of(request).discoveries.applications(query)
    return _json([_application(item) for item in found])


@router.get(
    "/openapi",
    responses=gives({"type": "object"}, text="An OpenAPI 3.1 document", example=_DOCUMENT),
)
async def export_discovered(
    request: Request,
    _user: _reader,
    appID: _One,  # noqa: N803
    application: _One,
) -> Response:
    """Return what was discovered of an application as an OpenAPI document, such as `apispec` takes."""
    only_known_parameters(request, frozenset(("appID", "application", "project")))
    key = DiscoveryKey(app_id=appID, application=application)
    return _json(await services_of(request).discoveries.openapi(key))


@router.delete("", responses=gives(None, text="It is forgotten"))
async def forget_discovered(
    request: Request,
    _user: _keeper,
    appID: _One,  # noqa: N803
    application: _One,
) -> Response:
    """Forget what was discovered of an application, so that it is learnt anew."""
    only_known_parameters(request, frozenset(("appID", "application", "project")))
    await services_of(request).discoveries.forget(DiscoveryKey(app_id=appID, application=application))
    return Response()


def _operation(item: ShownOperation) -> WaasDiscoveredOperation:
    operation = item.operation
    return WaasDiscoveredOperation(
        app_id=item.key.app_id,
        application=item.key.application,
        path=operation.path,
        method=operation.method,
        hits=operation.hits,
        first_seen=rfc3339(operation.first_seen),
        last_seen=rfc3339(operation.last_seen),
        statuses=operation.statuses,
        risks=[risk for risk in RISKS if getattr(operation, risk)],
        shadow=item.shadow,
        query=msgspec.to_builtins(operation.query),
        body=msgspec.to_builtins(operation.body),
    )


def _application(item: DiscoveredApplication) -> WaasDiscoveredApplication:
    return WaasDiscoveredApplication(
        app_id=item.key.app_id,
        application=item.key.application,
        rule_name=item.rule,
        first_seen=rfc3339(item.first_seen),
        last_seen=rfc3339(item.last_seen),
        operations=item.operations,
        hits=item.hits,
        dropped=item.dropped,
    )


def _json(value: object, *, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)
