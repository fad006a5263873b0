"""Show every page of a lively Console at both widths: `screenshots.py FOLDER`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser import WIDTHS, launched, page_paths, settle, signed_in
from console import Console, running_console
from scene import lively


def main(folder: Path) -> None:
    """Write one picture for each page and width."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        sync_playwright() as playwright,
        running_console(Path(scratch) / "data", "console.example.com") as console,
    ):
        browser = launched(playwright)
        page = signed_in(browser, console).new_page()
        shoot(page, console, "/", folder / "first-run")
        with lively(console, Path(scratch) / "ends"):
            for path in page_paths(page):
                shoot(page, console, path, folder / (path.strip("/").replace("/", "-") or "overview"))
        browser.close()


def shoot(page: Page, console: Console, path: str, name: Path) -> None:
    """Write the pictures of one page."""
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.goto(console.url + path)
        page.get_by_role("heading", level=1).wait_for()
        settle(page)
        page.screenshot(path=name.with_name(f"{name.name}-{width}.png"))
    print(f"  {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
