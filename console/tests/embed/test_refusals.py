"""What is refused, and whether the refusal says what, where and what to do."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.embed.samples import NGINX, VECTORS, by_secret, layouts, settings, task, web

from bartizan.embed import EmbedError, needed_images, protect, read_bundle, unprotect, verify
from bartizan.embed.wrap import OWN_ENVIRONMENT

_DEFENDER = ["/var/lib/bartizan/defender", "fargate", "entrypoint", "/a"]
_TWISTLOCK = ["/var/lib/twistlock/fargate/defender", "fargate", "entrypoint", "/a"]


@pytest.mark.parametrize(
    ("value", "line", "words"),
    [
        ([], 1, "not a task definition but a list"),
        ("text", 1, "not a task definition but a scalar"),
        ({}, 1, "no `containerDefinitions`"),
        ({"taskDefinition": 1}, 2, "`taskDefinition` must be an object"),
        ({"Resources": {}}, 1, "no resource of the type"),
        ({"Type": "AWS::ECS::TaskDefinition", "Properties": {}}, 3, "no `ContainerDefinitions`"),
        ({"services": {}}, 1, "Compose"),
        (task(), 3, "at least one container"),
        ({**task(web()), "family": None}, 2, "`family`"),
        (task(web(), 1), 11, "container 2 is not an object"),  # type: ignore[arg-type]
        (
            task(web(), {"Fn::Transform": {"Name": "Sidecars"}}),
            11,
            "container 2 is an `Fn::Transform`, and only a depl",
        ),  # type: ignore[arg-type]
        (task({"image": "nginx"}), 4, "container 1 has no `name`"),
        (task({"name": "web", "image": ""}), 6, "container `web` has no `image`"),
        (task(web(), web()), 11, "two containers are called `web`"),
        (task(web(name="BartizanDefender")), 5, "already called `BartizanDefender`"),
        (task(web(), runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}), 14, "Linux tasks only"),
        (
            task(web(), placementConstraints=[{"expression": "attribute:ecs.os-type == windows"}]),
            14,
            "Linux tasks only",
        ),
        (task({"name": "a", "image": "x"}, web(), {"name": "b", "image": "y"}), 5, "`a` and `b`"),
        (task(web(image="aws-xray-daemon")), 3, "`web`: AWS X-Ray"),
        (task(web(entryPoint=_DEFENDER)), 7, "its sidecar is gone"),
        (task(web(entryPoint=_TWISTLOCK)), 7, "`TwistlockDefender` is gone"),
        (task({"name": "TwistlockDefender", "image": "x"}), 3, "none of its own"),
        (task(web(dependsOn=[{"containerName": "BartizanDefender"}])), 10, "not there"),
        (task(web(volumesFrom=[{"sourceContainer": "BartizanDefender"}])), 10, "not there"),
        (task(web(mountPoints=[{"containerPath": "/var/lib/bartizan/"}])), 10, "mounts"),
        (task(web(environment={})), 10, "must be a list of objects"),
        (task(web(environment=["A=1"])), 10, "must be a list of objects"),
        (task(web(linuxParameters=[])), 10, "must be an object"),
        (task(web(linuxParameters={"capabilities": {"add": "ALL"}})), 10, "capabilities"),
        (task(web(environment=[{"name": "A", "value": "x" * 66_000}])), None, "AWS takes 65,536"),
    ],
)
def test_refusals(value: Any, line: int | None, words: str) -> None:
    """A definition that cannot be protected is refused in one sentence, with the line where the fault is."""
    with pytest.raises(EmbedError) as caught:
        protect(layouts(value)[0], images={}, settings=settings())
    assert words in caught.value.message
    assert "\n" not in str(caught.value)
    assert line == (caught.value.where.line if caught.value.where else None)


@pytest.mark.parametrize("name", OWN_ENVIRONMENT)
@pytest.mark.parametrize("key", ["environment", "secrets"])
def test_a_variable_of_ours_is_refused(name: str, key: str) -> None:
    """A name the Defender needs cannot be the user's, neither as a variable nor as a secret."""
    text = layouts(task(web(**{key: [{"name": name, "value": "mine"}]})))[0]
    with pytest.raises(EmbedError, match=f"container `web` sets `{name}`"):
        protect(text, images={}, settings=settings())


