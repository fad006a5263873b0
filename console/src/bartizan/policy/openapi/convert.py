"""From an OpenAPI document to the `apiSpec` of an application: endpoints, paths, methods and their parameters."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from bartizan.policy.firewall.application import (
    MOST_PARAMETERS,
    MOST_PATHS,
    PARAMETER_TYPES,
    STYLES,
    api_spec,
)
from bartizan.policy.openapi.reading import Spec
from bartizan.policy.openapi.schemas import Schemas
from bartizan.policy.reading import PolicyError

DEEPEST_SCHEMA = 8
"""How deep properties of a body are looked into; a schema that holds itself ends there at the latest."""
MOST_IN_ALL = 20_000
_PORTS = {"https": (443, True), "http": (80, False)}
_BODIES = {
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/x-www-form-urlencoded": "formData",
    "multipart/form-data": "multipart",
}
_DEFAULT_STYLES = {"query": "form", "cookie": "form", "path": "simple", "header": "simple"}
_COLLECTIONS = {
    "csv": "form",
    "ssv": "spaceDelimited",
    "tsv": "tabDelimited",
    "pipes": "pipeDelimited",
    "multi": "form",
}
# A path of so many names, each as long, is a name of a parameter.
_LONGEST_NAME = 120
_MOST_STEPS = 200_000
_PLACES = ("path", "query", "cookie", "header")


def api_spec_of(spec: Spec, *, internal_port: int = 8080) -> dict[str, Any]:
    """
    Return the `apiSpec` of a document, to be put into an application; effects are still off.

    Bodies are taken apart by their properties: `/user/name` is `name` within `user`. Ports of endpoints come from the
    servers' URLs, the application's own port is not in a document. Raises PolicyError for a document too large.
    """
    paths: dict[str, dict[str, Any]] = {}
    total = 0
    bodies, schemas = _Properties(spec), Schemas(spec)
    for path, method, item, operation in spec.operations():
        parameters = [*_parameters(spec, bodies, item, operation), *_whole_body(spec, schemas, item, operation)]
        total += len(parameters)
        if len(parameters) > MOST_PARAMETERS or total > MOST_IN_ALL or len(paths) > MOST_PATHS:
            limits = f"{MOST_PATHS} paths, {MOST_PARAMETERS} parameters of one method and {MOST_IN_ALL} in all"
            raise PolicyError([f"paths.{path}.{method}: it is too much: at most {limits} are possible"])
        found = paths.setdefault(path, {"path": path, "methods": []})
        found["methods"].append({"method": method.upper(), "parameters": parameters})
    made = {
        "description": _title(spec) + (f" ({schemas.left_out} schemas were too large)" if schemas.left_out else ""),
        "endpoints": _endpoints(spec, internal_port),
        "paths": list(paths.values()),
    }
    problems: list[str] = []
    result = api_spec(made, "", problems)
    if problems:
        raise PolicyError(problems)
    return result


def _title(spec: Spec) -> str:
    info = spec.document.get("info")
    title = info.get("title") if isinstance(info, dict) else None
    return title[:256] if isinstance(title, str) and title.isprintable() else ""


def _endpoints(spec: Spec, internal: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for url in _servers(spec):
        try:
            parts = urlsplit(url)
            number = parts.port
        except ValueError:
            continue
        default, encrypted = _PORTS.get(parts.scheme or "http", (80, False))
        host = parts.hostname or "*"
        if "{" in url or not host.isprintable():
            host = "*"
        exposed = number or default
        endpoint = {
            "host": f"[{host}]" if ":" in host else host,
            "basePath": _base(parts.path),
            "exposedPort": exposed,
            "internalPort": internal if internal != exposed else internal % 65535 + 1,
            "tls": encrypted,
        }
        problems: list[str] = []
        api_spec({"endpoints": [endpoint]}, "", problems)
        if not problems and endpoint not in found and len(found) < 20:  # noqa: PLR2004 - more are a mistake
            found.append(endpoint)
    return found


def _servers(spec: Spec) -> Iterator[str]:
    document = spec.document
    if spec.major == 2:  # noqa: PLR2004 - Swagger
        host, base = document.get("host"), document.get("basePath")
        schemes = document.get("schemes")
        for scheme in schemes if isinstance(schemes, list) and schemes else ["http"]:
            yield f"{scheme}://{host if isinstance(host, str) else ''}{base if isinstance(base, str) else ''}"
        return
    servers = document.get("servers")
    for server in servers if isinstance(servers, list) else []:
        if isinstance(server, dict) and isinstance(server.get("url"), str):
            yield server["url"]


def _base(path: str) -> str:
    """Return the base path of an endpoint, which ends in `*` for the protection of APIs."""
    trimmed = path.split("{", maxsplit=1)[0].rstrip("/")
    return f"{trimmed}/*" if trimmed.startswith("/") else "*"


def _parameters(
    spec: Spec, bodies: "_Properties", item: Mapping[str, Any], operation: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the parameters of a method; those of the operation win over those of its path (OpenAPI, Path Item)."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for owner in (item, operation):
        given = owner.get("parameters")
        for entry in given if isinstance(given, list) else []:
            for parameter in _parameter(spec, bodies, spec.resolved(entry)):
                found[parameter["location"], parameter["name"]] = parameter
    for parameter in _body(spec, bodies, spec.resolved(operation.get("requestBody"))):
        found.setdefault((parameter["location"], parameter["name"]), parameter)
    return list(found.values())


def _parameter(spec: Spec, bodies: "_Properties", given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    name, place = given.get("name"), given.get("in")
    if not isinstance(name, str) or not name or not name.isprintable():
        return
    if place == "body":
        yield from bodies.of(spec.resolved(given.get("schema")), "json", required=given.get("required") is True)
    elif place == "formData":
        yield _one(name, "formData", given, given, style="")
    elif isinstance(place, str) and place in _PLACES:
        schema = spec.resolved(given.get("schema")) if "schema" in given else _first_content(spec, given) or given
        style = given.get("style") or _COLLECTIONS.get(str(given.get("collectionFormat")))
        yield _one(name, place, given, schema, style=style if style in STYLES else _DEFAULT_STYLES[place])


def _first_content(spec: Spec, given: Mapping[str, Any]) -> Mapping[str, Any]:
    content = given.get("content")
    media = next(iter(content.values()), None) if isinstance(content, dict) else None
    return spec.resolved(media.get("schema")) if isinstance(media, dict) else {}


def _body(spec: Spec, bodies: "_Properties", body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content = body.get("content")
    for media, given in content.items() if isinstance(content, dict) else ():
        kind = str(media).split(";")[0].strip().lower()
        place = _BODIES.get(kind) or ("json" if kind.endswith("+json") else "xml" if kind.endswith("+xml") else "")
        if place and isinstance(given, dict):
            schema = spec.resolved(given.get("schema"))
            yield from bodies.of(schema, place, required=body.get("required") is True)


def _whole_body(
    spec: Spec, schemas: Schemas, item: Mapping[str, Any], operation: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the body as a whole, where it is JSON and nothing else, with its schema."""
    body = spec.resolved(operation.get("requestBody"))
    content = body.get("content")
    schema, required = None, body.get("required") is True
    if isinstance(content, dict) and content and all(_is_json(kind) for kind in content):
        media = next(iter(content.values()))
        schema = media.get("schema") if isinstance(media, dict) and len(content) == 1 else None
    for owner in (item, operation):
        given = owner.get("parameters")
        for entry in map(spec.resolved, given if isinstance(given, list) else []):
            if entry.get("in") == "body":
                schema, required = entry.get("schema"), entry.get("required") is True
    whole = schemas.whole(schema)
    if whole is not None:
        yield {"name": "body", "location": "body", "type": "object", "required": required, "schema": whole}


