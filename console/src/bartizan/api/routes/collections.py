"""Collections: named scopes, what uses them, and what they cover now."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.collection_shapes import (
    CollectionDocument,
    CollectionMatch,
    CollectionPreview,
    CollectionScope,
    CollectionUsage,
)
from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.policy.render import stored_collection_document
from bartizan.policy.scopes import parse_collection, parse_scope
from bartizan.services.collections import Covered, covered
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/collections", tags=["collections"])
_reader = Annotated[User, Depends(Requires(Permission.COLLECTIONS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.COLLECTIONS_WRITE))]
_PROJECT = frozenset(("project",))
_MOST_SHOWN = 100
_GIVEN = {
    "name": "shop",
    "description": "The shop in production, without its jobs",
    "color": "#2a7de1",
    "appIDs": ["shop:*"],
    "images": ["*", "-*/shop-jobs:*"],
    "labels": ["environment:production"],
}
_SHOWN = {
    **_GIVEN,
    **{key: ["*"] for key in ("containers", "accountIDs", "clusters", "hosts", "functions", "namespaces")},
    "owner": "admin",
    "modified": "2026-01-31T09:30:00Z",
    "system": False,
    "prisma": False,
}
_PREVIEW = {
    "total": 1,
    "defenders": 1,
    "connected": 4,
    "matches": [
        {"id": "9f86d081884c7d659a2feaa0c55ad015", "appID": "shop:1", "container": "web", "image": "shop:1.4"},
    ],
}


@router.get("", responses=gives(list_of(CollectionDocument), text="All collections", example=[_SHOWN]))
async def list_collections(request: Request, _user: _reader) -> Response:
    """Return the collections: the built-in `All`, then by their names."""
    only_known_parameters(request, _PROJECT)
    return _json([stored_collection_document(item) for item in services_of(request).collections.all()])


@router.post("", openapi_extra=takes(CollectionScope, example=_GIVEN), responses=gives(None, text="Kept"))
async def add_collection(request: Request, user: _writer) -> Response:
    """Add a collection; a field that is left out is `["*"]`."""
    only_known_parameters(request, _PROJECT)
    collection = parse_collection(await request.body())
    await services_of(request).collections.put(collection, author=user.name, new=True)
    return Response()


@router.post(
    "/preview",
    openapi_extra=takes(CollectionScope, example=_GIVEN),
    responses=gives(reference(CollectionPreview), text="What it covers now", example=_PREVIEW),
)
async def preview_collection(request: Request, _user: _reader) -> Response:
    """Return the workloads of connected Defenders that a scope covers now; nothing is kept. At most 100 are listed."""
    only_known_parameters(request, _PROJECT)
    scope = parse_scope(await request.body())
    records = services_of(request).defenders.connected_records()
    found = await asyncio.to_thread(covered, scope, records)
    preview = CollectionPreview(
        total=len(found),
        defenders=len({item.defender.instance for item in found}),
        connected=len(records),
        matches=[_match(item) for item in found[:_MOST_SHOWN]],
    )
    return _json(preview)


@router.get("/{name}", responses=gives(reference(CollectionDocument), text="The collection", example=_SHOWN))
async def get_collection(request: Request, name: str, _user: _reader) -> Response:
    """Return one collection."""
    only_known_parameters(request, _PROJECT)
    return _json(stored_collection_document(services_of(request).collections.named(name)))


@router.put("/{name}", openapi_extra=takes(CollectionScope, example=_GIVEN), responses=gives(None, text="Kept"))
async def put_collection(request: Request, name: str, user: _writer) -> Response:
    """Replace a collection; every policy that names it is in force with the new scope at once."""
    only_known_parameters(request, _PROJECT)
    collection = parse_collection(await request.body(), name=name)
    await services_of(request).collections.put(collection, author=user.name, new=False)
    return Response()


@router.delete("/{name}", responses=gives(None, text="Removed"))
async def remove_collection(request: Request, name: str, _user: _writer) -> Response:
    """Remove a collection that nothing uses; otherwise the refusal names what does."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).collections.remove(name)
    return Response()


@router.get(
    "/{name}/usages",
    responses=gives(
        list_of(CollectionUsage),
        text="What uses it",
        example=[{"type": "policy", "name": "shop", "policy": "runtime"}],
    ),
)
async def list_collection_usages(request: Request, name: str, _user: _reader) -> Response:
    """Return what uses a collection: rules of policies, users, groups, registries and settings."""
    only_known_parameters(request, _PROJECT)
    usages = services_of(request).collections.usages(name)
    return _json([CollectionUsage(type=item.kind, name=item.name, policy=item.policy) for item in usages])


def _match(item: Covered) -> CollectionMatch:
    workload = item.workload
    return CollectionMatch(
        id=item.defender.instance,
        app_id=workload.app_id,
        image=workload.image,
        container=workload.container,
        labels=list(workload.labels),
        account_id=workload.account_id,
        cluster=workload.cluster,
    )


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
