"""The example templates, and the page that shows what becomes of them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_reference import PAGE, api_reference
from cfnlint.api import lint_file
from shown_commands import PAGES, pages, refreshed
from tests.examples.agent import EXAMPLES, TEMPLATE

ROOT = EXAMPLES.parent
TWIN = TEMPLATE.with_suffix(".json")
OPENAPI = json.loads((ROOT / "contract" / "openapi.json").read_text())


class ShortTags(yaml.SafeLoader):
    """Reads `!Ref X` as `{"Ref": "X"}`, and so on (CloudFormation user guide, "Intrinsic function reference")."""


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TypeError(node)
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    return {name: value.split(".", 1) if name == "Fn::GetAtt" else value}


ShortTags.add_multi_constructor("!", _function)


def test_the_twins_say_the_same() -> None:
    """`service.json` is `service.yaml` in the other notation."""
    assert json.loads(TWIN.read_text()) == yaml.load(TEMPLATE.read_text(), ShortTags)  # noqa: S506 - a SafeLoader


@pytest.mark.parametrize("template", [TEMPLATE, TWIN], ids=lambda path: path.name)
def test_a_protected_template_is_a_valid_one_and_comes_back(template: Path, bundle: Path, tmp_path: Path) -> None:
    """cfn-lint has nothing to say of the template, before and after; both task definitions can be taken back."""
    protected, back = tmp_path / template.name, tmp_path / f"back-{template.name}"
    bartizan = [sys.executable, "-m", "bartizan.cli", "app-embedded"]
    given = ["generate-fargate-task", "--bundle", str(bundle), "--output-file", str(protected), str(template)]

    subprocess.run([*bartizan, *given], check=True, capture_output=True)
    subprocess.run([*bartizan, "unprotect", "--output-file", str(back), str(protected)], check=True)

    assert lint_file(template) == []
    assert lint_file(protected) == []
    assert protected.read_text().count("fargate") > template.read_text().count("fargate")
    assert back.read_bytes() == template.read_bytes()


def test_the_pages_show_what_the_commands_print() -> None:
    """Every block of a page that says `console` is what its command prints today; `make gen` writes it."""
    for name, text in pages().items():
        assert (ROOT / name).read_text() == text


def test_a_page_that_shows_something_else_is_noticed() -> None:
    """The comparison above would fail: what is shown is run anew, not copied."""
    page = "```console\n$ echo one; \\\n    echo two >&2\nstale\n```\n"

    assert refreshed(page) == "```console\n$ echo one; \\\n    echo two >&2\none\ntwo\n```\n"


def test_every_page_with_such_a_block_is_listed() -> None:
    """A page that shows commands is refreshed."""
    found = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md") if "```console\n" in path.read_text()}

    assert found == set(PAGES)


def test_links_between_files_lead_somewhere() -> None:
    """Every relative link of the pages about examples names a file, and a heading of it."""
    for page in (*PAGES, PAGE, "docs/how-to/protect-in-a-pipeline.md", "docs/how-to/run-a-task-locally.md"):
        text = (ROOT / page).read_text()
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
            path = (ROOT / page).parent / target if target else ROOT / page
            assert path.exists(), f"{page}: {target}"
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_the_api_page_has_exactly_the_routes_of_the_api() -> None:
    """Each route stands in one table of the page, and no other route is named anywhere on it."""
    text = (ROOT / PAGE).read_text()
    routes = sorted(f"{method.upper()} {path}" for path, methods in OPENAPI["paths"].items() for method in methods)
    tables = re.findall(r"^\| `([A-Z]+ /\S+)` \|", text, re.MULTILINE)
    mentioned = {path.rstrip(".?`") for path in re.findall(r"/api/v1/[\w./{}-]+", text)}

    assert sorted(tables) == routes
    assert mentioned <= set(OPENAPI["paths"])
    assert text == api_reference(OPENAPI)


def test_the_api_page_says_every_status() -> None:
    """What the page lists as errors is what the Console can answer."""
    text = (ROOT / PAGE).read_text().split("## Errors", 1)[1]
    said = {int(number) for row in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for number in row.split(", ")}
    sources = "".join(path.read_text() for path in (ROOT / "console/src/bartizan/api").glob("*.py"))
    used = {
        int(number)
        for number in re.findall(r"(?:problem\(|Error: |^ {4}|\{|, )([45]\d\d)(?=[,:])", sources, re.MULTILINE)
    }

    assert said == used | {422}
