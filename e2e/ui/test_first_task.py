"""The journey of the first hour: set up, protect a task in the browser, run it, see its Defender connect."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Browser, expect

from browser import watched
from console import PASSWORD, Console
from images import SEED_DEFINITION
from task import CONSOLE_NAME, Task

SLOW = 60_000


def test_first_task_from_set_up_to_connected(browser: Browser, images: dict[str, str], tmp_path: Path) -> None:
    """Nothing but the browser is used until the task runs; its Defender ends the guide and stands in the list."""
    console = Console(tmp_path / "data", names=(CONSOLE_NAME,))
    console.start(sign_up=False)
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 860})
    page = context.new_page()
    task = None
    try:
        # Nobody is signed in when the first page asks who is.
        with watched(page, expected=("status of 401",)):
            page.goto(console.url)
            page.get_by_role("textbox", name="Set-up token").fill((tmp_path / "data/setup-token").read_text().strip())
            page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
            page.get_by_role("textbox", name="Password again").fill(PASSWORD)
            page.get_by_role("button", name="Become the administrator").click()

            guide = page.get_by_role("region", name="Protect your first task in three steps")
            guide.get_by_role("link", name="Open Manual deploy").click()
            page.get_by_role("combobox", name="Console's name for Defenders").fill(CONSOLE_NAME)
            page.get_by_role("textbox", name="Definition", exact=True).fill(json.dumps(SEED_DEFINITION, indent=2))
            page.get_by_role("button", name="Protect", exact=True).click()
            with page.expect_download() as download:
                page.get_by_role("button", name="Download").click()
            download.value.save_as(tmp_path / "protected.json")

            page.get_by_role("link", name="Overview").click()
            expect(guide).to_be_visible()
            task = Task(tmp_path / "protected.json", images)
            expect(guide).to_be_hidden(timeout=SLOW)
            expect(page.get_by_role("link", name="Defenders connected")).to_contain_text("1 Fargate", timeout=SLOW)
            page.get_by_role("navigation", name="Pages").get_by_role("link", name="Deployed Defenders").click()
            expect(page.get_by_text("webserver").first).to_be_visible()
    finally:
        if task is not None:
            task.close()
        context.close()
        console.end()