def _is_json(media: str) -> bool:
    kind = media.split(";", maxsplit=1)[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


class _Properties:
    """
    Takes a body's schema apart; one of a document, for what it does is counted.

    A schema that holds itself is not entered again, and a document whose schemas hold each other many times over is
    refused before that costs anything.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._steps = 0

    def of(self, schema: Mapping[str, Any], place: str, *, required: bool) -> Iterator[dict[str, Any]]:
        """Yield the properties, those of objects within by their paths."""
        yield from self._inside(schema, place, required=required, above="", around=(id(schema),))

    def _inside(
        self, schema: Mapping[str, Any], place: str, *, required: bool, above: str, around: tuple[int, ...]
    ) -> Iterator[dict[str, Any]]:
        flat = place in ("formData", "multipart")
        for name, given, needed in self._members(schema, ()):
            part = self._spec.resolved(given)
            shown = name if flat else f"{above}/{name}"
            found = _one(shown, place, {"required": required and needed}, part, style="")
            yield {**found, **self._kinds(part)} if place == "json" else found
            inner = self._spec.resolved(part.get("items")) if _type(part) == "array" else part
            if not flat and id(inner) not in around and len(around) < DEEPEST_SCHEMA:
                yield from self._inside(inner, place, required=False, above=shown, around=(*around, id(inner)))

    def _kinds(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `schema` of a JSON value that may be of several types, or of any: a parameter's type is one."""
        kinds = _types(schema)
        items = _types(self._spec.resolved(schema.get("items")))
        if len(kinds) > 1:
            return {"schema": {"type": kinds}}
        if not kinds and "properties" not in schema:
            return {"schema": {}}
        if kinds == ["array"] and len(items) != 1:
            return {"schema": {"type": "array", "items": {"type": items} if items else {}}}
        return {}

    def _members(self, schema: Mapping[str, Any], around: tuple[int, ...]) -> Iterator[tuple[str, object, bool]]:
        """Yield (name, schema, required) of an object's properties; those of `allOf` are its own."""
        names = schema.get("required")
        needed = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set[str]()
        properties = schema.get("properties")
        self._count(1 + len(needed))
        for name, given in properties.items() if isinstance(properties, dict) else ():
            self._count(1)
            if name and name.isprintable() and len(name) <= _LONGEST_NAME:
                yield name, given, name in needed
        parts = schema.get("allOf")
        for part in parts if isinstance(parts, list) and len(around) < DEEPEST_SCHEMA else ():
            found = self._spec.resolved(part)
            self._count(1)
            if id(found) not in around:
                yield from self._members(found, (*around, id(found)))

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise PolicyError(["the schemas of the document hold each other too many times over"])


def _one(name: str, place: str, given: Mapping[str, Any], schema: Mapping[str, Any], *, style: str) -> dict[str, Any]:
    kind = _type(schema)
    items = schema.get("items")
    inner = items if kind == "array" and isinstance(items, dict) else schema
    found: dict[str, Any] = {
        "name": name[:1024],
        "location": place,
        "type": _type(inner) if kind == "array" else kind,
        "style": style,
        "required": given.get("required") is True or place == "path",
        "array": kind == "array",
        "explode": given["explode"] if isinstance(given.get("explode"), bool) else _explodes(given, style),
        "allowEmptyValue": given.get("allowEmptyValue") is True,
    }
    found.update(_bounds(inner, _type(inner)))
    return found


def _explodes(given: Mapping[str, Any], style: str) -> bool:
    # OpenAPI 3, Parameter Object: true by default for the style `form`; Swagger 2 says it by `multi`.
    return given.get("collectionFormat") == "multi" if "collectionFormat" in given else style == "form"


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of a schema; of several (OpenAPI 3.1) the first that is not `null`."""
    given = schema.get("type")
    kinds = given if isinstance(given, list) else [given]
    found = next((kind for kind in kinds if kind in PARAMETER_TYPES), None)
    if found is not None:
        return str(found)
    return "object" if isinstance(schema.get("properties"), dict) else "string"


def _types(schema: Mapping[str, Any]) -> list[str]:
    """Return all types of a schema, `null` too; none for one that does not say, or says what is no type."""
    given = schema.get("type")
    kinds: list[Any] = given if isinstance(given, list) else [given]
    if not all(kind in (*PARAMETER_TYPES, "null") for kind in kinds):
        return []
    # OpenAPI 3.0.3, "Schema Object", `nullable`: it says something beside a type only.
    return [*kinds, "null"] if kinds and schema.get("nullable") is True and "null" not in kinds else kinds


def _bounds(schema: Mapping[str, Any], kind: str) -> dict[str, float | int]:
    """Return the bounds of a number, or of the length of a text."""
    low, high = ("minimum", "maximum") if kind in ("integer", "number") else ("minLength", "maxLength")
    found = {}
    for name, key in (("min", low), ("max", high)):
        value = schema.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:  # noqa: PLR2004 - exact
            found[name] = value
    return found
