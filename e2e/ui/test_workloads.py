"""Deployed Defenders, incidents, observations and credentials, on what Defenders told over the real channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.channel.running import DefenderEnd

from console import Console
from workload_feed import HOSTILE, fed

CheckPage = Callable[..., None]


# Some tests need what Defenders told, but not the Defenders themselves.
FED = pytest.mark.usefixtures("defenders")


@pytest.fixture(scope="module")
def defenders(ui_console: Console, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DefenderEnd]]:
    """What Defenders told the Console of these tests."""
    with fed(ui_console, tmp_path_factory.mktemp("ends")) as ends:
        yield ends


def go(page: Page, console: Console, path: str, title: str) -> None:
    """Open a page and wait until it is there."""
    page.goto(console.url + path)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


@FED
def test_defenders_look(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """States, policies and gaps of real Defenders; numbers are filters; the drawer has the whole of one."""
    go(page, ui_console, "/manage/defenders", "Deployed Defenders")
    table = page.get_by_role("table", name="Defenders")
    for text in ("shop:1803740e", "In sync", "Lost", "Ended", "2 gaps"):
        expect(table).to_contain_text(text)
    check_page(page, "defenders")
    page.get_by_role("button", name="lost").click()
    expect(table.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Clear", exact=True).click()
    table.get_by_text("billing:77").click()
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("this port is reachable beside the firewall")
    expect(drawer).to_contain_text("no rule of the runtime policy applies")
    check_page(page, "defender")


def test_a_defender_is_shut_out(page: Page, ui_console: Console, defenders: dict[str, DefenderEnd]) -> None:
    """The list loses it at once, and the Defender is told."""
    instance = defenders["billing"].instance
    go(page, ui_console, f"/manage/defenders?defender={instance}", "Deployed Defenders")
    page.get_by_role("button", name="Shut out").click()
    page.get_by_role("dialog", name="Shut this Defender out?").get_by_role("button", name="Shut out").click()
    expect(page.get_by_role("button", name="Shut out")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("table", name="Defenders")).not_to_contain_text("billing:77")
    assert defenders["billing"].receive()["code"] == "revoked"


@FED
def test_incidents_are_looked_into(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """From the list to the timeline and the process tree; what attackers wrote is text."""
    go(page, ui_console, "/monitor/incidents", "Incidents")
    table = page.get_by_role("table", name="Incidents")
    for text in ("Reverse shell", "Crypto miner", "Not stopped", "Stopped"):
        expect(table).to_contain_text(text)
    check_page(page, "incidents")
    table.get_by_text("Reverse shell").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Reverse shell")
    timeline = page.get_by_role("table", name="Timeline")
    expect(timeline).to_contain_text("tcp to 203.0.113.9 port 4444")
    expect(timeline).to_contain_text(HOSTILE)
    check_page(page, "incident-timeline")
    page.get_by_role("tab", name="Processes").click()
    expect(page.get_by_role("list", name="Processes")).to_contain_text("xmrig")
    check_page(page, "incident-processes")
    page.get_by_role("tab", name="Records").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="as JSON lines").click()
    assert "203.0.113.9" in download.value.path().read_text()


@FED
def test_incidents_are_taken_care_of(page: Page, ui_console: Console) -> None:
    """Acknowledged with undo, noted, several put away at once."""
    go(page, ui_console, "/monitor/incidents", "Incidents")
    table = page.get_by_role("table", name="Incidents")
    table.get_by_text("Crypto miner").click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("button", name="Open again")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()
    page.get_by_role("tab", name="Notes").click()
    page.get_by_label("New note").fill("checked with the team of the shop")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_role("tab", name="Notes (1)")).to_be_visible()
    page.get_by_role("button", name="All incidents").click()
    boxes = table.get_by_role("checkbox")
    expect(boxes).to_have_count(2)
    for box in boxes.all():
        box.check()
    page.get_by_role("group", name="Chosen incidents").get_by_role("button", name="Archive").click()
    expect(page.get_by_role("heading", name="Nothing is open")).to_be_visible()
    page.get_by_role("button", name="archived").click()
    expect(table.get_by_role("row")).to_have_count(3)


@FED
def test_a_profile_becomes_a_rule(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """From what was seen over the evidence to a rule in the policy, and one stage on."""
    go(page, ui_console, "/monitor/observations", "Observations")
    table = page.get_by_role("table", name="Profiles")
    expect(table).to_contain_text("Learning, no rule yet")
    check_page(page, "observations")
    table.get_by_text("battlement/shop:1").click()
    expect(page.get_by_role("table", name="Programs")).to_contain_text("/usr/bin/convert")
    check_page(page, "profile")
    page.get_by_role("tab", name="Suggested rule").click()
    expect(page.get_by_role("table", name="Evidence")).to_contain_text("*.good.test")
    expect(page.get_by_role("table", name="Left out")).to_contain_text("xmrig")
    check_page(page, "suggestion")
    page.get_by_role("button", name="Make it a rule").click()
    page.get_by_role("button", name="Put it into the policy").click()
    page.get_by_role("button", name="Promote to prevent").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_role("button", name="Promote to prevent")).to_have_count(0)
    rules = ui_console.request("GET", "policies/runtime/app-embedded").json()["rules"]
    assert rules[0]["processes"]["effect"] == "prevent"


def test_a_credential_goes_in_and_stays_in(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """Added, used by a registry, kept from being removed, tested; its secret is in no answer."""
    go(page, ui_console, "/manage/credentials", "Credentials & registries")
    page.get_by_role("button", name="Add a credential").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name", exact=True).fill("harbor")
    dialog.get_by_role("textbox", name="User name").fill("robot")
    dialog.locator("input[type=password]").fill("s3cret-of-harbor")
    dialog.get_by_role("textbox", name="Registry").fill("https://localhost:1")
    check_page(page, "credential")
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("table", name="Credentials")).to_contain_text("harbor")
    expect(dialog).to_have_count(0)
    check_page(page, "credentials")
    assert "s3cret-of-harbor" not in page.content()
    page.get_by_role("tab", name="Registries").click()
    page.get_by_role("button", name="Add a registry").click()
    dialog.get_by_role("textbox", name="Address").fill("https://localhost:1")
    dialog.locator("input").and_(dialog.get_by_label("Credential")).click()
    page.get_by_role("option", name="harbor").click()
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("table", name="Registries")).to_contain_text("harbor")
    expect(dialog).to_have_count(0)
    check_page(page, "registries")
    page.get_by_role("tab", name="Test").click()
    check_page(page, "registry-test")
