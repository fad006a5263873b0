"""CloudFormation: task definitions in templates, whatever they leave to the deployment."""

import json
from typing import Any

import pytest
import yaml
from tests.embed.samples import NGINX, by_secret, settings

from bartizan.embed import (
    EmbedError,
    ImageConfig,
    Protection,
    explain,
    explain_protection,
    needed_images,
    protect,
    unprotect,
    verify,
)
from bartizan.embed.yaml_text import parse

_WRAPPER = ["/var/lib/bartizan/defender", "fargate", "entrypoint"]


def template(*containers: Any, **properties: Any) -> dict[str, Any]:
    """Return a template with one task definition."""
    task = {"Family": "shop", "ContainerDefinitions": list(containers), **properties}
    return {"Resources": {"Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": task}}}


def web(**members: Any) -> dict[str, Any]:
    """Return a container that says what it starts."""
    return {"Name": "web", "Image": "nginx", "EntryPoint": ["/http"], **members}


def run(value: Any, **images: ImageConfig) -> Protection:
    """Protect a template."""
    return protect(json.dumps(value, indent=2), images=images, settings=settings())


def containers(value: Any, **images: ImageConfig) -> list[Any]:
    """Return the containers of a protected template."""
    made = json.loads(run(value, **images).text)["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    return list(made)


def _if(condition: str, if_true: Any, if_false: Any = None) -> Any:
    return {"Fn::If": [condition, if_true, {"Ref": "AWS::NoValue"} if if_false is None else if_false]}


@pytest.mark.parametrize(
    "value",
    [
        template(web()),
        template(web())["Resources"]["Task"],
        {"Task": template(web())["Resources"]["Task"]},
        template(web())["Resources"]["Task"]["Properties"],
        {"Resources": {"Fn::ForEach::Tasks": ["X", ["a"], {"Task${X}": template(web())["Resources"]["Task"]}]}},
        {**template(web()), "Transform": "AWS::Serverless-2016-10-31", "Globals": {"Function": {"Timeout": 3}}},
    ],
    ids=["template", "resource", "named resource", "properties", "for each", "SAM"],
)
def test_places(value: Any) -> None:
    """A task definition is found in a template, by itself, in a loop, and written back in capitals, in both syntaxes."""
    for text in (json.dumps(value, indent=2), yaml.safe_dump(value, sort_keys=False)):
        made = protect(text, images={}, settings=settings())
        shown = json.dumps(parse(made.text).root.value)
        assert '"EntryPoint": ["/var/lib/bartizan/defender", "fargate", "entrypoint", "/http"]' in shown
        assert '"SourceContainer": "BartizanDefender", "ReadOnly": true' in shown
        assert "entryPoint" not in shown
        assert unprotect(made.text) == text
        assert verify(made.text, version="0.1.0", settings=settings()) == []


def test_both_branches_of_a_container_are_protected() -> None:
    """`Fn::If` around a container protects what stands in either branch, and leaves `AWS::NoValue` alone."""
    value = template(web(), _if("A", web(Name="one"), web(Name="two")), _if("B", web(Name="three")))
    _, either, maybe, sidecar = containers(value)
    assert [branch["EntryPoint"][:3] for branch in either["Fn::If"][1:]] == [_WRAPPER, _WRAPPER]
    assert maybe["Fn::If"][1]["EntryPoint"] == [*_WRAPPER, "/http"]
    assert maybe["Fn::If"][2] == {"Ref": "AWS::NoValue"}
    assert sidecar["Name"] == "BartizanDefender"


def test_lists_of_containers_in_branches_get_a_sidecar_each() -> None:
    """`Fn::If` around the whole list puts a sidecar into either list, and one label leads back."""
    value = template()
    value["Resources"]["Task"]["Properties"]["ContainerDefinitions"] = _if("A", [web()], [web(Name="other")])
    text = json.dumps(value)
    made = protect(text, images={}, settings=settings())
    branches = json.loads(made.text)["Resources"]["Task"]["Properties"]["ContainerDefinitions"]["Fn::If"][1:]
    assert [branch[-1]["Name"] for branch in branches] == ["BartizanDefender"] * 2
    assert unprotect(made.text) == text
    assert unprotect(json.dumps(json.loads(made.text), indent=1)) == json.dumps(value, indent=1)
    assert protect(made.text, images={}, settings=settings()).edits == ()


def test_lists_in_branches_are_filled_in_both() -> None:
    """What is added to a list that a choice gives is added in both branches; `AWS::NoValue` becomes a list."""
    one = {"Name": "MODE", "Value": "live"}
    (container, _) = containers(template(web(Environment=_if("A", [one]), LinuxParameters=_if("B", {"Tmpfs": []}))))
    left, right = container["Environment"]["Fn::If"][1:]
    assert left[0] == one
    assert left[1:] == right
    assert [item["Name"] for item in right][:2] == ["DEFENDER_TYPE", "FARGATE_TASK"]
    with_tmpfs, without = container["LinuxParameters"]["Fn::If"][1:]
    assert with_tmpfs == {"Tmpfs": [], "Capabilities": {"Add": ["SYS_PTRACE"]}}
    assert without == {"Capabilities": {"Add": ["SYS_PTRACE"]}}


_OTHER = ImageConfig(entrypoint=("/other",), cmd=("run",))


@pytest.mark.parametrize(
    ("members", "entry_point", "command"),
    [
        ({"EntryPoint": _if("A", ["/a"], ["/b"])}, _if("A", [*_WRAPPER, "/a"], [*_WRAPPER, "/b"]), None),
        (
            {"EntryPoint": _if("A", ["/a"])},
            _if("A", [*_WRAPPER, "/a"], [*_WRAPPER, "/docker-entrypoint.sh"]),
            _if("A", {"Ref": "AWS::NoValue"}, ["nginx", "-g", "daemon off;"]),
        ),
        (
            {"EntryPoint": None, "Command": _if("A", ["-t"])},
            [*_WRAPPER, "/docker-entrypoint.sh"],
            _if("A", ["-t"], ["nginx", "-g", "daemon off;"]),
        ),
        (
            {"EntryPoint": None, "Image": _if("A", "nginx", "other")},
            _if("A", [*_WRAPPER, "/docker-entrypoint.sh"], [*_WRAPPER, "/other"]),
            _if("A", ["nginx", "-g", "daemon off;"], ["run"]),
        ),
        ({"EntryPoint": ["/a", {"Ref": "X"}]}, [*_WRAPPER, "/a", {"Ref": "X"}], None),
        ({"Command": {"Ref": "X"}}, [*_WRAPPER, "/http"], {"Ref": "X"}),
        (
            {"EntryPoint": {"Fn::Split": [" ", {"Ref": "X"}]}},
            {"Fn::Split": [" ", {"Fn::Join": [" ", [*_WRAPPER, {"Ref": "X"}]]}]},
            None,
        ),
    ],
)
def test_what_is_started(members: dict[str, Any], entry_point: Any, command: Any) -> None:
    """Docker's rule holds in every branch; arguments that only a deployment knows stay what they are."""
    (container, _) = containers(template(web(**members)), nginx=NGINX, other=_OTHER)
    assert container["EntryPoint"] == entry_point
    assert container.get("Command") == command


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"EntryPoint": {"Ref": "X"}}, r"`EntryPoint` of container `web` is `\$\{X\}`, which only a deployment knows"),
        ({"EntryPoint": {"Fn::Split": ["/", {"Ref": "X"}]}}, "write the list out"),
        ({"Environment": {"Fn::FindInMap": ["a", "b", "c"]}}, "`Environment` of container `web`"),
        ({"LinuxParameters": {"Ref": "X"}}, "must hold lists of capabilities"),
        ({"Environment": "x"}, "`Environment` of container `web` must be a list of objects"),
        ({"Image": None}, "container `web` has no `Image`"),
        ({"EntryPoint": None}, "no `EntryPoint` is given for `web`"),
    ],
)
def test_refusals(members: dict[str, Any], what: str) -> None:
    """What cannot be done is one sentence with the place and the template's own spelling."""
    with pytest.raises(EmbedError, match=rf"^line \d+, column \d+: .*{what}"):
        run(template(web(**members)))


