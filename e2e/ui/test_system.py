"""The page System: looks on real data, and the way of a backup and of a retention."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from console import Console

CheckPage = Callable[..., None]


def test_the_system_tells_what_it_is(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """Each tab has an address of its own, and what it says is the Console's."""
    page.goto(f"{ui_console.url}/manage/system")
    expect(page.get_by_text("Private authority")).to_be_visible()
    check_page(page, "system-certificates")
    page.get_by_role("tab", name="Diagnostics").click()
    expect(page.get_by_text("Everything works")).to_be_visible()
    page.goto(f"{ui_console.url}/manage/system?tab=about")
    expect(page.get_by_text("SQLite,")).to_be_visible()


def test_a_retention_is_kept(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """What is saved is in force, and is what the page shows again."""
    page.goto(f"{ui_console.url}/manage/system?tab=retention")
    events = page.get_by_role("group", name="WAAS events")
    events.get_by_label("Days").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("In force from the next clean-up on.")).to_be_visible()
    check_page(page, "system-retention")
    assert ui_console.request("GET", "settings/retention").json()["firewall"]["days"] == 7


def test_a_backup_is_made_taken_away_and_removed(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """From an empty list to a file in the browser, and back."""
    page.goto(f"{ui_console.url}/manage/system?tab=backup")
    expect(page.get_by_text("There is no backup here")).to_be_visible()
    page.get_by_label("Passphrase for the Console").fill("correct horse battery")
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_text("Done, with keys")).to_be_visible()
    check_page(page, "system-backup")
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download bartizan-").click()
    assert begun.value.path().read_bytes().startswith(b"\x1f\x8b")
    page.get_by_role("button", name="Remove bartizan-").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("There is no backup here")).to_be_visible()
