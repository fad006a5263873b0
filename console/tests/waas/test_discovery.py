"""API discovery: from what Defenders tell to what is shown and exported."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, running_console
from tests.waas.discovery import DISCOVERY, NOON, discovered, endpoint, tell
from tests.waas.policies import PATH, application, rule

from bartizan.policy.openapi import api_spec_of, read_spec

ONE = {"appID": "shop:1", "application": "storefront"}
SPEC = {
    "endpoints": [{"host": "*", "basePath": "/api/*", "exposedPort": 80, "internalPort": 8080}],
    "paths": [{"path": "/orders/{order}", "methods": [{"method": "GET", "parameters": []}]}],
}


@pytest.fixture
def ends(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> Iterator[list[DefenderEnd]]:
    """Return two connected Defenders of one App ID, with nothing discovered of it yet."""
    with console.client() as client:
        assert client.put(PATH, json={"rules": [rule("shop", application())]}).status_code == 200
        found = [defender(), defender()]
        for end in found:
            end.connect()
        yield found
        client.delete(DISCOVERY, params=ONE)


def test_what_several_defenders_tell_is_one(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """Requests add up, times span all, flags stay up, and shapes have what any of them saw."""
    integer, text = {"type": "integer"}, {"type": ["null", "string"]}
    query = {"type": "object", "properties": {"dry": {"type": "boolean"}}}
    one, two = ({"type": "object", "properties": {"count": kind}} for kind in (integer, text))
    tell(ends[0], endpoint(method="PATCH", hits=3, statuses={"200": 2, "201": 1}, body=one, unauthenticated=True))
    tell(ends[1], endpoint(method="PATCH", hits=4, firstSeen=NOON - 5_000, body=two, query=query), dropped=2)
    tell(ends[1], endpoint("/items"))
    (items, patch) = discovered(console, **ONE)
    assert (items["path"], items["risks"]) == ("/items", [])
    assert patch == {
        **ONE,
        "path": "/orders/{id}",
        "method": "PATCH",
        "hits": 7,
        "firstSeen": "2025-11-21T11:59:55.000Z",
        "lastSeen": "2025-11-21T12:00:01.000Z",
        "statuses": {"200": 3, "201": 1},
        "risks": ["unauthenticated"],
        "shadow": None,
        "query": query,
        "body": {"type": "object", "properties": {"count": {"type": ["integer", "null", "string"]}}},
    }
    with console.client() as client:
        (found,) = client.get(f"{DISCOVERY}/applications", params=ONE).json()
        document = client.get(f"{DISCOVERY}/openapi", params=ONE).json()
    assert (found["ruleName"], found["operations"], found["hits"], found["dropped"]) == ("shop", 2, 8, 2)
    assert (found["firstSeen"], found["lastSeen"]) == (patch["firstSeen"], patch["lastSeen"])
    span = "from 2025-11-21T11:59:55.000Z to 2025-11-21T12:00:01.000Z"
    assert document["info"]["description"] == f"What 8 requests to `shop:1` have shown, {span}."


def test_a_wide_path_makes_operations_one(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """What one Defender holds for values is one for all of them, before and after it said so."""
    tell(ends[0], *(endpoint(f"/shop/{name}/price") for name in ("hat", "coat")), endpoint("/shop/{id}/price"))
    assert len(discovered(console, **ONE)) == 3
    tell(ends[1], endpoint("/shop/{id}/price", hits=5), wide=("/shop",))
    tell(ends[0], endpoint("/shop/shoe/price"), endpoint("/shop/hat/{id}"))
    found = [(item["path"], item["hits"]) for item in discovered(console, **ONE)]
    assert found == [("/shop/{id}/price", 9), ("/shop/{id}/{id2}", 1)]


def test_filters_and_pages(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """Every filter leaves out what it should, pages do not overlap, and an unknown one is refused."""
    risky = endpoint("/login", "POST", sensitive=True, unauthenticated=True)
    tell(ends[0], risky, endpoint("/a%_b", unauthenticated=True), endpoint("/items"))
    for query, paths in (
        ({"risk": "unauthenticated"}, ["/a%_b", "/login"]),
        ({"risk": "unauthenticated,sensitive"}, ["/login"]),
        ({"method": "post"}, ["/login"]),
        ({"path": "%_"}, ["/a%_b"]),
        ({"path": "IT"}, ["/items"]),
        ({"application": "other"}, []),
        ({"limit": 1, "offset": 1}, ["/items"]),
    ):
        found = discovered(console, **{**ONE, **query})
        assert [item["path"] for item in found] == paths, query
    with console.client() as client:
        answer = client.get(DISCOVERY, params={**ONE, "limit": 1})
        assert (len(answer.json()), answer.headers["Total-Count"]) == (1, "3")
        for query in ({"risk": "loud"}, {"appId": "x"}):
            assert client.get(DISCOVERY, params=query).status_code == 400


def test_shadows_are_what_the_specification_lacks(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """An operation is described by its path below the base path and its method; without a specification none is."""
    tell(ends[0], endpoint("/api/orders/{id}"), endpoint("/api/orders/{id}", "DELETE"), endpoint("/orders/{id}"))
    assert {item["shadow"] for item in discovered(console, **ONE)} == {None}
    with console.client() as client:
        assert client.put(PATH, json={"rules": [rule("shop", application(apiSpec=SPEC))]}).status_code == 200
    found = {f"{item['method']} {item['path']}": item["shadow"] for item in discovered(console, **ONE)}
    assert found == {"GET /api/orders/{id}": False, "DELETE /api/orders/{id}": True, "GET /orders/{id}": True}
    assert [item["path"] for item in discovered(console, **ONE, shadow=False)] == ["/api/orders/{id}"]
    assert len(discovered(console, **ONE, shadow=True)) == 2


def test_an_export_is_read_again(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """What was discovered is an `apiSpec` after export and import, and then nothing of it is a shadow."""
    body = {"type": "object", "properties": {"n": {"type": ["null", "string"]}, "tags": {"type": "array", "items": {}}}}
    query = {"type": "object", "properties": {"x": {"type": ["integer", "string"]}, "page": {"type": "integer"}}}
    tell(ends[0], endpoint("/a b/{id}/{id2}", "POST", body=body, query=query), endpoint("/a b/{id}/{id2}"))
    tell(ends[0], endpoint("/50%?{x}*"), endpoint("/"))
    with console.client() as client:
        document = client.get(f"{DISCOVERY}/openapi", params=ONE).json()
        found = client.post("/policies/firewall/app/apispec", json=document).json()
        assert {item["path"]: [method["method"] for method in item["methods"]] for item in found["paths"]} == {
            "/": ["GET"],
            "/50%25%3F%7Bx%7D%2A": ["GET"],
            "/a%20b/{id}/{id2}": ["GET", "POST"],
        }
        (post,) = [part for part in found["paths"][2]["methods"] if part["method"] == "POST"]
        assert {(part["location"], part["name"], part["type"], part["required"]) for part in post["parameters"]} == {
            ("path", "id", "string", True),
            ("path", "id2", "string", True),
            ("query", "x", "string", False),
            ("query", "page", "integer", False),
            ("json", "/n", "string", False),
            ("json", "/tags", "string", False),
            ("body", "body", "object", False),
        }
        whole = {part["name"]: part.get("schema") for part in post["parameters"]}
        assert whole["body"] == body
        # Nothing that was seen may be refused for its type.
        assert whole["/n"] == {"type": ["null", "string"]}
        assert whole["/tags"] == {"type": "array", "items": {}}
        assert [(item["host"], item["exposedPort"]) for item in found["endpoints"]] == [("*", 80)]
        assert client.put(PATH, json={"rules": [rule("shop", application(apiSpec=found))]}).status_code == 200
    assert {item["shadow"] for item in discovered(console, **ONE)} == {False}


def test_forgetting_begins_anew(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """Nothing is left of what was discovered, also of what was not written yet; what is not there cannot go."""
    tell(ends[0], endpoint("/old"))
    with console.client() as client:
        assert client.delete(DISCOVERY, params=ONE).status_code == 200
        assert client.delete(DISCOVERY, params=ONE).status_code == 404
        assert client.get(f"{DISCOVERY}/openapi", params=ONE).status_code == 404
        assert client.delete(DISCOVERY, params={"appID": "shop:1"}).status_code == 422
    tell(ends[0], endpoint("/new", hits=2))
    assert [(item["path"], item["hits"]) for item in discovered(console, **ONE)] == [("/new", 2)]


def test_a_defender_invents_no_applications(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """What is told of an application that its policy does not have is left out, and it cannot be in the future."""
    tell(ends[0], endpoint(), application="invented")
    assert discovered(console, application="invented") == []
    tell(ends[0], endpoint(lastSeen=253_402_300_799_999))
    (found,) = discovered(console, **ONE)
    assert found["lastSeen"] < "2100"


def deep(levels: int) -> dict[str, Any]:
    """Return a shape of so many levels."""
    shape: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        shape = {"type": "object", "properties": {"a": shape}}
    return shape


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "orders"},
        {"method": "get"},
        {"body": {"type": "date"}},
        {"body": {"type": ["string", 1]}},
        {"query": {"properties": []}},
        {"body": {"properties": {"n" * 513: {}}}},
        {"statuses": {"99": 1}},
        {"hits": -1},
    ],
)
def test_what_does_not_fit_ends_the_session(ends: list[DefenderEnd], wrong: dict[str, Any]) -> None:
    """It is a bad message, and nothing of it is kept."""
    report = {"application": "storefront", "endpoints": [endpoint(**wrong)], "wide": [], "dropped": 0}
    ends[0].send({"type": "status", "workloads": [], "waas": {"discovery": [report]}})
    assert ends[0].receive()["code"] == "badMessage"


def test_a_shape_without_end_is_refused(ends: list[DefenderEnd]) -> None:
    """A message that is nested as deep as a frame can be ends the session, not the Console."""
    report = {"application": "storefront", "endpoints": [endpoint(body={"items": "HERE"})], "wide": [], "dropped": 0}
    text = json.dumps({"type": "status", "workloads": [], "waas": {"discovery": [report]}})
    levels = 90_000
    assert ends[0].link is not None
    ends[0].link.send(text.replace('"HERE"', '{"items":' * levels + "{}" + "}" * levels))
    assert ends[0].receive()["code"] == "badMessage"


def test_shapes_are_as_deep_as_is_kept(console: ConsoleUnderTest, ends: list[DefenderEnd]) -> None:
    """What is deeper than Defenders look is cut off."""
    tell(ends[0], endpoint(body=deep(100)))
    assert discovered(console, **ONE)[0]["body"] == json.loads(json.dumps(deep(10)).replace("string", "object"))


def test_what_was_told_outlives_the_console(tmp_path: Path) -> None:
    """What waited when the Console was stopped is there when it is started again."""
    data = tmp_path / "data"
    with running_console(data) as console:
        console.sign_up()
        with console.client() as client:
            assert client.put(PATH, json={"rules": [rule("shop", application())]}).status_code == 200
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()
        tell(end, endpoint(hits=3))
        end.close()
    with running_console(data) as console:
        console.log_in()
        assert [item["hits"] for item in discovered(console)] == [3]
        with console.client() as client:
            document = client.get(f"{DISCOVERY}/openapi", params=ONE).content
    assert list(read_spec(document).document["paths"]) == ["/orders/{id}"]
    assert api_spec_of(read_spec(document))["paths"][0]["methods"][0]["method"] == "GET"
