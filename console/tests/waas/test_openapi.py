"""OpenAPI documents: read into a policy, looked through, and what hostile ones cannot do."""

import json
import time
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.running import ConsoleUnderTest
from tests.waas.policies import PATH, application, rule

from bartizan.policy import PolicyError
from bartizan.policy.firewall import parse_firewall
from bartizan.policy.openapi import api_spec_of, read_spec, scan

SPEC = "/policies/firewall/app/apispec"
SCANS = "/waas/openapi-scans"
SHOP = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers:
  - url: https://shop.test/api
  - url: http://shop.test:8000
security: [{key: []}]
paths:
  /items/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: [integer, 'null'], minimum: 1, maximum: 9}}
    get:
      parameters:
        - {name: tags, in: query, schema: {type: array, items: {type: string, maxLength: 20}}}
        - $ref: '#/components/parameters/Trace'
      responses: {200: {description: it}}
    put:
      requestBody: {$ref: '#/components/requestBodies/Item'}
      responses: {204: {description: done}}
components:
  parameters:
    Trace: {name: X-Trace, in: header, schema: {type: string, maxLength: 32}}
  requestBodies:
    Item:
      required: true
      content:
        application/json:
          schema: {$ref: '#/components/schemas/Item'}
        application/x-www-form-urlencoded:
          schema: {type: object, properties: {name: {type: string}}}
  schemas:
    Item:
      allOf:
        - {$ref: '#/components/schemas/Named'}
        - type: object
          required: [price]
          properties:
            price: {type: number, minimum: 0.5}
            parent: {$ref: '#/components/schemas/Item'}
            parts: {type: array, items: {type: object, properties: {count: {type: integer}}}}
    Named: {type: object, properties: {name: {type: string, minLength: 1}}}
  securitySchemes:
    key: {type: apiKey, in: query, name: key}
"""


def method(found: dict[str, Any], path: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of a method by place and name."""
    (item,) = [item for item in found["paths"] if item["path"] == path]
    (entry,) = [entry for entry in item["methods"] if entry["method"] == name]
    return {f"{part['location']} {part['name']}": part for part in entry["parameters"]}


def test_a_document_becomes_a_specification(console: ConsoleUnderTest) -> None:
    """Paths, methods, parameters, bodies and servers are read, references followed, and the policy takes the result."""
    with console.client() as client:
        answer = client.post(SPEC, content=SHOP, headers={"Content-Type": "application/yaml"})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        same = client.post(SPEC, json=yaml.safe_load(SHOP)).json()
        assert same == found
        ports = [(item["host"], item["basePath"], item["exposedPort"], item["tls"]) for item in found["endpoints"]]
        assert ports == [("shop.test", "/api/*", 443, True), ("shop.test", "*", 8000, False)]
        get = method(found, "/items/{id}", "GET")
        assert list(get) == ["path id", "query tags", "header X-Trace"]
        assert (get["path id"]["type"], get["path id"]["min"], get["path id"]["required"]) == ("integer", 1, True)
        tags = get["query tags"]
        assert (tags["type"], tags["array"], tags["style"], tags["explode"], tags["max"]) == (
            "string", True, "form", True, 20
        )  # fmt: skip
        put = method(found, "/items/{id}", "PUT")
        assert "body body" not in put
        # What an item holds of its own kind is not taken apart again.
        assert set(put) == {
            "path id", "json /name", "json /price", "json /parent", "json /parts", "json /parts/count", "formData name"
        }  # fmt: skip
        assert (put["json /price"]["required"], put["json /price"]["min"]) == (True, 0.5)
        plain = {**found, "endpoints": [found["endpoints"][1]]}
        assert client.put(PATH, json={"rules": [rule("r", application(apiSpec=plain))]}).status_code == 200
        assert client.get(PATH).json()["rules"][0]["applicationsSpec"][0]["apiSpec"]["paths"] == found["paths"]


