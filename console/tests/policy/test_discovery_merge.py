"""What several Defenders tell of an interface is made one: properties of the merge, and documents of any size."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.policy.discovery import Discovered, Documented, Operation, Shape, combined, openapi_of
from bartizan.policy.discovery.operations import MOST_NAMES, MOST_WIDE
from bartizan.policy.discovery.paths import Wide, is_open
from bartizan.policy.discovery.shape import MOST_MEMBERS, names_in, normal, union
from bartizan.policy.openapi import api_spec_of, read_spec

_KINDS = ("array", "boolean", "integer", "null", "number", "object", "string")
_SEGMENTS = st.sampled_from(("a", "b", "shop", "{id}", "{id2}", "ä b"))
_PATHS = st.lists(_SEGMENTS, max_size=4).map(lambda parts: Wide(()).general("/" + "/".join(parts)))
_SHAPES = st.recursive(
    st.builds(Shape, type=st.lists(st.sampled_from(_KINDS), unique=True, max_size=3).map(tuple)),
    lambda inner: st.builds(
        Shape,
        type=st.lists(st.sampled_from(_KINDS), unique=True, max_size=3).map(tuple),
        properties=st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
        items=st.none() | inner,
    ),
    max_leaves=5,
).map(normal)
_OPERATIONS = st.builds(
    Operation,
    path=_PATHS,
    method=st.sampled_from(("GET", "POST")),
    hits=st.integers(0, 5),
    first_seen=st.integers(0, 9),
    last_seen=st.integers(0, 9),
    statuses=st.dictionaries(st.sampled_from(("200", "302")), st.integers(1, 5)),
    sensitive=st.booleans(),
    unauthenticated=st.booleans(),
    unencrypted=st.booleans(),
    query=_SHAPES,
    body=_SHAPES,
)
_WIDE = st.frozensets(_PATHS, max_size=2)
REPORTS = st.builds(
    Discovered,
    operations=st.lists(_OPERATIONS, max_size=3).map(lambda found: {item.key: item for item in found}),
    wide=_WIDE,
    dropped=st.integers(0, 5),
)


@given(st.lists(REPORTS, min_size=1, max_size=5), st.data())
def test_the_order_of_arrival_is_nothing(reports: list[Discovered], data: st.DataObject) -> None:
    """Whatever comes first, and whatever is put together before the rest comes: the result is the same."""
    shuffled = data.draw(st.permutations(reports))
    cut = data.draw(st.integers(0, len(shuffled)))
    at_once = combined(*reports)
    assert combined(combined(*shuffled[:cut]), combined(*shuffled[cut:])) == at_once
    assert combined(at_once) == at_once


@given(st.lists(REPORTS, min_size=1, max_size=4))
def test_nothing_is_lost(reports: list[Discovered]) -> None:
    """Requests add up, whatever paths become one; no key is another operation's."""
    found = combined(*reports)
    told = [operation for report in reports for operation in report.operations.values()]
    assert sum(item.hits for item in found.operations.values()) == sum(item.hits for item in told)
    assert all(key == item.key for key, item in found.operations.items())
    paths = {(Wide(found.wide).general(item.path), item.method) for item in told}
    assert paths == set(found.operations)


@given(_PATHS, _WIDE, _WIDE)
def test_wide_paths_come_in_any_order(path: str, some: frozenset[str], others: frozenset[str]) -> None:
    """What is general for some is general for all as if all had been known, and once more changes nothing."""
    every = Wide(some | others)
    assert every.general(Wide(some).general(path)) == every.general(path)
    assert every.general(every.general(path)) == every.general(path)


@given(_SHAPES, _SHAPES, _SHAPES)
def test_shapes_are_united(one: Shape, two: Shape, three: Shape) -> None:
    """The union is one for any order, a shape is its own, and it travels as JSON."""
    assert union(one, two) == union(two, one)
    assert union(union(one, two), three) == union(one, union(two, three))
    assert union(one, one) == one
    assert normal(msgspec.json.decode(msgspec.json.encode(one), type=Shape)) == one
    jsonschema.Draft202012Validator.check_schema(msgspec.json.decode(msgspec.json.encode(one)))


def operation(path: str, **changed: Any) -> Operation:
    """Return an operation."""
    found = {"method": "GET", "hits": 1, "first_seen": 1, "last_seen": 2, "statuses": {"200": 1}, **changed}
    return Operation(path=path, **found)


def names(count: int, *, prefix: str = "n") -> Shape:
    """Return the shape of an object with so many members."""
    return Shape(type="object", properties={f"{prefix}{number:04}": Shape(type="string") for number in range(count)})


