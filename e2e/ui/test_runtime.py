"""Runtime rules: the ordered list, the editor, drafts, late changes, history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser import signed_in, watched
from console import Console
from images import SEED_DEFINITION
from task import Task

CheckPage = Callable[..., None]
POLICY = "policies/runtime/app-embedded"


def rule(name: str, **further: Any) -> dict[str, Any]:
    """Return a rule that denies curl in a shop."""
    return {
        "name": name,
        "collections": [{"name": f"scope of {name}", "appIDs": [f"{name}:*"]}],
        "processes": {"effect": "prevent", "blacklist": ["curl", "/opt/tools/*"], "checkCryptoMiners": True},
        **further,
    }


def put(console: Console, *rules: dict[str, Any], comment: str) -> None:
    """Put a policy."""
    console.request("PUT", POLICY, json={"rules": list(rules)}, params={"comment": comment})


def names(console: Console) -> list[str]:
    """Return the names of the rules in force."""
    return [item["name"] for item in console.request("GET", POLICY).json()["rules"]]


def opened(page: Page, console: Console) -> Page:
    """Open the page."""
    page.goto(f"{console.url}/defend/runtime")
    page.get_by_role("heading", level=1, name="Runtime rules").wait_for()
    return page


def test_the_look_of_runtime_rules(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """The list, the editor with all its parts, and the history pass axe; what a rule is named is text."""
    put(ui_console, comment="none")
    opened(page, ui_console)
    expect(page.get_by_role("heading", name="No rule yet: nothing is judged")).to_be_visible()
    check_page(page, "runtime-empty")
    put(ui_console, rule("shop", notes="The shop never calls out."), rule("billing", disabled=True), comment="begin")
    put(
        ui_console,
        rule("shop", notes="The shop never calls out.", dns={"effect": "alert", "blacklist": ["*.evil.test"]}),
        rule(
            "billing",
            disabled=True,
            network={"effect": "alert", "whitelistOutboundPorts": [{"start": 443, "end": 443}]},
        ),
        rule("<img src=x onerror=alert(1)>", detections={"reverseShell": "prevent"}),
        rule("everything else", advancedProtection=True, filesystem={"effect": "alert", "blacklist": ["/etc"]}),
        comment="watch names, and stop reverse shells",
    )
    opened(page, ui_console)
    expect(page.get_by_role("button", name="<img src=x onerror=alert(1)>", exact=True)).to_be_visible()
    check_page(page, "runtime")
    page.get_by_role("button", name="shop", exact=True).click()
    page.get_by_role("textbox", name="Denied programs").wait_for()
    check_page(page, "runtime-editor")
    page.get_by_role("tab", name="YAML").click()
    expect(page.get_by_label("The rule as YAML")).to_contain_text("*.evil.test")
    check_page(page, "runtime-yaml")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="History").click()
    expect(page.get_by_role("list", name="Changes").get_by_text("everything else", exact=True)).to_be_visible()
    check_page(page, "runtime-history")


def test_a_rule_is_written_reviewed_and_saved(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """A draft is checked while it is typed, shows its difference, and is in force only once it is saved."""
    put(ui_console, rule("shop"), rule("rest"), comment="begin")
    opened(page, ui_console)
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name").fill("no shells")
    page.get_by_role("textbox", name="Denied programs").fill("bin/sh")
    expect(page.get_by_text("is neither a name nor an absolute path").first).to_be_visible()
    expect(page.get_by_role("button", name="Add to the draft")).to_be_disabled()
    page.get_by_role("textbox", name="Denied programs").fill("sh\nbash")
    page.get_by_role("button", name="Add to the draft").click()
    expect(page.get_by_text("1 changed or new")).to_be_visible()
    page.get_by_role("button", name="Move rest").press("ArrowUp")
    page.get_by_role("switch", name="Rule shop is enabled").click(force=True)
    assert names(ui_console) == ["shop", "rest"]
    page.get_by_role("button", name="Review and save").click()
    expect(page.get_by_role("dialog").get_by_text("- bash")).to_be_visible()
    check_page(page, "runtime-review")
    page.get_by_role("textbox", name="Comment").fill("nobody needs one")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The policy is in force.")).to_be_visible()
    assert names(ui_console) == ["no shells", "rest", "shop"]
    newest = ui_console.request("GET", f"{POLICY}/revisions").json()[0]
    assert newest["comment"] == "nobody needs one"


@pytest.fixture
def refused(signed_in_context: BrowserContext) -> Iterator[Page]:
    """A page whose requests may be refused: browsers note that as an error."""
    page = signed_in_context.new_page()
    with watched(page, expected=("status of 412",)):
        yield page
        page.close()


def test_somebody_else_was_quicker(refused: Page, ui_console: Console, check_page: CheckPage) -> None:
    """A late change is not lost and overwrites nothing: it goes on top of theirs, and then is saved."""
    page = refused
    put(ui_console, rule("shop"), rule("rest"), comment="begin")
    opened(page, ui_console)
    page.get_by_role("switch", name="Rule rest is enabled").click(force=True)
    put(ui_console, rule("theirs"), rule("shop", notes="by them"), rule("rest"), comment="ours first")
    page.get_by_role("button", name="Review and save").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("ours first")
    check_page(page, "runtime-late")
    page.get_by_role("button", name="Put my changes on top of theirs").click()
    page.get_by_role("button", name="Review and save").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The policy is in force.")).to_be_visible()
    rules = ui_console.request("GET", POLICY).json()["rules"]
    assert [(item["name"], item["disabled"], item["notes"]) for item in rules] == [
        ("theirs", False, ""),
        ("shop", False, "by them"),
        ("rest", True, ""),
    ]
    # And back again, from the history.
    page.get_by_role("button", name="History").click()
    page.get_by_role("list", name="Revisions").get_by_role("button").filter(has_text="begin").first.click()
    page.get_by_role("button", name="Put it in force again").click()
    page.get_by_role("button", name="Put it in force", exact=True).click()
    expect(page.get_by_role("button", name="theirs", exact=True)).to_have_count(0)
    assert names(ui_console) == ["shop", "rest"]


def test_a_rule_of_the_browser_stops_an_attack(
    browser: Browser, console: Console, run_task: Callable[..., Task], check_page: CheckPage
) -> None:
    """A shell in a running task is reported, tried against a new rule, and stopped once that rule is saved."""
    reports = {
        "name": "report",
        "collections": [{"name": "All"}],
        "processes": {"effect": "alert", "blacklist": ["sh"]},
    }
    console.put_policy(reports)
    task = run_task(SEED_DEFINITION)
    assert "uid=" in task.track("BTZ-1 -exec sh -c id ;")
    console.wait_for_audit(lambda audit: audit["effect"] == "alert", what="the shell, let through")
    context = signed_in(browser, console)
    page = context.new_page()
    with watched(page):
        opened(page, console)
        expect(page.get_by_text("1 match", exact=True)).to_be_visible()
        expect(page.get_by_text("1 workload")).to_be_visible()
        page.get_by_role("button", name="report", exact=True).click()
        page.get_by_role("radiogroup", name="Effect of processes").get_by_text("Prevent").click()
        page.get_by_role("tab", name="Try it").click()
        page.get_by_role("button", name="Try it").click()
        case = page.get_by_role("table", name="What the rule speaks of").get_by_role("row").filter(has_text="sh -c")
        expect(case.first).to_contain_text("alert")
        expect(case.first).to_contain_text("prevent")
        check_page(page, "runtime-trial")
        page.get_by_role("button", name="Keep in the draft").click()
        page.get_by_role("button", name="Review and save").click()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("The policy is in force.")).to_be_visible()
        task.wait_for_policy(console)
        assert "uid=" not in task.track("BTZ-1 -exec sh -c id ;")
        console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="the shell, stopped")
    context.close()
