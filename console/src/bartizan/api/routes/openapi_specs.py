"""OpenAPI documents of protected applications: read into the WAAS policy, and looked through."""

import asyncio
from collections import Counter
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from bartizan.api.document import gives, reference
from bartizan.api.firewall_shapes import SpecScan, WaasApiSpec
from bartizan.api.multipart import parts_of
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.policy.openapi import api_spec_of, read_spec, scan
from bartizan.policy.openapi.checks import SEVERITIES
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1", tags=["waas"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_SOURCES = ("app", "cli", "manual", "")
_LONGEST_DATA = 10_000
_SPEC = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "https://shop.test/api"}],
    "paths": {
        "/items/{id}": {
            "get": {
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
                ],
                "responses": {"200": {"description": "The item"}},
            }
        }
    },
}
_READ = {
    "description": "Shop",
    "endpoints": [
        {"host": "shop.test", "basePath": "/api/*", "exposedPort": 443, "internalPort": 8080, "tls": True}
    ],
    "paths": [
        {
            "path": "/items/{id}",
            "methods": [
                {
                    "method": "GET",
                    "parameters": [
                        {"name": "id", "location": "path", "type": "integer", "style": "simple", "min": 1,
                         "required": True}
                    ],
                }
            ],
        }
    ],
    "effect": "disable",
    "fallbackEffect": "disable",
    "queryParamFallbackEffect": "disable",
}  # fmt: skip
_SCAN = {
    "issues": [
        {
            "id": "global-security-undefined",
            "severity": "HIGH",
            "name": "No security for the whole API",
            "description": "Neither the document nor an operation says how callers prove who they are.",
            "path": "/security",
        }
    ],
    "counts": {"HIGH": 1, "MEDIUM": 0, "LOW": 0, "INFO": 0},
    "source": "cli",
}
_text = {"schema": {"type": "string"}, "example": "openapi: 3.0.3\npaths: {}\n"}
_form = {
    "schema": {
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": {"type": "string", "format": "binary"}, "data": {"type": "string"}},
    },
    "example": {"spec": "openapi: 3.0.3\npaths: {}\n", "data": '{"source":"cli"}'},
}


@router.post(
    "/policies/firewall/app/apispec",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object"}, "example": _SPEC},
                "application/yaml": _text,
                "text/plain": _text,
            },
        }
    },
    responses=gives(reference(WaasApiSpec), text="What the document says, for an application", example=_READ),
)
async def read_api_spec(
    request: Request,
    _user: _reader,
    internalPort: Annotated[int, Query(ge=1, le=65535)] = 8080,  # noqa: N803
) -> Response:
    """Return an OpenAPI document (Swagger 2.0, OpenAPI 3.0 or 3.1, JSON or YAML) as the `apiSpec` of an application."""
    only_known_parameters(request, frozenset(("internalPort", "project")))
    body = await request.body()
    # Off the loop: a large document takes a while.
    found = await asyncio.to_thread(lambda: api_spec_of(read_spec(body), internal_port=internalPort))
    return _json(found)


@router.post(
    "/waas/openapi-scans",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": _form}}},
    responses=gives(reference(SpecScan), text="What was found, the worst first", example=_SCAN),
)
async def scan_api_spec(request: Request, _user: _reader) -> Response:
    """Look through an OpenAPI document for what is careless in it; nothing is kept."""
    only_known_parameters(request, frozenset(("project",)))
    parts = parts_of(await request.body(), request.headers.get("content-type", ""))
    if "spec" not in parts:
        raise InvalidError("the form has no part `spec` with the OpenAPI document")
    source = _source(parts.get("data", b""))
    issues = await asyncio.to_thread(lambda: scan(read_spec(parts["spec"])))
    counts = Counter(issue.severity for issue in issues)
    return _json({"issues": issues, "counts": {name: counts[name] for name in SEVERITIES}, "source": source})


def _source(data: bytes) -> str:
    if not data.strip():
        return ""
    try:
        found: dict[str, Any] = msgspec.json.decode(data[:_LONGEST_DATA], type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidError('`data`: a JSON object is expected, such as {"source":"cli"}') from None
    source = found.get("source", "")
    if source not in _SOURCES:
        raise InvalidError("`data`: the source is `app`, `cli` or `manual`")
    return str(source)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