def test_images_are_resolved_for_the_look_up_only() -> None:
    """Defaults, given parameters, mappings and conditions make a reference; the output keeps the intrinsic function."""
    image = {"Fn::Sub": ["${Host}/${Name}:${Tag}", {"Name": {"Fn::FindInMap": ["Images", "web", "name"]}}]}
    value = template({"Name": "web", "Image": image}, RuntimePlatform={"CpuArchitecture": "ARM64"}) | {
        "Parameters": {"Host": {"Type": "String"}, "Tag": {"Type": "String", "Default": "1"}},
        "Mappings": {"Images": {"web": {"name": "shop/web"}}},
    }
    text = json.dumps(value)
    (needed,) = needed_images(text, settings=settings())
    assert (needed.reference, needed.unknown, needed.architecture) == (None, ("`Host`",), "arm64")
    given = {"Host": "registry.test"}
    (needed,) = needed_images(text, settings=settings(), parameters=given)
    assert needed.reference == "registry.test/shop/web:1"
    made = protect(text, images={"registry.test/shop/web:1": NGINX}, settings=settings(), parameters=given)
    container, sidecar = json.loads(made.text)["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    assert container["Image"] == image
    environment = {item["Name"]: item["Value"] for item in container["Environment"]}
    assert environment["DEFENDER_IMAGE_NAME"] == image
    joined = next(item["Value"] for item in sidecar["Environment"] if item["Name"] == "DEFENDER_CONTAINERS")
    assert joined == {"Fn::Join": ["", ['[{"name":"web","image":"', image, '"}]']]}


def test_an_unknown_image_is_named_with_what_is_missing() -> None:
    """The refusal names container, place, expression and the parameters to give."""
    value = template({"Name": "web", "Image": {"Fn::Sub": "${Repo.Uri}:${Tag}"}})
    with pytest.raises(
        EmbedError, match=r"runs `\$\{Repo.Uri\}:\$\{Tag\}`.*give `Repo.Uri` and `Tag` with `--parameter`"
    ):
        run(value)
    made = run(value, web=NGINX)
    assert made.report.containers[0].arguments[0] == "/docker-entrypoint.sh"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"Ref": "P"}, "p"),
        ({"Fn::Join": ["/", ["a", {"Ref": "P"}]]}, "a/p"),
        ({"Fn::Select": [1, {"Fn::Split": [",", "x,y"]}]}, "y"),
        ({"Fn::Select": ["0", {"Ref": "List"}]}, "l"),
        ({"Fn::FindInMap": ["M", {"Ref": "P"}, "k"]}, "found"),
        ({"Fn::If": ["IsP", "yes", {"Ref": "Nobody"}]}, "yes"),
        ({"Fn::Sub": "${AWS::Region}.${AWS::URLSuffix}/${!x}"}, "eu-west-1.amazonaws.com/${x}"),
    ],
)
def test_resolved(expression: Any, expected: str) -> None:
    """Functions of known values are computed as CloudFormation does."""
    value = template({"Name": "web", "Image": expression}) | {
        "Parameters": {
            "P": {"Type": "String", "Default": "p"},
            "List": {"Type": "CommaDelimitedList", "Default": "l,m"},
        },
        "Mappings": {"M": {"p": {"k": "found"}}},
        "Conditions": {"IsP": {"Fn::And": [{"Fn::Equals": [{"Ref": "P"}, "p"]}, {"Fn::Not": [{"Condition": "No"}]}]}}
        | {"No": {"Fn::Or": [{"Fn::Equals": ["a", "b"]}]}},
    }
    needed = needed_images(json.dumps(value), settings=settings(), parameters={"AWS::Region": "eu-west-1"})
    known = [image.reference for image in needed]
    assert known[0] == expected


