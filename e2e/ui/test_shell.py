"""The way in, the frame around the pages, and what holds for each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser import page_paths, watched
from console import PASSWORD, USER, Console

CheckPage = Callable[..., None]


@pytest.fixture
def fresh(browser: Browser) -> Iterator[Page]:
    """A page of a browser that nobody signed in with."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 860})
    page = context.new_page()
    # Browsers note a refused request as an error: that nobody is signed in yet is no fault.
    with watched(page, expected=("status of 401",)):
        yield page
    context.close()


def test_first_start_asks_for_the_token(fresh: Page, tmp_path: Path, check_page: CheckPage) -> None:
    """Only whoever has the token of the first start becomes the administrator."""
    console = Console(tmp_path / "data")
    console.start(sign_up=False)
    try:
        fresh.goto(f"{console.url}/manage/names")
        expect(fresh.get_by_role("heading", level=1)).to_have_text("Set up this Console")
        check_page(fresh)
        token = (tmp_path / "data/setup-token").read_text().strip()
        fresh.get_by_role("textbox", name="Set-up token").fill(token)
        fresh.get_by_role("textbox", name="Password", exact=True).fill("too short")
        expect(fresh.get_by_text("3 more characters are needed")).to_be_visible()
        fresh.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
        fresh.get_by_role("textbox", name="Password again").fill(PASSWORD)
        fresh.get_by_role("button", name="Become the administrator").click()
        expect(fresh.get_by_role("heading", level=1)).to_have_text("Names")
        assert not (tmp_path / "data/setup-token").exists()
    finally:
        console.end()


def test_sign_in_leads_where_one_wanted_to_go(fresh: Page, ui_console: Console, check_page: CheckPage) -> None:
    """A refused password says so; a right one leads to the page asked for; signing out ends the session."""
    fresh.goto(f"{ui_console.url}/manage/names")
    expect(fresh.get_by_role("heading", level=1)).to_have_text("Sign in to Bartizan")
    check_page(fresh)
    fresh.get_by_label("User name").fill(USER)
    fresh.get_by_role("textbox", name="Password", exact=True).fill("a wrong password")
    fresh.get_by_role("button", name="Sign in").click()
    expect(fresh.get_by_role("alert")).to_contain_text("You are not signed in")
    fresh.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    fresh.keyboard.press("Enter")
    expect(fresh.get_by_role("heading", level=1)).to_have_text("Names")
    # Sign out, and the session is gone at the Console too.
    cookies = fresh.context.cookies()
    assert [(cookie["httpOnly"], cookie["secure"]) for cookie in cookies] == [(True, True)]
    fresh.get_by_role("button", name=f"Account of {USER}").click()
    fresh.get_by_role("menuitem", name="Sign out").click()
    expect(fresh.get_by_role("heading", level=1)).to_have_text("Sign in to Bartizan")
    fresh.context.add_cookies(cookies)
    assert fresh.context.request.get(f"{ui_console.url}/api/v1/session").status == 401


def test_ended_session_asks_to_sign_in_and_keeps_the_place(fresh: Page, ui_console: Console) -> None:
    """A session that is gone is noticed with the next request."""
    fresh.goto(f"{ui_console.url}/manage/names")
    fresh.get_by_label("User name").fill(USER)
    fresh.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    fresh.keyboard.press("Enter")
    expect(fresh.get_by_role("heading", level=1)).to_have_text("Names")
    fresh.context.clear_cookies()
    fresh.get_by_label("Name to add").fill("other.test")
    fresh.get_by_role("button", name="Add", exact=True).click()
    expect(fresh.get_by_role("status")).to_contain_text("Your session ended")
    assert fresh.url == f"{ui_console.url}/manage/names"


def test_every_page_is_accessible_and_quiet(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """Every page of the navigation passes axe in both colours and both widths, with nothing in the console."""
    paths = page_paths(page)
    assert "/manage/names" in paths
    for path in paths:
        page.goto(ui_console.url + path)
        page.get_by_role("heading", level=1).wait_for()
        check_page(page, path.strip("/").replace("/", "-") or "overview")


def test_palette_and_skip_link_work_by_keyboard(page: Page) -> None:
    """Pages are reached, and the navigation skipped, without a mouse."""
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Go to a page")).to_be_focused()
    page.keyboard.type("SAN")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Names")
    page.reload()
    page.get_by_role("heading", level=1).wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_unknown_page_says_so(page: Page, ui_console: Console) -> None:
    """An address without a page is shown as text."""
    page.goto(f"{ui_console.url}/no/such/<img src=x onerror=alert(1)>")
    expect(page.get_by_role("heading", level=1)).to_have_text("No such page")
    expect(page.get_by_text("<img").or_(page.get_by_text("%3Cimg"))).to_be_visible()


def test_theme_is_kept(page: Page) -> None:
    """The choice of colours outlives a reload."""
    page.get_by_role("button", name="Use dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    # The context is shared with other tests, which want the colours of the system.
    page.evaluate("localStorage.clear()")


def test_injected_scripts_and_styles_do_not_run(signed_in_context: BrowserContext, ui_console: Console) -> None:
    """What attackers might bring into a document neither runs nor is styled."""
    page = signed_in_context.new_page()
    page.goto(f"{ui_console.url}/")
    page.get_by_role("heading", level=1).wait_for()
    page.evaluate(
        """() => {
            const script = document.createElement('script'); script.textContent = 'window.injected = true';
            document.body.append(script);
            const image = document.createElement('img'); image.setAttribute('onerror', 'window.injected = true');
            image.src = '/assets/none.png'; document.body.append(image);
            const style = document.createElement('style'); style.textContent = 'body { --injected: 1 }';
            document.head.append(style);
        }"""
    )
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.injected") is None
    assert page.evaluate("getComputedStyle(document.body).getPropertyValue('--injected')") == ""
    page.close()


def test_nonce_is_fresh_and_documents_are_not_kept(signed_in_context: BrowserContext, ui_console: Console) -> None:
    """Each answer has a nonce of its own, and allows nothing inline without it."""
    answers = [signed_in_context.request.get(f"{ui_console.url}/monitor/x") for _ in range(2)]
    nonces = [re.findall(r"'nonce-([\w-]{24})'", answer.headers["content-security-policy"]) for answer in answers]
    assert len(set(nonces[0])) == 1
    assert nonces[0] != nonces[1]
    assert all(nonce[0] in answer.text() for nonce, answer in zip(nonces, answers, strict=True))
    assert answers[0].headers["cache-control"] == "no-store"
    assert "unsafe" not in answers[0].headers["content-security-policy"]


def test_names_are_added_and_removed(page: Page, ui_console: Console) -> None:
    """What the page says is what the API has."""
    page.get_by_role("link", name="Names", exact=True).click()
    page.get_by_label("Name to add").fill("shell.test")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("cell", name="shell.test", exact=True)).to_be_visible()
    assert "shell.test" in ui_console.request("GET", "settings/certs").json()["consoleSAN"]
    page.get_by_role("button", name="Remove shell.test").click()
    expect(page.get_by_role("cell", name="shell.test", exact=True)).to_be_hidden()


def test_api_reference_is_searched(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """A route is found by its words, and shown with a call and an example; the search lives in the address."""
    page.goto(f"{ui_console.url}/manage/api")
    page.get_by_role("searchbox").fill("overview")
    page.get_by_role("button", name="GET /api/v1/overview").click()
    expect(page.get_by_text(f"'{ui_console.url}/api/v1/overview'")).to_be_visible()
    expect(page).to_have_url(f"{ui_console.url}/manage/api?search=overview")
    check_page(page, "api-reference")
