"""The page Alerts: a profile is made, tried and used; one that fails says why."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from browser import watched
from console import Console
from embedded import embedded_defender

CheckPage = Callable[..., None]


def test_a_profile_is_made_tried_and_tells_of_an_attack(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """The preview follows the form, the test arrives, and so does what a real Defender reports."""
    page.goto(f"{ui_console.url}/manage/alerts")
    expect(page.get_by_text("Nobody is told of anything yet")).to_be_visible()
    check_page(page, "alerts-empty")
    page.get_by_role("button", name="New profile").click()
    drawer = page.get_by_role("dialog", name="New alert profile")
    drawer.get_by_label("Name").first.fill("archive")
    drawer.get_by_role("combobox", name="Target").click()
    page.get_by_role("option", name="File of OCSF events").click()
    drawer.get_by_label("Name").last.fill("events")
    expect(drawer.get_by_role("region", name="Preview")).to_contain_text("Detection Finding")
    drawer.get_by_role("region", name="Runtime audits").get_by_label("Effects").press("Backspace")
    check_page(page, "alerts-editor")
    drawer.get_by_role("button", name="Send a test").click()
    expect(drawer.get_by_text("The test alert arrived")).to_be_visible()
    drawer.get_by_role("button", name="Add profile").click()
    row = page.get_by_role("table", name="Alert profiles").get_by_role("row", name="archive")
    expect(row).to_contain_text("idle")
    ui_console.put_policy({"name": "no sleep", "processes": {"effect": "alert", "blacklist": ["sleep"]}})
    with embedded_defender(ui_console, "sleeper:1"):
        expect(row).to_contain_text("working", timeout=20_000)
    told = (ui_console.data_dir / "alerts/events.jsonl").read_text().splitlines()
    assert len(told) >= 2
    assert json.loads(told[-1])["unmapped"]["event"]["appID"] == "sleeper:1"


def test_a_profile_that_fails_says_why(
    signed_in_context: BrowserContext, ui_console: Console, check_page: CheckPage
) -> None:
    """The test's error is told in the editor, secrets do not come back, and removing asks first."""
    for name, block in {
        "pager of the night shift": {"pagerduty": {"routingKey": {"plain": "a-routing-key"}}},
        "chat": {"slack": {"webhookUrl": {"plain": "https://hooks.slack.example/services/T0/B0/x"}}},
    }.items():
        ui_console.request("POST", "alert-profiles", json={"name": name, "policy": {"incident": {}}, **block})
    page = signed_in_context.new_page()
    with watched(page, expected=("502",)):
        page.goto(f"{ui_console.url}/manage/alerts")
        page.get_by_role("row", name="chat").click()
        drawer = page.get_by_role("dialog", name="chat")
        expect(drawer.get_by_label("Webhook address")).to_have_value("")
        expect(drawer.get_by_label("Webhook address")).to_have_attribute("placeholder", "kept; type to replace it")
        drawer.get_by_role("button", name="Send a test").click()
        expect(drawer.get_by_role("alert")).to_contain_text("`hooks.slack.example` cannot be reached")
        drawer.get_by_role("button", name="Remove profile").click()
        page.get_by_role("dialog", name="Remove “chat”?").get_by_role("button", name="Remove", exact=True).click()
        expect(page.get_by_role("table", name="Alert profiles")).not_to_contain_text("chat")
        check_page(page, "alerts")
