"""An OpenAPI document of what was discovered, such as `apiSpec` is made of again."""

import http
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from bartizan.policy.discovery.operations import Operation
from bartizan.policy.discovery.paths import is_open
from bartizan.policy.discovery.shape import Kind, Shape, kinds_of
from bartizan.policy.openapi.convert import MOST_IN_ALL
from bartizan.policy.openapi.reading import LARGEST

VERSION = "3.1.0"
"""In this version a schema may have several types, as what was seen does (OpenAPI 3.1.0, "Schema Object")."""
_SUBDELIMITERS = "!$&'()+,;=:@"
_LONGEST_PATH = 1000
# For what stands around the operations.
_FRAME = 32 * 1024
_NUMBERS = frozenset[Kind](("integer", "number"))


def openapi_of(
    operations: Iterable[Operation], *, title: str, description: str, endpoints: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """
    Return the document; `endpoints` are those of the application in the WAAS policy, and become its servers.

    It is never larger than what `read_spec` and `api_spec_of` take: the most used operations are in it for certain,
    shapes of others may be left out, or the others themselves, which `info.description` tells. Parameters and bodies
    are never required: that nobody left one out does not say that nobody may.
    """
    found, left_out, bare = _fitting(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation, shown in sorted(found, key=lambda item: item[0].key):
        paths.setdefault(_path(operation.path), {})[operation.method.lower()] = shown
    notes = [
        f"{count} {what} left out to keep the document small."
        for count, what in ((left_out, "operations were"), (bare, "operations' parameters and bodies were"))
        if count
    ]
    document: dict[str, Any] = {
        "openapi": VERSION,
        "info": {"title": title, "version": "1", "description": " ".join((description, *notes))},
        "paths": paths,
    }
    servers = list(_servers(endpoints))
    return {**document, "servers": servers} if servers else document


def _fitting(operations: Iterable[Operation]) -> tuple[list[tuple[Operation, dict[str, Any]]], int, int]:
    """Return the operations that fit, how many do not, and how many only without their shapes."""
    room, parameters = LARGEST - _FRAME, MOST_IN_ALL
    found, left_out, bare = [], 0, 0
    for operation in sorted(operations, key=lambda item: (-item.hits, item.key)):
        path = _path(operation.path)
        plain = msgspec.structs.replace(operation, query=Shape(), body=Shape())
        for attempt in dict.fromkeys((operation.names, 0)):
            shown = _shown(operation if attempt else plain)
            size = _written_size(shown) + len(path) + 64
            count = len(shown.get("parameters", ())) + attempt + 1
            if size <= room and count <= parameters and len(path) <= _LONGEST_PATH:
                room, parameters = room - size, parameters - count
                bare += attempt < operation.names
                found.append((operation, shown))
                break
        else:
            left_out += 1
    return found, left_out, bare


def _written_size(shown: Mapping[str, Any]) -> int:
    """Return how much an operation takes when the document is written for people, three levels below its top."""
    text = msgspec.json.format(msgspec.json.encode(shown), indent=2)
    return len(text) + 6 * (text.count(b"\n") + 1)


def _shown(operation: Operation) -> dict[str, Any]:
    parameters = [*_path_parameters(operation.path), *_query_parameters(operation.query)]
    body = {"content": {"application/json": {"schema": operation.body}}}
    found: dict[str, Any] = msgspec.to_builtins(
        {
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": body} if operation.body != Shape() else {}),
            "responses": {
                status: {"description": _phrase(status)} for status in sorted(operation.statuses) or ("default",)
            },
        }
    )
    return found


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for segment in path.split("/"):
        if is_open(segment):
            yield {"name": segment[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(query: Shape) -> Iterator[dict[str, Any]]:
    for name, shape in query.properties.items():
        if name and name.isprintable():
            kind = _text_kind(kinds_of(shape))
            # A text may be nothing, and what was seen does not tell whether it was.
            empty = {"allowEmptyValue": True} if kind == "string" else {}
            yield {"name": name, "in": "query", **empty, "schema": {"type": kind}}


def _text_kind(kinds: frozenset[Kind]) -> Kind:
    """Return the one kind of texts that were read as several: any text is a string."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "number" if kinds and kinds <= _NUMBERS else "string"


def _path(path: str) -> str:
    """Return a path as OpenAPI has it: what is no name in braces is percent-encoded (RFC 3986, section 3.3)."""
    return "/".join(part if is_open(part) else quote(part, safe=_SUBDELIMITERS) for part in path.split("/"))


def _phrase(status: str) -> str:
    try:
        return http.HTTPStatus(int(status)).phrase
    except ValueError:
        return "Answered"


def _servers(endpoints: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the endpoints as servers; paths are whole, so no base path is in them."""
    seen = set()
    for endpoint in endpoints:
        host, port = endpoint["host"], endpoint["exposedPort"]
        scheme = "https" if endpoint["tls"] else "http"
        if not port or (host, port, scheme) in seen:
            continue
        seen.add((host, port, scheme))
        if "*" in host or (":" in host and not host.startswith("[")):
            variables = {"host": {"default": "localhost"}}
            yield {"url": f"{scheme}://{{host}}:{port}", "variables": variables}
        else:
            yield {"url": f"{scheme}://{host}:{port}"}
