"""What a wrapped container starts: Docker's rule."""

from typing import Any

import pytest
from tests.embed.samples import NGINX, layouts, task

from bartizan.embed.errors import EmbedError
from bartizan.embed.launch import ImageConfig, UnknownImageError, resolve
from bartizan.embed.reading import read
from bartizan.embed.template import Template


def _resolve(members: dict[str, Any], image: ImageConfig | None) -> tuple[Any, Any]:
    text = layouts(task({"name": "web", "image": "nginx", **members}))[0]
    (container,) = read(text).definitions[0].containers
    launch = resolve(container, Template(), {"nginx": image} if image else {})
    return launch.entry_point, launch.command


_EP, _CMD = ["/docker-entrypoint.sh"], ["nginx", "-g", "daemon off;"]


@pytest.mark.parametrize("unset", [{}, {"value": None}, {"value": []}])
@pytest.mark.parametrize(
    ("entry_point", "command", "expected"),
    [
        (None, None, (_EP, _CMD)),
        (None, ["-t"], (_EP, None)),
        (["/run", "a b"], None, (["/run", "a b"], None)),
        (["/run"], ["-t"], (["/run"], None)),
        ([""], ["/run"], ([], None)),
        (["", ""], None, (["", ""], None)),
        (["/run", ""], None, (["/run", ""], None)),
    ],
)
def test_docker_rule(unset: dict[str, Any], entry_point: Any, command: Any, expected: Any) -> None:
    """The image's CMD counts only when the task sets neither; absent, null and `[]` are unset, `[""]` resets."""
    members = {"entryPoint": entry_point, "command": command}
    spelled = {key: value if value is not None else unset.get("value") for key, value in members.items()}
    given = {key: value for key, value in spelled.items() if value is not None or "value" in unset}
    assert expected == _resolve(given, NGINX)


def test_the_image_is_needed_without_an_entry_point() -> None:
    """A command alone does not say what is started, for the image may have an ENTRYPOINT in front of it."""
    with pytest.raises(UnknownImageError, match="`nginx`"):
        _resolve({"command": ["-t"]}, None)
    assert _resolve({"entryPoint": ["/run"]}, None) == (["/run"], None)


@pytest.mark.parametrize(("members", "image"), [({"entryPoint": [""]}, NGINX), ({}, ImageConfig())])
def test_nothing_to_start_is_refused(members: dict[str, Any], image: ImageConfig) -> None:
    """A container that would start nothing is refused by name."""
    with pytest.raises(EmbedError, match="`web`"):
        _resolve(members, image)


@pytest.mark.parametrize(
    "members", [{"entryPoint": "/run"}, {"entryPoint": ["/run", 1]}, {"command": {}, "entryPoint": None}]
)
def test_arguments_of_the_wrong_type_are_refused(members: dict[str, Any]) -> None:
    """Arguments must be a list of strings; they are never guessed from a string."""
    with pytest.raises(EmbedError, match="must be a list of strings"):
        _resolve(members, NGINX)