def test_a_choice_of_images_asks_for_each() -> None:
    """Where a template chooses between images, both are looked up and each branch starts its own."""
    value = template({"Name": "web", "Image": _if("Unknown", "nginx", "other")})
    assert [image.reference for image in needed_images(json.dumps(value), settings=settings())] == ["nginx", "other"]


def test_names_that_only_a_deployment_knows() -> None:
    """A container's name stays the intrinsic function; the sidecar knows the token by the expression."""
    name = {"Fn::Sub": "${AWS::StackName}-web"}
    container, sidecar = containers(template(web(Name=name), Family={"Ref": "AWS::StackName"}))
    environment = {item["Name"]: item["Value"] for item in container["Environment"]}
    assert environment["DEFENDER_CONTAINER_NAME"] == name
    assert environment["FARGATE_TASK"] == {"Ref": "AWS::StackName"}
    assert environment["DEFENDER_TOKEN"] == settings().container_token("<AWS::StackName>-web")
    listed = next(item["Value"] for item in sidecar["Environment"] if item["Name"] == "DEFENDER_CONTAINERS")
    pieces = ['[{"name":"', name, '","image":"nginx","id":"<AWS::StackName>-web"}]']
    assert listed == {"Fn::Join": ["", pieces]}


def test_one_of_several_that_cannot_be_protected_is_reported() -> None:
    """A Windows task in a template with others is left as it is, with the reason; by itself it is refused."""
    windows = template(web(), RuntimePlatform={"OperatingSystemFamily": "WINDOWS_SERVER_2022_CORE"})
    both = {"Resources": {"Other": template(web())["Resources"]["Task"], **windows["Resources"]}}
    made = run(both)
    assert [report.skipped is None for report in made.reports] == [True, False]
    assert json.loads(made.text)["Resources"]["Task"] == windows["Resources"]["Task"]
    assert verify(made.text, version="0.1.0") == []
    with pytest.raises(EmbedError, match="protects Linux tasks only"):
        run(windows)


