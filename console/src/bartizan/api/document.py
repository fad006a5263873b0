"""The OpenAPI document: routes say which shapes go in and out, and the shapes' schemas are put beside them."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from bartizan.api.permissions import COOKIE, Permission, Requires
from bartizan.api.shapes import ALL, Problem

_WAYS_IN: list[dict[str, list[str]]] = [{"basic": []}, {"bearer": []}, {"cookie": []}]
_REFERENCE = "#/components/schemas/{name}"


def takes(shape: type, *, media: str = "application/json", example: object = None) -> dict[str, Any]:
    """Return what a route adds to its operation to say that its body has this shape."""
    return {"requestBody": {"required": True, "content": {media: _content(reference(shape), example)}}}


def gives(
    schema: dict[str, Any] | None,
    *,
    media: str = "application/json",
    text: str = "Done",
    example: object = None,
    also: tuple[str, ...] = (),
) -> dict[int | str, Any]:
    """Return a route's `responses` for an answer with this schema; None is an empty body, `also` are further types."""
    if schema is None:
        return {200: {"description": text}}
    # In its other forms the answer is any text.
    others: dict[str, Any] = {other: {} for other in also}
    return {200: {"description": text, "content": {media: _content(schema, example), **others}}}


def _content(schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def reference(shape: type) -> dict[str, Any]:
    """Return the schema that points at a shape."""
    return {"$ref": _REFERENCE.format(name=shape.__name__)}


def list_of(shape: type) -> dict[str, Any]:
    """Return the schema of a list of a shape."""
    return {"type": "array", "items": reference(shape)}


def build(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, components = msgspec.json.schema_components(ALL, ref_template=_REFERENCE)
    document["components"] = {
        # Through JSON, for the default of a tuple is no JSON value.
        "schemas": msgspec.json.decode(msgspec.json.encode(dict(sorted(components.items())))),
        "securitySchemes": {
            "basic": {"type": "http", "scheme": "basic"},
            "bearer": {"type": "http", "scheme": "bearer"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        },
    }
    refusal = {"description": "Refused", "content": {"application/json": {"schema": reference(Problem)}}}
    needed = permissions(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            _without_default(operation["responses"])
            operation["responses"]["default"] = refusal
            permission = needed[method.upper(), path]
            operation["x-permission"] = permission.value
            operation["security"] = [] if permission is Permission.PUBLIC else _WAYS_IN
    return document


def _without_default(responses: dict[str, Any]) -> None:
    """Take out the JSON of any shape that FastAPI puts into every answer, also into empty ones and into files."""
    for answer in responses.values():
        content = answer.get("content", {})
        if content.get("application/json") == {"schema": {}}:
            del content["application/json"]
            if not content:
                del answer["content"]


def permissions(app: FastAPI) -> dict[tuple[str, str], Permission]:
    """Return the permission of every (method, path). Raises LookupError for a route that declares none, or two."""
    found: dict[tuple[str, str], Permission] = {}
    for route in app.routes:
        dependant = getattr(route, "dependant", None)
        calls = [dependency.call for dependency in dependant.dependencies] if dependant is not None else []
        declared = [call.permission for call in calls if isinstance(call, Requires)]
        path, methods = getattr(route, "path_format", repr(route)), getattr(route, "methods", None) or {"?"}
        if len(declared) != 1:
            raise LookupError(f"the route `{path}` declares {len(declared)} permissions instead of one")
        found.update({(method, path): declared[0] for method in methods})
    return found
