"""What is careless in an OpenAPI document: each check looks for one thing, and says where it found it."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bartizan.policy.openapi.reading import Spec

SEVERITIES = ("HIGH", "MEDIUM", "LOW", "INFO")
MOST_ISSUES = 1000
_WRITES = ("put", "post", "patch")
_SECRETS = ("password", "passwd", "secret", "token", "apikey", "api_key", "authorization")
_SWAGGER = 2
_LONGEST_PATH = 2048


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding; `path` leads to it in the document (JSON Pointer, RFC 6901)."""

    id: str
    severity: str
    name: str
    description: str
    path: str


@dataclass(frozen=True, slots=True)
class _Check:
    id: str
    severity: str
    name: str
    description: str


_NO_SECURITY = _Check(
    "global-security-undefined", "HIGH", "No security for the whole API",
    "Neither the document nor an operation says how callers prove who they are.",
)  # fmt: skip
_OPEN_OPERATION = _Check(
    "operation-security-empty", "HIGH", "An operation anybody may call",
    "The operation takes the security of the document away with an empty list.",
)  # fmt: skip
_UNKNOWN_SCHEME = _Check(
    "security-scheme-undefined", "HIGH", "A security scheme that is not defined",
    "A requirement names a scheme that the document does not define.",
)  # fmt: skip
_CLEAR_TEXT = _Check(
    "transport-clear-text", "MEDIUM", "A server without encryption",
    "A server is reached over `http`: whoever is on the way reads and changes everything.",
)  # fmt: skip
_BASIC = _Check(
    "security-basic",
    "MEDIUM",
    "Basic authentication",
    "A password goes with each request; a token that ends is better.",
)
_KEY_IN_QUERY = _Check(
    "api-key-in-query", "MEDIUM", "An API key in the URL", "URLs are in logs and histories; put the key in a header."
)
_SECRET_IN_QUERY = _Check(
    "secret-in-query", "MEDIUM", "A secret in the URL", "A parameter that sounds like a secret is in the query."
)
_NO_BODY_SCHEMA = _Check(
    "body-without-schema", "MEDIUM", "A body of any shape", "A request's body has no schema, so nothing can be checked."
)
_OPEN_OBJECT = _Check(
    "object-without-properties", "LOW", "An object of any shape",
    "A schema of an object names no properties, so nothing can be checked.",
)  # fmt: skip
_ENDLESS_TEXT = _Check(
    "string-without-bounds",
    "LOW",
    "A text without bounds",
    "A parameter has neither length, pattern, format nor values.",
)
_ENDLESS_LIST = _Check("array-without-bounds", "LOW", "A list without bounds", "A parameter's list has no `maxItems`.")
_NO_PARAMETER = _Check(
    "path-parameter-undefined", "MEDIUM", "A path parameter that is not described",
    "The path has a name in braces that no parameter describes.",
)  # fmt: skip
_NO_REFUSAL = _Check(
    "response-401-missing", "LOW", "No answer for callers who are not known",
    "The operation needs security but describes neither 401 nor 403.",
)  # fmt: skip
_FOREIGN = _Check(
    "reference-outside", "INFO", "A reference to another document", "Only references within the document are followed."
)
_DANGLING = _Check(
    "reference-nowhere", "MEDIUM", "A reference that leads nowhere", "What it names is not in the document."
)
_DEPRECATED = _Check(
    "operation-deprecated", "INFO", "A deprecated operation", "Old operations are the ones nobody tests."
)


def scan(spec: Spec) -> list[Issue]:
    """Return what was found (at most 1000 things), the worst first, in the order of the document."""
    looks = (_security, _servers, _schemes, _operations, _references)
    issues = (
        Issue(check.id, check.severity, check.name, check.description, path[:_LONGEST_PATH])
        for look in looks
        for check, path in look(spec)
    )
    found = list(dict.fromkeys(itertools.islice(issues, MOST_ISSUES)))
    return sorted(found, key=lambda issue: SEVERITIES.index(issue.severity))


def _security(spec: Spec) -> Iterator[tuple[_Check, str]]:
    overall = spec.document.get("security")
    own = [operation for *_, operation in spec.operations()]
    if not overall and own and not any(operation.get("security") for operation in own):
        yield _NO_SECURITY, "/security"
    known = _defined(spec)
    yield from ((_UNKNOWN_SCHEME, "/security") for name in _required(overall) if name not in known)
    for path, method, _, operation in spec.operations():
        where = f"{_pointer('paths', path, method)}/security"
        if overall and operation.get("security") == []:
            yield _OPEN_OPERATION, where
        yield from ((_UNKNOWN_SCHEME, where) for name in _required(operation.get("security")) if name not in known)


def _servers(spec: Spec) -> Iterator[tuple[_Check, str]]:
    if spec.major == _SWAGGER:
        schemes = spec.document.get("schemes")
        if isinstance(schemes, list) and "http" in schemes:
            yield _CLEAR_TEXT, "/schemes"
        return
    servers = spec.document.get("servers")
    for index, server in enumerate(servers if isinstance(servers, list) else []):
        url = server.get("url") if isinstance(server, dict) else None
        if isinstance(url, str) and url.lower().startswith("http://"):
            yield _CLEAR_TEXT, f"/servers/{index}/url"


