"""What a deployment would make of a template, to run it on this machine."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.embed.samples import VECTORS

from bartizan.embed import EmbedError, deployed

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = (VECTORS / "template-with-choices" / "input.yaml").read_text("utf-8")


def names(**parameters: str) -> list[Any]:
    """Return the names of the containers that a stage deploys."""
    made = deployed(_TEXT, parameters=parameters, task="ShopTask")["containerDefinitions"]
    assert isinstance(made, list)
    return [container["name"] for container in made if isinstance(container, dict)]


def test_choices_are_made() -> None:
    """Conditions over the parameters decide which containers there are."""
    assert names() == ["web", "test-cache", "log"]
    assert names(Stage="live") == ["web", "log"]


def test_functions_of_known_values_are_computed_and_others_named() -> None:
    """Images, names and families are what they will be; what only a deployment knows stays as its expression."""
    made = deployed(_TEXT, parameters={"AWS::StackName": "blue"}, task="ShopTask")
    assert made["family"] == "blue-shop"
    assert made["executionRoleArn"] == "${Role.Arn}"
    containers = made["containerDefinitions"]
    assert isinstance(containers, list)
    assert [container["image"] for container in containers if isinstance(container, dict)] == [
        "shop/web:1.4",
        "redis:7",
        "${LogImage}",
    ]


def test_which_definition_must_be_said_where_there_are_several() -> None:
    """The refusal lists them by logical ID."""
    with pytest.raises(EmbedError, match="say which: `ShopTask`, `WorkerTask`, `WindowsTask`"):
        deployed(_TEXT, parameters={})
    with pytest.raises(EmbedError, match="no task definition `Nobody`"):
        deployed(_TEXT, parameters={}, task="Nobody")


def test_a_native_definition_is_itself() -> None:
    """What has no functions comes back as it is."""
    path: Path = VECTORS / "seed-sample" / "input.json"
    assert deployed(path.read_text("utf-8"), parameters={}) == json.loads(path.read_text("utf-8"))
