"""The page Collections, with a real Defender that scopes can cover."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from console import Console
from embedded import embedded_defender

CheckPage = Callable[..., None]


def test_a_collection_is_made_used_and_removed(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """The preview follows what is typed; a rule's use keeps a collection, and afterwards it can go."""
    page.goto(f"{ui_console.url}/defend/collections")
    expect(page.get_by_text("There is only the built-in collection")).to_be_visible()
    check_page(page, "collections-empty")
    with embedded_defender(ui_console, "shop:test"):
        page.get_by_role("button", name="New collection").click()
        drawer = page.get_by_role("dialog", name="New collection")
        drawer.get_by_label("Name", exact=False).first.fill("shop")
        drawer.get_by_label("Description").fill("The shop, in every environment")
        covered = drawer.get_by_role("region", name="What it covers now")
        expect(covered).to_contain_text("shop:test")
        field = drawer.get_by_label("App IDs")
        field.fill("nothing-like-this*")
        field.press("Enter")
        expect(covered).to_contain_text("None of the connected workloads lies in it")
        field.press("Backspace")
        field.fill("shop:*")
        field.press("Enter")
        expect(covered).to_contain_text("shop:test")
        check_page(page, "collections-editor")
        drawer.get_by_role("button", name="Add collection").click()
        expect(page.get_by_role("table", name="Collections")).to_contain_text("shop:*")
    ui_console.put_policy({"name": "shop rule", "collections": [{"name": "shop"}], "processes": {"effect": "alert"}})
    page.goto(f"{ui_console.url}/defend/collections?open=shop")
    drawer = page.get_by_role("dialog", name="shop")
    expect(drawer.get_by_role("region", name="What uses it")).to_contain_text("Runtime rule shop rule")
    expect(drawer.get_by_role("button", name="Remove collection")).to_be_disabled()
    ui_console.put_policy()
    page.reload()
    drawer.get_by_role("button", name="Remove collection").click()
    page.get_by_role("dialog", name="Remove “shop”?").get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("There is only the built-in collection")).to_be_visible()
    assert [item["name"] for item in ui_console.request("GET", "collections").json()] == ["All"]


def test_many_collections_stay_readable(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """Long patterns, colours and exclusions fit at every width, and search finds by pattern."""
    for number, (name, scope) in enumerate({
        "payments": {"images": ["registry.example.com/payments/*", "-*:debug"], "labels": ["environment:production"]},
        "data: notebooks": {"appIDs": ["jupyter:*", "rstudio:*", "beaker:*", "hub:*"], "clusters": ["research"]},
        "everything of team blue": {"labels": ["team:blue"], "accountIDs": ["123456789012", "210987654321"]},
    }.items()):  # fmt: skip
        color = ("#1b8a5a", "#7b3fa0", "#2a7de1")[number]
        ui_console.request("POST", "collections", json={"name": name, "color": color, **scope})
    page.goto(f"{ui_console.url}/defend/collections")
    table = page.get_by_role("table", name="Collections")
    expect(table).to_contain_text("and 1 more")
    check_page(page, "collections")
    page.get_by_role("searchbox").fill("environment:prod")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table).to_contain_text("payments")
