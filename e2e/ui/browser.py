"""A real Chromium against the real Console, and what every page must keep to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

from console import PASSWORD, USER, Console

AXE = Path(__file__).resolve().parents[2] / "ui/node_modules/axe-core/axe.min.js"
WIDTHS = {1280: 860, 390: 844}
# What Chromium says of requests that were under way when a test's own task got its network; the page asks again.
OWN_DOING = "net::ERR_NETWORK_CHANGED"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def launched(playwright: Playwright) -> Browser:
    """Start Debian's Chromium; its own sandbox wants user namespaces, which containers often refuse."""
    return playwright.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"],
    )


def signed_in(browser: Browser, console: Console, *, user: str = USER, password: str = PASSWORD) -> BrowserContext:
    """Return a browser context whose cookies are those of a signed-in user."""
    context = browser.new_context(
        ignore_https_errors=True,
        viewport={"width": 1280, "height": 860},
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    answer = context.request.post(
        f"{console.url}/api/v1/session",
        data={"username": user, "password": password},
        headers={"X-Bartizan-Request": "1", "Origin": console.url},
    )
    assert answer.ok, f"sign-in: {answer.status} {answer.text()}"
    return context


@contextmanager
def watched(page: Page, *, expected: Sequence[str] = ()) -> Iterator[None]:
    """Fail, when the block ends, for every error in the page's console, violation of its CSP, and uncaught exception.

    `expected` are parts of messages that the test provokes: browsers note every refused request as an error.
    """
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in (*expected, OWN_DOING)):
            complaints.append(f"{message.text} ({message.location.get('url', '')})")

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " e => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`))"
    )
    yield
    assert not complaints, "the page complained:\n" + "\n".join(complaints)


def check(page: Page, directory: Path, name: str) -> None:
    """Run axe in both colours and take screenshots at both widths; raise AssertionError for what axe finds."""
    found: list[str] = []
    before = page.viewport_size
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.locator(f"html[data-mantine-color-scheme={scheme}]").wait_for(state="attached")
            settle(page)
            page.screenshot(path=directory / f"{name}-{width}-{scheme}.png")
            if width == max(WIDTHS) or scheme == "light":
                found += [f"{width} {scheme}: {line}" for line in violations(page)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found.append(f"{width}: the page is {wide} pixels wider than the window")
    page.emulate_media(color_scheme="light")
    if before is not None:
        page.set_viewport_size(before)
    assert not found, f"{name} ({directory}):\n" + "\n".join(found)


def settle(page: Page) -> None:
    """Wait until nothing is loaded and nothing moves."""
    page.wait_for_load_state("networkidle") if not page.evaluate("Boolean(window.bartizanStreams)") else None
    page.evaluate(
        "document.fonts.ready.then(() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r))))"
    )


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong, one line for each rule and place."""
    # Through the debugger, not as an element of the page, which its Content Security Policy would refuse.
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE.read_text())
    report = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
    )
    return [
        f"{rule['id']} ({rule['help']}): {json.dumps(node['target'])} {node['html'][:160]}"
        f" {' '.join((node.get('failureSummary') or '').split())[:240]}"
        for rule in report["violations"]
        for node in rule["nodes"][:4]
        # What is shown above the page (messages, menus) lies in an element of its own beside the landmarks.
        if not (rule["id"] == "region" and node["html"].startswith("<div data-portal"))
    ]


def page_paths(page: Page) -> list[str]:
    """Return the paths of all pages that the signed-in user may see, from the navigation."""
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    return [link.get_attribute("href") or "" for link in links.all()]
