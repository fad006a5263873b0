"""The page Access: people, roles, API tokens, sessions, and the log of what they changed."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from browser import signed_in, watched
from console import Console

CheckPage = Callable[..., None]
AUDITOR = {"username": "ann", "password": "a long password of ann", "role": "Auditor"}


def test_people_are_let_in_and_their_changes_are_seen(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """An administrator adds a user, a group, a role and an API token; the log has all of it, and is intact."""
    page.goto(f"{ui_console.url}/manage/access")
    expect(page.get_by_text("You are the only user")).to_be_visible()
    page.get_by_role("button", name="New user").click()
    dialog = page.get_by_role("dialog", name="New user")
    dialog.get_by_label("Name", exact=False).first.fill("bob")
    dialog.get_by_label("Password", exact=False).first.fill("a long password of bob")
    dialog.get_by_role("combobox", name="Role").click()
    page.get_by_role("option", name="Operator").click()
    check_page(page, "access-user")
    dialog.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("table", name="Users")).to_contain_text("bob")
    check_page(page, "access-users")

    page.get_by_role("tab", name="Roles").click()
    page.get_by_role("button", name="New role").click()
    dialog = page.get_by_role("dialog", name="New role")
    dialog.get_by_label("Name", exact=False).first.fill("Policy author")
    dialog.get_by_label("policy: write").check()
    dialog.get_by_label("policy: read").check()
    check_page(page, "access-role")
    dialog.get_by_role("button", name="Add role").click()
    expect(page.get_by_role("table", name="Roles")).to_contain_text("Policy author")

    page.get_by_role("tab", name="API tokens").click()
    page.get_by_role("button", name="New API token").click()
    dialog = page.get_by_role("dialog", name="New API token")
    dialog.get_by_label("What it is for").fill("nightly build")
    dialog.get_by_role("button", name="Make token").click()
    token = page.get_by_text("btz_").inner_text()
    assert len(token) == 40
    check_page(page, "access-tokens")

    page.get_by_role("tab", name="Sessions").click()
    expect(page.get_by_role("table", name="Sessions")).to_contain_text("this one")

    page.get_by_role("tab", name="Sign-in").click()
    page.get_by_label("Issuer").fill("https://169.254.169.254")
    page.get_by_label("Client ID").fill("bartizan")
    check_page(page, "access-sign-in")

    page.get_by_role("tab", name="Changes").click()
    table = page.get_by_role("table", name="Changes")
    expect(table).to_contain_text("POST /api/v1/rbac/roles")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("status").filter(has_text="Intact")).to_be_visible()
    check_page(page, "access-changes")
    table.get_by_text("POST /api/v1/users").first.click()
    details = page.get_by_role("dialog")
    expect(details).to_contain_text("[bob]")
    expect(details).not_to_contain_text("a long password")


def test_an_auditor_looks_and_changes_nothing(browser: Browser, ui_console: Console) -> None:
    """No button that writes is offered, and the Console refuses what is sent without one."""
    ui_console.request("POST", "users", json=AUDITOR)
    context = signed_in(browser, ui_console, user=AUDITOR["username"], password=AUDITOR["password"])
    page = context.new_page()
    with watched(page):
        page.goto(f"{ui_console.url}/manage/access")
        expect(page.get_by_role("table", name="Users")).to_contain_text("ann")
        expect(page.get_by_role("button", name="New user")).to_have_count(0)
        answer = context.request.delete(
            f"{ui_console.url}/api/v1/users/bob", headers={"X-Bartizan-Request": "1", "Origin": ui_console.url}
        )
        assert answer.status == 403
    context.close()


def test_who_is_limited_starts_at_their_events(browser: Browser, ui_console: Console) -> None:
    """The first page that they may see is their start; pages of all workloads are not offered, and say why."""
    limited = {**AUDITOR, "username": "till", "permissions": [{"collections": ["till"]}]}
    ui_console.request("POST", "collections", json={"name": "till", "appIDs": ["till:*"]})
    ui_console.request("POST", "users", json=limited)
    context = signed_in(browser, ui_console, user="till", password=AUDITOR["password"])
    page = context.new_page()
    with watched(page):
        page.goto(f"{ui_console.url}/")
        expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()
        expect(page.get_by_role("link", name="Incidents")).to_be_visible()
        expect(page.get_by_role("link", name="WAAS")).to_have_count(0)
        page.goto(f"{ui_console.url}/defend/waas")
        expect(page.get_by_text("You are limited to till")).to_be_visible()
    context.close()
