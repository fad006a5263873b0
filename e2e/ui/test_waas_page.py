"""The page WAAS: rules in forms and as JSON, reviewed before they are saved, with history and network lists."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from browser import watched
from console import Console

CheckPage = Callable[..., None]
PATH = "policies/firewall/app/app-embedded"


def test_the_first_rule_is_made_reviewed_changed_and_taken_back(
    page: Page, ui_console: Console, check_page: CheckPage
) -> None:
    """From nothing to a rule in prevent: every step is seen before it is saved, and can be taken back."""
    page.goto(f"{ui_console.url}/defend/waas")
    expect(page.get_by_text("No web application is protected yet")).to_be_visible()
    check_page(page, "waas-empty")
    page.get_by_role("button", name="Make the first rule").click()
    editor = page.get_by_role("dialog", name="New WAAS rule")
    editor.get_by_role("textbox", name="Name", exact=True).fill("shop")
    editor.get_by_label("Its name").fill("storefront")
    check_page(page, "waas-endpoints")
    editor.get_by_role("tab", name="Protections").click()
    editor.get_by_role("button", name="prevent", exact=True).click()
    check_page(page, "waas-protections")
    editor.get_by_role("button", name="Review changes").click()
    review = page.get_by_role("dialog", name="Review before saving")
    expect(review.get_by_role("group", name="Changes of shop")).to_contain_text("effect: prevent")
    review.get_by_label("Why").fill("the shop's first rule")
    check_page(page, "waas-review")
    review.get_by_role("button", name="Save and put in force").click()
    table = page.get_by_role("table", name="WAAS rules")
    expect(table).to_contain_text("80 → 8080")
    expect(table).to_contain_text("prevent")
    [rule] = ui_console.request("GET", PATH).json()["rules"]
    assert rule["applicationsSpec"][0]["sqli"]["effect"] == "prevent"
    # Switched off in the list, seen in the history, and taken back.
    table.get_by_role("switch", name="shop is on").press("Space")
    page.get_by_role("dialog", name="Review before saving").get_by_role("button", name="Save and put in force").click()
    expect(table).to_contain_text("off")
    page.get_by_role("tab", name="History").click()
    page.get_by_role("table", name="Revisions").get_by_role("row").nth(2).click()
    expect(page.get_by_role("group", name="Changes of shop")).to_be_visible()
    check_page(page, "waas-history")
    page.get_by_role("button", name="in force again").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("table", name="Revisions")).to_contain_text("back to revision")
    assert ui_console.request("GET", PATH).json()["rules"][0]["disabled"] is False


def test_a_late_change_and_a_wrong_one_are_told(signed_in_context: BrowserContext, ui_console: Console) -> None:
    """What would be refused stands in the review; what somebody else saved meanwhile is not overwritten."""
    endpoint = {"exposedPort": 80, "internalPort": 8080}
    application = {"appID": "web", "apiSpec": {"endpoints": [endpoint]}, "sqli": {"effect": "alert"}}
    rules = [{"name": "theirs", "applicationsSpec": [application]}]
    ui_console.request("PUT", PATH, json={"rules": rules})
    page = signed_in_context.new_page()
    # Browsers note a refused request as an error.
    with watched(page, expected=("status of 412",)):
        page.goto(f"{ui_console.url}/defend/waas?open=theirs")
        editor = page.get_by_role("dialog", name="WAAS rule theirs")
        editor.get_by_label("Application's port").fill("80")
        editor.get_by_role("button", name="Review changes").click()
        review = page.get_by_role("dialog", name="Review before saving")
        expect(review).to_contain_text("the application cannot have the port 80 too")
        expect(review.get_by_role("button", name="Save and put in force")).to_be_disabled()
        review.get_by_role("button", name="Back").click()
        editor.get_by_label("Application's port").fill("9090")
        ui_console.request("PUT", PATH, json={"rules": [*rules, {**rules[0], "name": "quicker"}]})
        editor.get_by_role("button", name="Review changes").click()
        review.get_by_role("button", name="Save and put in force").click()
        expect(review).to_contain_text("Somebody else was quicker")
        expect(review.get_by_role("group", name="Changes of quicker")).to_be_visible()
    page.close()
    names = [rule["name"] for rule in ui_console.request("GET", PATH).json()["rules"]]
    assert names == ["theirs", "quicker"]