def test_every_unknown_entrypoint_is_named() -> None:
    """All containers whose entrypoint is unknown are named at once, with line and image."""
    text = layouts(task({"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2", "command": ["c"]}))[0]
    with pytest.raises(EmbedError) as caught:
        protect(text, images={"z": NGINX}, settings=settings())
    for words in ("`a` (line 5, column 7) runs `x:1`", "`b` (line 9, column 7) runs `y:2`", "looked up"):
        assert words in caught.value.message


def test_places_are_those_of_the_text_given() -> None:
    """When a protected definition is protected again, a refusal gives the place in the text that people have."""
    value = json.loads(protect(layouts(task(web()))[0], images={}, settings=settings()).text)
    value["containerDefinitions"].insert(1, {"name": "new", "image": "x"})
    text = layouts(value)[0]
    line = text[: text.index('"name": "new"')].count("\n") + 1
    with pytest.raises(EmbedError, match=rf"`new` \(line {line}, column 7\)") as caught:
        protect(text, images={}, settings=settings())
    assert caught.value.where is not None
    assert line == caught.value.where.line


def test_a_secret_needs_a_role() -> None:
    """A bundle by reference is refused when the task has no role to read it with."""
    with pytest.raises(EmbedError, match="executionRoleArn"):
        protect(layouts(task(web()))[0], images={}, settings=by_secret())


@pytest.mark.parametrize("names", [{"include": ("gone",)}, {"exclude": ("gone",)}])
def test_unknown_names_are_refused(names: dict[str, Any]) -> None:
    """A name to include or exclude that is no container is a typing error, and is not let pass."""
    with pytest.raises(EmbedError, match="no container is called `gone`: the task has `web`"):
        protect(layouts(task(web()))[0], images={}, settings=settings(**names))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"install_bundle": None}, "either"),
        ({"install_bundle_secret": "arn:aws:x"}, "either"),
        ({"install_bundle": None, "install_bundle_secret": "name"}, "not the ARN"),
        ({"install_bundle": None, "install_bundle_secret": "arn:aws:x"}, "`bundle_id` is empty"),
        ({"fail_mode": "ajar"}, "neither"),
        ({"policy_timeout": 0}, "no time"),
        ({"sidecar_name": "a b"}, "no container name"),
        ({"defender_image": ""}, "`defender_image` is empty"),
        ({"install_bundle": "s3cr3t-but-no-bundle"}, "not one"),
    ],
)
def test_settings_that_contradict(changes: dict[str, Any], words: str) -> None:
    """Settings that cannot work are refused when they are made, without repeating a secret."""
    with pytest.raises(EmbedError) as caught:
        settings(**changes)
    assert words in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_any_text_as_a_bundle(text: str) -> None:
    """Whatever is given as a bundle, nothing but our error comes of it."""
    with pytest.raises(EmbedError):
        read_bundle(text)


_INPUTS = sorted(VECTORS.glob("*/input.json"))


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(_INPUTS)).read_bytes().decode()
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 30)))
    middle = draw(st.text(max_size=5) | st.sampled_from(["null", "[]", "{}", '""', "1", '{"a":1}', '["x"]']))
    return text[:start] + middle + text[end:]


_LOOKED_UP = dict.fromkeys(("nginx", "shop/api:1.4", "busybox:latest"), NGINX)


@given(st.text() | _damaged())
def test_any_text_is_protected_or_refused(text: str) -> None:
    """Whatever the text, each entry of the package gives a result or our error, and nothing else."""
    for work in (
        lambda: protect(text, images=_LOOKED_UP, settings=settings()),
        lambda: needed_images(text, settings=settings()),
        lambda: verify(text, version="0.1.0", settings=settings()),
        lambda: unprotect(text),
    ):
        with suppress(EmbedError):
            work()


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "add", "containerName"]), inner)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["entryPoint", "command", "environment", "secrets", "dependsOn", "volumesFrom", "mountPoints", "linuxParameters", "logConfiguration", "dockerLabels", "healthCheck"]), _anything), st.dictionaries(st.sampled_from(["tags", "runtimePlatform", "proxyConfiguration", "executionRoleArn", "pidMode", "memory"]), _anything))  # fmt: skip # noqa: E501
def test_any_type_is_protected_or_refused(members: dict[str, Any], top: dict[str, Any]) -> None:
    """Members of whatever type are protected around or refused."""
    text = json.dumps(task({"name": "web", "image": "nginx", **members}, **top))
    try:
        protection = protect(text, images=_LOOKED_UP, settings=settings())
    except EmbedError:
        return
    assert text == unprotect(protection.text)