def test_the_rest_of_the_template_may_change() -> None:
    """The way back holds byte for byte when other resources were added, and the gate still passes."""
    text = "# top\n" + yaml.safe_dump(template(web(), web(Name="two")), sort_keys=False)
    made = protect(text, images={}, settings=settings()).text
    more = made.replace("# top\n", "# top, changed\n") + "  Bucket:\n    Type: AWS::S3::Bucket\n"
    assert unprotect(more) == text.replace("# top\n", "# top, changed\n") + "  Bucket:\n    Type: AWS::S3::Bucket\n"
    assert verify(more, version="0.1.0", settings=settings()) == []
    assert protect(more, images={}, settings=settings()).edits == ()


def test_changes_since_are_kept() -> None:
    """A container that was changed since keeps its change when the protection leaves."""
    text = yaml.safe_dump(template(web()), sort_keys=False)
    made = protect(text, images={}, settings=settings()).text
    changed = made.replace("Image: nginx\n", "Image: nginx:2\n")
    assert parse(unprotect(changed)).root.value == template(web(Image="nginx:2"))


def test_tampering_is_found_in_every_branch() -> None:
    """The gate sees a branch that lost its wrap, wherever the choice stands."""
    made = run(template(web(EntryPoint=_if("A", ["/a"], ["/b"])))).text
    broken = made.replace('"/var/lib/bartizan/defender",', "", 1)
    codes = {finding.code for finding in verify(broken, version="0.1.0")}
    assert codes == {"unprotected"}


def test_explanations_name_the_resource() -> None:
    """Each changed value is explained with its place in the template."""
    lines = explain(run(template(web())).edits).splitlines()
    assert "/Resources/Task/Properties/ContainerDefinitions/0/EntryPoint: starts under the Defender" in lines
    assert explain(explain_protection(run(template(web())).text)).splitlines() == lines


def test_secrets_and_roles_have_the_templates_spelling() -> None:
    """The bundle by reference becomes `Secrets`; a task without `ExecutionRoleArn` is refused in those words."""
    text = json.dumps(template(web(), ExecutionRoleArn={"Fn::GetAtt": ["Role", "Arn"]}))
    sidecar = json.loads(protect(text, images={}, settings=by_secret()).text)
    shown = sidecar["Resources"]["Task"]["Properties"]["ContainerDefinitions"][-1]["Secrets"]
    assert shown == [{"Name": "INSTALL_BUNDLE", "ValueFrom": by_secret().install_bundle_secret}]
    with pytest.raises(EmbedError, match="no `ExecutionRoleArn`"):
        protect(json.dumps(template(web())), images={}, settings=by_secret())


