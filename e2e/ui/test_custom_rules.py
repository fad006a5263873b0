"""Custom rules: the library, and the live check of a condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser import watched
from console import Console

CheckPage = Callable[..., None]
RULE = {
    "_id": 7,
    "name": "no shells under nginx",
    "type": "processes",
    "script": 'proc.name in ("sh", "bash")\nand proc.ancestors contains "nginx"',
}


@pytest.fixture
def refused(signed_in_context: BrowserContext) -> Iterator[Page]:
    """A page whose requests may be refused: browsers note that as an error."""
    page = signed_in_context.new_page()
    with watched(page, expected=("status of 409",)):
        yield page
        page.close()


def test_a_condition_is_checked_while_it_is_typed(refused: Page, ui_console: Console, check_page: CheckPage) -> None:
    """What is wrong is told at once and cannot be saved; a right one is kept, used, changed and not removed."""
    page = refused
    page.goto(f"{ui_console.url}/defend/custom-rules")
    expect(page.get_by_role("heading", name="The library is empty")).to_be_visible()
    check_page(page, "custom-rules-empty")
    ui_console.request("PUT", "custom-rules/7", json=RULE)
    attached = {"name": "shop", "customRules": [{"_id": 7, "effect": "prevent", "action": "incident"}]}
    ui_console.put_policy(attached)
    page.reload()
    page.get_by_role("button", name="New custom rule").click()
    page.get_by_role("textbox", name="Name").fill("no writes to /etc")
    page.get_by_role("textbox", name="Condition").fill('proc.name = "sh" and')
    expect(page.get_by_role("status").get_by_text("column 21")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    check_page(page, "custom-rules-editor")
    page.get_by_role("textbox", name="Condition").fill('proc.name = "sh" and proc.user = 0')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The custom rule is kept.")).to_be_visible()
    assert [item["_id"] for item in ui_console.request("GET", "custom-rules").json()] == [7, 8]
    check_page(page, "custom-rules")
    page.get_by_role("button", name="Remove no shells under nginx").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("is used by `shop`")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("no shells under nginx").click()
    page.get_by_role("tab", name="Used by").click()
    expect(page.get_by_role("link", name="shop")).to_be_visible()
    check_page(page, "custom-rules-usages")
