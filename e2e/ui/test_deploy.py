"""Manual deploy: a task definition and a Dockerfile are protected in the browser."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from console import Console

CheckPage = Callable[..., None]
TASK = {
    "family": "shop",
    "containerDefinitions": [{"name": "web", "image": "shop:1", "entryPoint": ["/web"], "essential": True}],
}


def test_task_is_protected_beside_itself(
    page: Page, ui_console: Console, check_page: CheckPage, tmp_path: Path
) -> None:
    """The protected definition, its report, what changed, and the file; and the same as commands."""
    page.goto(f"{ui_console.url}/manage/deploy")
    page.get_by_role("combobox", name="Console's name for Defenders").fill("console.test")
    page.get_by_role("textbox", name="Definition", exact=True).fill(json.dumps(TASK, indent=2))
    page.get_by_role("button", name="Protect", exact=True).click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "protected.json")
    protected = json.loads((tmp_path / "protected.json").read_text())
    assert [item["name"] for item in protected["containerDefinitions"]] == ["web", "BartizanDefender"]
    check_page(page, "deploy")
    page.get_by_role("tab", name="Command line and API").click()
    expect(page.get_by_text("--console-host console.test")).to_be_visible()
    check_page(page, "deploy-snippets")


def test_bad_definition_says_where(page: Page, ui_console: Console, refusals: list[str]) -> None:
    """A refusal names the line, which the editor marks."""
    refusals.append("status of 400")
    page.goto(f"{ui_console.url}/manage/deploy")
    page.get_by_role("textbox", name="Definition", exact=True).fill('{\n  "family": "x",\n  "family": "y"\n}')
    page.get_by_role("button", name="Protect", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("ine 3")
    expect(page.locator(".cm-lint-marker-error")).to_have_count(1)


def test_dockerfile_becomes_an_archive(page: Page, ui_console: Console, check_page: CheckPage) -> None:
    """The ZIP has the protected Dockerfile; the bundle is only shown when asked for."""
    page.goto(f"{ui_console.url}/manage/deploy")
    page.get_by_text("Dockerfile", exact=True).first.click()
    page.get_by_label("App ID").fill("shop")
    page.get_by_role("combobox", name="Console's name for Defenders").fill("console.test")
    page.get_by_role("textbox", name="Dockerfile").fill('FROM scratch\nCOPY shop /shop\nENTRYPOINT ["/shop"]\n')
    with page.expect_download() as download:
        page.get_by_role("button", name="Protect and download").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert b"app-embedded" in archive.read("Dockerfile")
    assert download.value.suggested_filename == "app_embedded_embed_shop.zip"
    page.get_by_role("tab", name="By hand").click()
    expect(page.get_by_text("INSTALL_BUNDLE=••••")).to_be_visible()
    check_page(page, "deploy-by-hand")
    page.get_by_role("button", name="Show the bundle").click()
    expect(page.get_by_text("INSTALL_BUNDLE=••••")).to_be_hidden()