def test_swagger_is_read_too() -> None:
    """Host, base path and schemes become endpoints, `body` and `formData` parameters of their kinds."""
    document = {
        "swagger": "2.0",
        "host": "pets.test:8443",
        "basePath": "/v2",
        "schemes": ["https"],
        "paths": {
            "/pets": {
                "post": {
                    "parameters": [
                        {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Pet"}},
                        {"name": "ids", "in": "query", "type": "array", "items": {"type": "integer"},
                         "collectionFormat": "pipes"},
                        {"name": "photo", "in": "formData", "type": "string"},
                    ]
                }
            }
        },
        "definitions": {"Pet": {"properties": {"name": {"type": "string", "maxLength": 9}}}},
    }  # fmt: skip
    found = api_spec_of(read_spec(json.dumps(document).encode()), internal_port=9000)
    (endpoint,) = found["endpoints"]
    assert (endpoint["host"], endpoint["basePath"], endpoint["exposedPort"], endpoint["internalPort"]) == (
        "pets.test", "/v2/*", 8443, 9000
    )  # fmt: skip
    post = method(found, "/pets", "POST")
    assert (post["json /name"]["max"], post["query ids"]["style"], post["query ids"]["type"]) == (
        9, "pipeDelimited", "integer"
    )  # fmt: skip
    assert "formData photo" in post


def test_a_json_body_keeps_its_schema_whole() -> None:
    """Where a body is JSON alone its schema travels with what it refers to, without texts and slow patterns."""
    item = {
        "description": "an item",
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+$", "example": "x"},
            "secret": {"type": "string", "pattern": "^(?=.*[0-9]).+$"},
            "parent": {"$ref": "#/components/schemas/Item"},
            "kind": {"$ref": "other.yaml#/Kind"},
        },
        "additionalProperties": False,
    }
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}, "required": True}
    paths = {"/items": {"post": {"requestBody": body}}}
    document = {"openapi": "3.0.0", "paths": paths, "components": {"schemas": {"Item": item}}}
    found = method(api_spec_of(read_spec(json.dumps(document).encode())), "/items", "POST")["body body"]
    assert found["required"]
    assert found["schema"] == {
        "$ref": "#/$defs/d0",
        "$defs": {
            "d0": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-z]+$"},
                    "secret": {"type": "string"},
                    "parent": {"$ref": "#/$defs/d0"},
                    "kind": {},
                },
                "additionalProperties": False,
            }
        },
    }
    validator = jsonschema.Draft202012Validator(found["schema"])
    assert validator.is_valid({"name": "a", "parent": {"name": "b"}})
    assert not validator.is_valid({"name": "a", "parent": {"name": "B"}})


def test_a_json_value_may_be_of_several_types() -> None:
    """What has several types, none, or may be null comes with them: its one type would refuse what is allowed."""
    one = {"type": "integer"}
    properties = {
        "plain": one,
        "several": {"type": ["integer", "null"]},
        "nullable": {**one, "nullable": True},
        "any": {"oneOf": [one, {"type": "string"}]},
        "no type": {"type": "date"},
        "unsure": {"type": ["date", "string"]},
        "list": {"type": "array", "items": one},
        "mixed": {"type": "array", "items": {"type": ["integer", "string"]}},
        "anything": {"type": "array"},
    }
    media = {"application/json": {"schema": {"type": "object", "properties": properties}}}
    document = {"openapi": "3.1.0", "paths": {"/a": {"post": {"requestBody": {"content": media}}}}}
    found = method(api_spec_of(read_spec(json.dumps(document).encode())), "/a", "POST")
    schemas = {name.removeprefix("json /"): part.get("schema") for name, part in found.items()}
    whole = schemas.pop("body body")
    assert schemas == {
        "plain": None,
        "several": {"type": ["integer", "null"]},
        "nullable": {"type": ["integer", "null"]},
        "any": {},
        "no type": {},
        "unsure": {},
        "list": None,
        "mixed": {"type": "array", "items": {"type": ["integer", "string"]}},
        "anything": {"type": "array", "items": {}},
    }
    assert (whole["properties"]["no type"], whole["properties"]["unsure"]) == ({}, {})