def test_digests_are_pinned_where_they_are_known() -> None:
    """A literal image takes the digest that was looked at; an intrinsic function stays, with a warning."""
    value = template(web(Image="host:5000/a/web:1"), {"Name": "x", "Image": {"Ref": "X"}, "EntryPoint": ["/x"]})
    digest = "sha256:" + "b" * 64
    made = protect(
        json.dumps(value),
        images={"host:5000/a/web:1": ImageConfig(digest=digest)},
        settings=settings(pin_digest=True),
    )
    first, second, _ = json.loads(made.text)["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    assert first["Image"] == f"host:5000/a/web@{digest}"
    assert second["Image"] == {"Ref": "X"}
    assert any("`x` is not pinned" in warning for warning in made.report.warnings)
    assert unprotect(made.text) == json.dumps(value)


@pytest.mark.parametrize(
    ("choice", "wrapped"),
    [
        ({"exclude": ("label:team=a",)}, ["two", "three"]),
        ({"include": ("label:team",)}, ["one", "two"]),
        ({"include": ("label:team=b", "three")}, ["two", "three"]),
        ({"include": ("tag:stage=live",)}, ["one", "two", "three"]),
        ({}, ["one", "two", "three"]),
    ],
)
def test_selectors(choice: dict[str, Any], wrapped: list[str]) -> None:
    """Containers are picked by name, by label and by the tags of their task."""
    labelled = [("one", {"team": "a"}), ("two", {"team": "b"}), ("three", {"com.bartizan.protect": "true"})]
    value = template(
        *(web(Name=name, DockerLabels=labels) for name, labels in labelled), Tags=[{"Key": "stage", "Value": "live"}]
    )
    made = protect(json.dumps(value), images={}, settings=settings(**choice))
    assert [container.name for container in made.report.containers if container.skipped is None] == wrapped


def test_a_label_opts_out() -> None:
    """`com.bartizan.protect: "false"` leaves a container alone and says why; its name overrules it."""
    value = template(web(), web(Name="two", DockerLabels={"com.bartizan.protect": "false"}))
    made = run(value)
    assert made.report.containers[1].skipped == "its label `com.bartizan.protect` says so"
    named = protect(json.dumps(value), images={}, settings=settings(include=("two",)))
    assert [container.skipped is None for container in named.report.containers] == [False, True]


@pytest.mark.parametrize(
    ("properties", "members", "what"),
    [
        ({"Cpu": "256", "Memory": "4096"}, {}, "256 CPU units and 4096 MiB: take 2048 MiB"),
        ({"Cpu": ".25 vCPU", "Memory": "0.5 GB"}, {"Memory": 500}, "take 1024 MiB"),
        ({"Cpu": "300", "Memory": "512"}, {}, "no tasks with 300 CPU units"),
        ({"Cpu": "256", "Memory": "512"}, {"Cpu": 512}, "reserve 512 CPU units and the task has 256"),
        ({"Cpu": {"Ref": "C"}, "Memory": "512"}, {"MemoryReservation": 512}, "should have 576 MiB"),
    ],
)
def test_advice_on_sizes(properties: dict[str, Any], members: dict[str, Any], what: str) -> None:
    """Sizes that Fargate does not have, and reservations that leave the sidecar nothing, are told with a better size."""
    made = run(template(web(**members), RequiresCompatibilities=["FARGATE"], **properties))
    assert any(what in warning for warning in made.report.warnings)


def test_sizes_that_fit_are_not_talked_about() -> None:
    """A valid size with room for the sidecar gives no advice."""
    made = run(template(web(Memory=400), RequiresCompatibilities=["FARGATE"], Cpu="256", Memory="512"))
    assert not any("MiB" in warning or "CPU" in warning for warning in made.report.warnings)
