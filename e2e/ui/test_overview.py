"""The Overview: the guide of the first run, then what a lively Console shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from console import Console
from scene import lively

CheckPage = Callable[..., None]


def test_first_run_guides_and_goes_away(page: Page, ui_console: Console, tmp_path: Path, check_page: CheckPage) -> None:
    """The guide has the addresses of this Console; the first Defender ends it, and what it reports is shown."""
    guide = page.get_by_role("region", name="Protect your first task in three steps")
    expect(guide).to_be_visible()
    expect(guide).to_contain_text(f"--address {ui_console.url}")
    check_page(page, "overview-first-run")
    with lively(ui_console, tmp_path / "ends"):
        page.reload()
        expect(guide).to_be_hidden()
        expect(page.get_by_role("link", name="Defenders connected")).to_contain_text("3")
        expect(page.get_by_role("link", name="payments: production")).to_be_visible()
        check_page(page, "overview")
        page.get_by_text("7 days", exact=True).click()
        expect(page.get_by_role("heading", name="Events 399 in 7 days")).to_be_visible()