def test_shapes_are_bounded() -> None:
    """An object keeps so many names, whatever came first, and an operation refuses what would be too many."""
    one, other = normal(names(MOST_MEMBERS + 9, prefix="a")), normal(names(MOST_MEMBERS, prefix="b"))
    assert names_in(one) == MOST_MEMBERS
    assert union(one, other) == union(other, one) == one
    keep, late = (operation("/a", query=shape) for shape in (names(400), names(400, prefix="x")))
    both = combined(*(Discovered(operations={item.key: item}) for item in (keep, msgspec.structs.replace(
        late, body=names(200), query=Shape())
    )))  # fmt: skip
    assert both.operations["/a", "GET"].names == 400 <= MOST_NAMES
    assert both.operations["/a", "GET"].hits == 2
    many = Discovered(wide=frozenset(f"/{number}" for number in range(2 * MOST_WIDE)))
    assert len(combined(many, Discovered(wide=frozenset(["/x"]))).wide) == MOST_WIDE


SPEC = {
    "endpoints": [{"basePath": "/v1/*"}, {"basePath": "*"}],
    "paths": [
        {"path": "/users/{user}", "methods": [{"method": "GET"}]},
        {"path": "/users/me/", "methods": [{"method": "GET"}, {"method": "PUT"}]},
        {"path": "/files/{name}.{kind}", "methods": [{"method": "GET"}]},
        {"path": "/a%20b", "methods": [{"method": "GET"}]},
        {"path": "/", "methods": [{"method": "HEAD"}]},
    ],
}


@pytest.mark.parametrize(
    ("path", "method", "known"),
    [
        ("/users/{id}", "GET", True),
        ("/v1/users/{id}", "GET", True),
        ("/v2/users/{id}", "GET", False),
        ("/users/{id}", "PUT", False),
        ("/users/me", "PUT", True),
        ("/users/you", "GET", True),
        ("/users", "GET", False),
        ("/files/{id}", "GET", True),
        ("/files/a.txt", "GET", True),
        ("/files/a", "GET", False),
        ("/a b", "GET", True),
        ("/", "HEAD", True),
        ("/v1", "HEAD", True),
    ],
)
def test_what_is_described_is_known(path: str, method: str, *, known: bool) -> None:
    """Paths are those below the base paths; what differs has to differ in the description, too."""
    assert Documented(SPEC).has(path, method) is known


@settings(max_examples=50)
@given(st.lists(REPORTS, min_size=1, max_size=4))
def test_any_export_is_imported(reports: list[Discovered]) -> None:
    """Whatever was seen comes to a document that is read again, with every operation, and none is a shadow then."""
    found = combined(*reports).operations.values()
    document = openapi_of(
        found, title="t", description="d", endpoints=[{"host": "*.a.test", "exposedPort": 80, "tls": False}]
    )
    spec = api_spec_of(read_spec(json.dumps(document).encode()))
    assert sum(len(path["methods"]) for path in spec["paths"]) == len(found)
    documented = Documented(spec)
    assert all(documented.has(item.path, item.method) for item in found)
    for path, item in document["paths"].items():
        for entry in item.values():
            described = [part["name"] for part in entry.get("parameters", ()) if part["in"] == "path"]
            assert described == [part[1:-1] for part in path.split("/") if is_open(part)]


def test_a_large_export_is_imported_too() -> None:
    """Where a document would be more than is read, the most used operations are whole, and it says what is not."""
    wide = names(440)
    found = [operation(f"/{'x' * 400}/{number}", hits=number, body=wide) for number in range(1_000)]
    document = openapi_of(found, title="t", description="d")
    text = json.dumps(document, indent=2, ensure_ascii=False).encode()
    assert 900_000 < len(text) <= 1 << 20
    spec = api_spec_of(read_spec(text))
    most_used = document["paths"][f"/{'x' * 400}/999"]["get"]
    assert len(most_used["requestBody"]["content"]["application/json"]["schema"]["properties"]) == 440
    assert len(spec["paths"]) == len(document["paths"]) <= 1_000
    assert "left out to keep the document small" in document["info"]["description"]


def test_hosts_become_servers() -> None:
    """Each address is named once; a host of any name is a variable, and IPv6 stays in brackets."""
    endpoints = [
        {"host": "*", "exposedPort": 80, "tls": False},
        {"host": "shop.test", "exposedPort": 443, "tls": True},
        {"host": "shop.test", "exposedPort": 443, "tls": True},
        {"host": "[::1]", "exposedPort": 80, "tls": False},
        {"host": "", "exposedPort": 0, "tls": False},
    ]
    document = openapi_of([operation("/")], title="t", description="d", endpoints=endpoints)
    urls = [server["url"] for server in document["servers"]]
    assert urls == ["http://{host}:80", "https://shop.test:443", "http://[::1]:80"]
    spec = api_spec_of(read_spec(json.dumps(document).encode()))
    assert [(item["host"], item["exposedPort"], item["tls"]) for item in spec["endpoints"]] == [
        ("*", 80, False), ("shop.test", 443, True), ("[::1]", 80, False)
    ]  # fmt: skip