def test_a_scan_finds_what_is_careless(console: ConsoleUnderTest) -> None:
    """Findings come by severity, each with its place; nothing is found in a careful document."""
    careless = yaml.safe_load(SHOP)
    careless["paths"]["/login/{who}"] = {
        "post": {
            "security": [],
            "deprecated": True,
            "parameters": [{"name": "password", "in": "query", "schema": {"type": "string"}},
                           {"$ref": "#/components/parameters/Gone"}, {"$ref": "other.yaml#/x"}],
            "requestBody": {"content": {"application/json": {}}},
        }
    }  # fmt: skip
    careful = {"openapi": "3.0.0", "security": [{"jwt": []}], "paths": {}, "servers": [{"url": "https://a.test"}],
               "components": {"securitySchemes": {"jwt": {"type": "http", "scheme": "bearer"}}}}  # fmt: skip
    with console.client() as client:
        files = {"spec": ("a.json", json.dumps(careless)), "data": (None, '{"source":"cli"}')}
        found = client.post(SCANS, files=files).json()
        clean = client.post(SCANS, files={"spec": json.dumps(careful)}).json()
    severities = [issue["severity"] for issue in found["issues"]]
    assert severities == sorted(severities, key=["HIGH", "MEDIUM", "LOW", "INFO"].index)
    places = {(issue["id"], issue["path"]) for issue in found["issues"]}
    where = "/paths/~1login~1{who}/post"
    assert {
        ("operation-security-empty", f"{where}/security"),
        ("secret-in-query", f"{where}/parameters/0"),
        ("string-without-bounds", f"{where}/parameters/0"),
        ("reference-nowhere", f"{where}/parameters/1"),
        ("reference-outside", f"{where}/parameters/2"),
        ("path-parameter-undefined", f"{where}/parameters#who"),
        ("body-without-schema", f"{where}/requestBody/content/application~1json"),
        ("operation-deprecated", where),
        ("api-key-in-query", "/components/securitySchemes/key"),
        ("transport-clear-text", "/servers/1/url"),
        ("array-without-bounds", "/paths/~1items~1{id}/get/parameters/0"),
    } <= places
    assert (found["source"], found["counts"]["HIGH"]) == ("cli", 1)
    assert clean == {"issues": [], "counts": {"HIGH": 0, "MEDIUM": 0, "LOW": 0, "INFO": 0}, "source": ""}


