"""Definitions that carry the vendor's Defender are migrated."""

import json
from typing import Any

import pytest
from tests.embed.samples import layouts, settings, task, web

from bartizan.embed import protect, unprotect
from bartizan.embed.reading import read
from bartizan.embed.twistlock import unwrapped

_SIDECAR = {"name": "TwistlockDefender", "image": "vendor/defender:22_12", "entryPoint": ["/usr/local/bin/defender"]}


def _wrapped(program: str, *arguments: str, **members: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "image": "nginx",
        "entryPoint": [f"/var/lib/twistlock/fargate/{program}", *arguments],
        "environment": [
            {"name": "TW_IMAGE_NAME", "value": "nginx"},
            {"name": "MODE", "value": "live"},
            {"name": "DEFENDER_TYPE", "value": "fargate"},
        ],
        "dependsOn": [{"containerName": "TwistlockDefender", "condition": "START"}],
        "volumesFrom": [{"sourceContainer": "TwistlockDefender", "readOnly": False}],
        **members,
    }


@pytest.mark.parametrize(
    ("wrapped", "expected"),
    [
        (_wrapped("defender", "fargate", "entrypoint", "/a", "b"), {"entryPoint": ["/a", "b"]}),
        (_wrapped("fargate_defender.sh", "/a"), {"entryPoint": ["/a"]}),
        (
            _wrapped("fargate_defender.sh", "fargate", "entrypoint", command=["/a"]),
            {"entryPoint": [""], "command": ["/a"]},
        ),
        (_wrapped("defender", "fargate", "entrypoint"), {}),
    ],
)
def test_unwrapped(wrapped: dict[str, Any], expected: dict[str, Any]) -> None:
    """The wrap, its variables, its dependency and its volume leave; what the user set stays."""
    (container,) = read(json.dumps(task(wrapped))).definitions[0].containers
    environment = [{"name": "MODE", "value": "live"}]
    assert {"name": "web", "image": "nginx", "environment": environment, **expected} == unwrapped(container).value


@pytest.mark.parametrize("name", ["BartizanDefender", "TwistlockDefender"])
def test_migration(name: str) -> None:
    """A migrated definition has our sidecar in place of the vendor's, says so, and leads back to what it was."""
    value = task(_SIDECAR, _wrapped("defender", "fargate", "entrypoint", "/a"), web(name="plain"))
    made_with = settings(sidecar_name=name)
    for text in layouts(value):
        protection = protect(text, images={}, settings=made_with)
        containers = json.loads(protection.text.removeprefix("\ufeff"))["containerDefinitions"]
        assert [container["name"] for container in containers] == ["web", "plain", name]
        assert containers[0]["entryPoint"] == ["/var/lib/bartizan/defender", "fargate", "entrypoint", "/a"]
        assert not any(item["name"].startswith("TW_") for item in containers[0]["environment"])
        assert protection.report.migrated_from == "TwistlockDefender"
        assert text == unprotect(protection.text)
        reformatted = json.dumps(json.loads(protection.text.removeprefix("\ufeff")), indent=3)
        assert value == json.loads(unprotect(reformatted))
        assert protect(protection.text, images={}, settings=made_with).edits == ()
