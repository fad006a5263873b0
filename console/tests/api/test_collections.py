"""Collections over the API, with the policies that name them."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from tests.channel.running import USER, ConsoleUnderTest

RUNTIME = "/policies/runtime/app-embedded"
WAAS = "/policies/firewall/app/app-embedded"
SHOP = {"name": "shop", "appIDs": ["shop:*"], "color": "#2a7de1", "description": "The shop"}


@pytest.fixture
def client(console: ConsoleUnderTest) -> Iterator[httpx.Client]:
    """Return a client of a Console without rules and collections."""
    with console.client() as client:
        client.put(RUNTIME, json={"rules": []})
        client.put(WAAS, json={"rules": []})
        for item in client.get("/collections").json():
            if not item["system"]:
                assert client.delete(f"/collections/{quote(item['name'], safe='')}").status_code == 200
        yield client


def runtime_rule(*collections: dict[str, object], name: str = "r") -> dict[str, object]:
    """Return a policy of one rule."""
    return {"rules": [{"name": name, "collections": list(collections), "processes": {"effect": "alert"}}]}


def test_what_is_kept_comes_back_and_goes(client: httpx.Client) -> None:
    """A collection is kept with its owner, changed, shown beside the built-in one, and removed."""
    assert client.post("/collections", json=SHOP).status_code == 200
    assert client.post("/collections", json=SHOP).status_code == 409
    built_in, shown = client.get("/collections").json()
    assert (built_in["name"], built_in["system"]) == ("All", True)
    assert shown.items() >= {**SHOP, "owner": USER, "images": ["*"], "system": False}.items()
    assert client.get("/collections/shop").json() == shown
    assert client.put("/collections/shop", json={**shown, "labels": ["env:*"]}).status_code == 200
    assert client.get("/collections/shop").json()["labels"] == ["env:*"]
    assert client.delete("/collections/shop").status_code == 200
    for answer in (client.get("/collections/shop"), client.delete("/collections/shop")):
        assert (answer.status_code, answer.json()["err"]) == (404, "there is no collection `shop`")


def test_names_of_any_kind_can_be_addressed(client: httpx.Client) -> None:
    """Blanks, colons and other scripts stand in a path."""
    for name in ("team a: shop", "магазин", "100%#?"):
        assert client.post("/collections", json={**SHOP, "name": name}).status_code == 200
        assert client.get(f"/collections/{quote(name, safe='')}").json()["name"] == name
        assert client.delete(f"/collections/{quote(name, safe='')}").status_code == 200


def test_a_collection_cannot_take_another_name(client: httpx.Client) -> None:
    """The name in the path is the collection's; the built-in one neither changes nor goes."""
    client.post("/collections", json=SHOP)
    answer = client.put("/collections/shop", json={**SHOP, "name": "store"})
    assert (answer.status_code, "cannot be changed" in answer.json()["err"]) == (400, True)
    assert client.put("/collections/All", json={"images": ["x"]}).status_code == 400
    assert client.delete("/collections/All").status_code == 409


def test_a_rule_follows_the_collection_that_it_names(client: httpx.Client) -> None:
    """A changed scope is a new revision of the policies that name it, and of no other."""
    client.post("/collections", json=SHOP)
    first = int(client.put(RUNTIME, json=runtime_rule({"name": "shop"})).headers["policy-revision"])
    shown = client.get(RUNTIME).json()
    assert shown["rules"][0]["collections"][0]["appIDs"] == ["shop:*"]
    assert client.put(RUNTIME, json=shown).headers["policy-revision"] == str(first)
    client.put("/collections/shop", json={**SHOP, "description": "Another text"})
    assert client.put(RUNTIME, json=client.get(RUNTIME).json()).headers["policy-revision"] == str(first)
    client.put("/collections/shop", json={**SHOP, "appIDs": ["shop:2"]})
    now = client.get(RUNTIME).json()
    assert now["rules"][0]["collections"][0]["appIDs"] == ["shop:2"]
    assert client.put(RUNTIME, json=now).headers["policy-revision"] == str(first + 1)
    stale = client.put(RUNTIME, json=shown)
    assert (stale.status_code, "has another scope" in stale.json()["err"]) == (400, True)


def test_what_is_in_use_stays(client: httpx.Client) -> None:
    """A refusal names every rule that uses the collection; when they are gone, it can go."""
    client.post("/collections", json=SHOP)
    client.put(RUNTIME, json=runtime_rule({"name": "shop"}, name="runs"))
    waas = {"name": "web", "collections": [{"name": "shop"}], "applicationsSpec": []}
    assert client.put(WAAS, json={"rules": [waas]}).status_code == 200
    usages = client.get("/collections/shop/usages").json()
    assert [(item["policy"], item["name"]) for item in usages] == [("runtime", "runs"), ("waas", "web")]
    answer = client.delete("/collections/shop")
    assert answer.status_code == 409
    assert "the runtime rule `runs`, the waas rule `web`" in answer.json()["err"]
    client.put(RUNTIME, json={"rules": []})
    client.put(WAAS, json={"rules": []})
    assert client.get("/collections/shop/usages").json() == []
    assert client.delete("/collections/shop").status_code == 200


def test_a_name_never_has_two_scopes(client: httpx.Client) -> None:
    """A rule cannot name what is not there, and a collection cannot take the name of a rule's own other scope."""
    answer = client.put(RUNTIME, json=runtime_rule({"name": "shop"}))
    assert (answer.status_code, "there is no collection `shop`" in answer.json()["err"]) == (400, True)
    assert client.put(RUNTIME, json=runtime_rule({"name": "shop", "images": ["x"]})).status_code == 200
    answer = client.post("/collections", json=SHOP)
    assert (answer.status_code, "the runtime rule `r` has a scope of its own" in answer.json()["err"]) == (409, True)
    assert client.post("/collections", json={"name": "shop", "images": ["x"]}).status_code == 200
    assert client.delete("/collections/shop").status_code == 409


def test_a_preview_keeps_nothing(client: httpx.Client) -> None:
    """A scope is tried without a name; bad ones are refused like kept ones."""
    answer = client.post("/collections/preview", json={"images": ["shop*"]})
    assert answer.json() == {"total": 0, "defenders": 0, "connected": 0, "matches": []}
    assert client.post("/collections/preview", json={"images": ["-shop*"]}).status_code == 400
    assert len(client.get("/collections").json()) == 1