def _schemes(spec: Spec) -> Iterator[tuple[_Check, str]]:
    base = "/securityDefinitions" if spec.major == _SWAGGER else "/components/securitySchemes"
    for name, given in _defined(spec).items():
        scheme = spec.resolved(given)
        kind = scheme.get("type")
        if kind == "basic" or (kind == "http" and str(scheme.get("scheme")).lower() == "basic"):
            yield _BASIC, f"{base}{_pointer(name)}"
        if kind == "apiKey" and scheme.get("in") == "query":
            yield _KEY_IN_QUERY, f"{base}{_pointer(name)}"


def _operations(spec: Spec) -> Iterator[tuple[_Check, str]]:
    for path, method, item, operation in spec.operations():
        where = _pointer("paths", path, method)
        if operation.get("deprecated") is True:
            yield _DEPRECATED, where
        responses = operation.get("responses")
        needs = operation.get("security", spec.document.get("security"))
        if needs and isinstance(responses, dict) and not {"401", "403", "4XX", "default"} & set(responses):
            yield _NO_REFUSAL, f"{where}/responses"
        parameters = list(_parameters(spec, item, operation, path, method))
        described = {parameter.get("name") for _, parameter in parameters if parameter.get("in") == "path"}
        for name in _names(path) - described:
            yield _NO_PARAMETER, f"{where}/parameters#{name}"
        for place, parameter in parameters:
            yield from _parameter(spec, place, parameter)
        if method in _WRITES:
            yield from _body(spec, where, operation)


def _parameter(spec: Spec, place: str, parameter: Mapping[str, Any]) -> Iterator[tuple[_Check, str]]:
    name = str(parameter.get("name", "")).lower()
    if parameter.get("in") == "query" and any(word in name for word in _SECRETS):
        yield _SECRET_IN_QUERY, place
    if parameter.get("in") == "body":
        if not spec.resolved(parameter.get("schema")):
            yield _NO_BODY_SCHEMA, place
        return
    schema = spec.resolved(parameter["schema"]) if "schema" in parameter else parameter
    if schema.get("type") == "string" and not {"maxLength", "pattern", "format", "enum", "const"} & set(schema):
        yield _ENDLESS_TEXT, place
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield _ENDLESS_LIST, place


def _body(spec: Spec, where: str, operation: Mapping[str, Any]) -> Iterator[tuple[_Check, str]]:
    content = spec.resolved(operation.get("requestBody")).get("content")
    for media, given in content.items() if isinstance(content, dict) else ():
        place = f"{where}/requestBody/content{_pointer(media)}"
        schema = spec.resolved(given.get("schema")) if isinstance(given, dict) else {}
        if not schema:
            yield _NO_BODY_SCHEMA, place
        elif schema.get("type") == "object" and not {"properties", "allOf", "oneOf", "anyOf"} & set(schema):
            yield _OPEN_OBJECT, f"{place}/schema"


def _references(spec: Spec) -> Iterator[tuple[_Check, str]]:
    # Places are chains of names, written out where something is found: there may be very many of them.
    waiting: list[tuple[object, _Place | None]] = [(spec.document, None)]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, list):
            waiting.extend((item, _Place(str(index), place)) for index, item in enumerate(value))
        elif isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#"):
                yield _FOREIGN, _written(place)
            elif isinstance(reference, str) and spec.at(reference) is None:
                yield _DANGLING, _written(place)
            waiting.extend((item, _Place(name, place)) for name, item in value.items())


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    above: "_Place | None"


def _written(place: _Place | None) -> str:
    names: list[str] = []
    while place is not None:
        names.append(place.name)
        place = place.above
    return _pointer(*reversed(names))[:_LONGEST_PATH]


def _parameters(
    spec: Spec, item: Mapping[str, Any], operation: Mapping[str, Any], path: str, method: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    for owner, where in ((item, _pointer("paths", path)), (operation, _pointer("paths", path, method))):
        given = owner.get("parameters")
        for index, entry in enumerate(given if isinstance(given, list) else []):
            yield f"{where}/parameters/{index}", spec.resolved(entry)


def _defined(spec: Spec) -> dict[str, Any]:
    if spec.major == _SWAGGER:
        found = spec.document.get("securityDefinitions")
    else:
        components = spec.document.get("components")
        found = components.get("securitySchemes") if isinstance(components, dict) else None
    return found if isinstance(found, dict) else {}


def _required(security: object) -> Iterator[str]:
    for requirement in security if isinstance(security, list) else []:
        yield from requirement if isinstance(requirement, dict) else ()


def _names(path: str) -> set[str]:
    return {part.split("}")[0] for part in path.split("{")[1:] if "}" in part}


def _pointer(*names: str) -> str:
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