def bomb() -> str:
    """Return YAML of nine lines that comes to a thousand million values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]" for n in range(8)]
    return "\n".join(["openapi: 3.0.0", *lines])


def merge_bomb() -> str:
    """Return YAML whose merged keys would be very many."""
    keys = ", ".join(f"k{number}: 1" for number in range(20_000))
    return f"openapi: 3.0.0\na: &a {{{keys}}}\nb: {{<<: [{', '.join(['*a'] * 100)}]}}"


def wide_cycle() -> str:
    """Return a document whose schemas hold each other very many times over."""
    schemas = {f"s{n}": {"allOf": [{"$ref": f"#/components/schemas/s{n + 1}"}] * 50} for n in range(20)}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/s0"}}}}
    paths = {"/a": {"post": {"requestBody": body}}}
    return json.dumps({"openapi": "3.0.0", "paths": paths, "components": {"schemas": schemas}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (bomb(), "aliases written out"),
        (merge_bomb(), "merged by `<<`"),
        ("openapi: 3.0.0\na: &a [*a]", "recursive"),
        ("openapi: 3.0.0\na: " + "[" * 100_000, "nested more than"),
        ('{"openapi":"3.0.0","a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
        (wide_cycle(), "hold each other"),
        ("openapi: 3.0.0\npaths: []", "paths: it has to be an object"),
        ("openapi: 3.0.0\npaths: {items: {}}", "does not begin with `/`"),
        ("openapi: 4.0.0\npaths: {}", "`openapi: 3.0.x`"),
        ("- 1", "an object is expected"),
        ("", "an object is expected"),
        ("a: [", "not YAML: line 2"),
        ("a: !!python/object/apply:os.system [id]", "not YAML"),
        ("{", "not JSON"),
        ("openapi: 3.0.0\n? [a]\n: 1", "a key has to be a text"),
        (json.dumps({"openapi": "3.0.0", "k" * 1025: 1}), "a key has more than"),
    ],
)
def test_hostile_documents_are_refused_quickly(console: ConsoleUnderTest, text: str, words: str) -> None:
    """What is no document, or one that comes to too much, gets one clear error within seconds."""
    start = time.monotonic()
    with console.client() as client:
        answer = client.post(SPEC, content=text.encode())
    assert (answer.status_code, words in answer.json()["err"]) == (400, True), answer.text[:300]
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"openapi: 3.0.0", "application/yaml", "multipart/form-data"),
        (b"x", "multipart/form-data", "no boundary"),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", "`spec`"),
        (b"--x\r\n" * 50, "multipart/form-data; boundary=x", "more than 20"),
    ],
)
def test_a_form_that_is_none_is_refused(console: ConsoleUnderTest, body: bytes, kind: str, words: str) -> None:
    """A scan takes a form with the document, and says so."""
    with console.client() as client:
        answer = client.post(SCANS, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, words in answer.json()["err"]) == (400, True), answer.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
references = st.sampled_from(["#/components/schemas/a", "#/components/schemas/b", "#/paths/~1x", "#/", "b.yaml", "#"])
schemas = st.recursive(
    st.fixed_dictionaries({"$ref": references})
    | st.fixed_dictionaries({}, optional={"type": json_values})
    | json_values,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "integer"]) | json_values,
            "properties": st.dictionaries(st.text(max_size=5), inner, max_size=3) | json_values,
            "allOf": st.lists(inner, max_size=3) | json_values,
            "items": inner,
            "required": st.lists(st.text(max_size=5), max_size=2) | json_values,
            "minimum": json_values,
        },
    ),
    max_leaves=10,
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=8) | json_values,
        "in": st.sampled_from(["path", "query", "header", "cookie", "body", "formData"]) | json_values,
        "schema": schemas,
        "style": st.sampled_from(["form", "deepObject"]) | json_values,
        "required": json_values,
        "explode": json_values,
        "$ref": references,
    },
)
operations = st.fixed_dictionaries(
    {},
    optional={
        "parameters": st.lists(parameters | json_values, max_size=4) | json_values,
        "requestBody": st.fixed_dictionaries(
            {"content": st.dictionaries(st.sampled_from(["application/json", "multipart/form-data", "x/y+xml", ""]),
                                        st.fixed_dictionaries({"schema": schemas}) | json_values, max_size=2)}
        ) | json_values,
        "security": json_values,
        "responses": json_values,
    },
)  # fmt: skip
documents = st.fixed_dictionaries(
    {},
    optional={
        "openapi": st.sampled_from(["3.0.0", "3.1.0"]) | json_values,
        "swagger": st.just("2.0"),
        "paths": st.dictionaries(
            st.sampled_from(["/x", "/x/{id}", "/*", "/ ", "x"]) | st.text(max_size=5).map("/{}".format),
            st.dictionaries(
                st.sampled_from(["get", "post", "parameters", "$ref"]), operations | json_values, max_size=3
            )
            | json_values,
            max_size=3,
        ),
        "servers": st.lists(st.fixed_dictionaries({"url": st.text(max_size=12)}) | json_values, max_size=2),
        "components": st.fixed_dictionaries(
            {"schemas": st.dictionaries(st.sampled_from(["a", "b"]), schemas, max_size=2)}
        ),
        "security": json_values,
        "host": json_values,
        "schemes": json_values,
    },
)


@settings(deadline=None)
@given(document=documents)
def test_any_document_is_a_specification_or_one_error(document: dict[str, Any]) -> None:
    """Whatever document comes, the result is an `apiSpec` that the policy takes, or a PolicyError; scans never fail."""
    try:
        spec = read_spec(json.dumps(document).encode())
        scan(spec)
        found = api_spec_of(spec)
    except PolicyError as error:
        assert error.problems  # noqa: PT017 - the error is one of two right outcomes
        return
    endpoint = {"exposedPort": 80, "internalPort": 8080}
    item = {"appID": "a", "apiSpec": {**found, "endpoints": [endpoint]}}
    policy = {"rules": [{"name": "r", "applicationsSpec": [item]}]}
    assert parse_firewall(json.dumps(policy)).rules[0].applications[0].document["apiSpec"]["paths"] == found["paths"]


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_document_or_one_error(data: bytes) -> None:
    """Whatever bytes come, the result is a document or a PolicyError."""
    try:
        read_spec(data)
    except PolicyError as error:
        assert error.problems  # noqa: PT017 - as above
