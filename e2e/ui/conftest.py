"""Fixtures of the browser tests: a real Console, a real Chromium, and a page signed in as the administrator."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from browser import check, launched, signed_in, watched
from console import Console, running_console

ROOT = Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x40000000  # unshare(2)


def pytest_configure() -> None:
    """Give each worker a network of its own; Chromium ends its requests when an interface comes or goes."""
    if os.geteuid() == 0:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "no network namespace can be made")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the session."""
    built = ROOT / "console/src/bartizan/web/index.html"
    assert built.exists(), "the pages are not built: run `make ui`, or `npm run build` in ui/"
    with sync_playwright() as playwright:
        chromium = launched(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def ui_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One Console with an administrator for the tests of a module."""
    with running_console(tmp_path_factory.mktemp("ui-console") / "data", "console.test") as started:
        yield started


@pytest.fixture(scope="module")
def signed_in_context(browser: Browser, ui_console: Console) -> Iterator[BrowserContext]:
    """One sign-in for the tests of a module: a password takes half a second to check."""
    context = signed_in(browser, ui_console)
    yield context
    context.close()


@pytest.fixture
def refusals() -> list[str]:
    """Parts of the messages that a test provokes: browsers note each refused request as an error."""
    return []


@pytest.fixture
def page(signed_in_context: BrowserContext, ui_console: Console, refusals: list[str]) -> Iterator[Page]:
    """A page at the start, signed in as administrator; fails on console errors and on violations of the CSP."""
    page = signed_in_context.new_page()
    with watched(page, expected=refusals):
        page.goto(f"{ui_console.url}/")
        page.get_by_role("heading", level=1).wait_for()
        yield page
        page.close()


@pytest.fixture
def check_page(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Page], None]:
    """Check the shown page with axe in both colours and at both widths; leave screenshots in `tmp_path`."""

    def checked(page: Page, name: str | None = None) -> None:
        check(page, tmp_path, name or request.node.name)

    return checked
