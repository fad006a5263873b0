"""Ports that move behind the firewall: mappings, what follows them in a template, refusals, warnings."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.embed.cfn_lint import cfn_lint_findings
from tests.embed.samples import NGINX, REPOSITORY, corpus, layouts, settings, task, templates, web

from bartizan.embed import EmbedError, Protection, explain_protection, needed_images, protect, undo, unprotect, verify
from bartizan.embed.waas_ports import WaasPort, read_waas_ports, written

HTTP = {"containerPort": 8080, "hostPort": 8080, "protocol": "tcp", "name": "http", "appProtocol": "http"}
TEMPLATE = """\
Parameters:
  Port: {Type: Number, Default: 8080}
Resources:
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {Port: 8080, HealthCheckPort: "8080"}  # probes
  Service:
    Type: AWS::ECS::Service
    Properties:
      TaskDefinition: !Ref Task
      LoadBalancers:
        - ContainerName: web  # the shop
          ContainerPort: !Ref Port
          TargetGroupArn: !Ref Group
      ServiceRegistries: [{RegistryArn: a, ContainerName: 'web', ContainerPort: 8080}]
      ServiceConnectConfiguration: {Services: [{PortName: http}]}
  Other:
    Type: AWS::ECS::Service
    Properties:
      TaskDefinition: !Ref Elsewhere
      LoadBalancers: [{ContainerName: web, ContainerPort: 8080}]
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: shop
      NetworkMode: awsvpc
      ContainerDefinitions:
        - Name: web
          Image: nginx
          EntryPoint: [/http_server]
          PortMappings:
            - {ContainerPort: !Ref Port, Name: http}
            - ContainerPort: 9090
"""


def awsvpc(*containers: dict[str, Any], **members: Any) -> str:
    """Return a task as text, with a network of its own."""
    return layouts(task(*containers, **{"networkMode": "awsvpc", **members}))[0]


def exposed(text: str, *ports: str, **changes: Any) -> Protection:
    """Return a text protected, with a firewall at `ports`."""
    return protect(text, images={}, settings=settings(waas_ports=ports, **changes))


def containers(text: str) -> dict[str, Any]:
    """Return the containers of a task by name."""
    return {container["name"]: container for container in json.loads(text)["containerDefinitions"]}


class Tags(yaml.CSafeLoader):
    """Reads a template by a parser of its own; short tags become their text."""


Tags.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix} {loader.construct_scalar(node)}")


def resources(text: str) -> Any:
    """Return the resources of a template."""
    return yaml.load(text, Loader=Tags)["Resources"]  # noqa: S506 - it derives from the safe one


def test_a_mapping_moves_to_the_sidecar_with_its_name() -> None:
    """The sidecar has the mapping with the firewall's port, name and protocol kept; the container keeps its others."""
    text = awsvpc(web(portMappings=[HTTP, {"containerPort": 9090}]))
    found = containers(exposed(text, "80:8080").text)

    assert found["web"]["portMappings"] == [{"containerPort": 9090}]
    assert found["BartizanDefender"]["portMappings"] == [{**HTTP, "containerPort": 80, "hostPort": 80}]
    assert {"name": "DEFENDER_WAAS_PORTS", "value": "80:8080"} in found["BartizanDefender"]["environment"]
    assert not any(item["name"] == "DEFENDER_WAAS_PORTS" for item in found["web"]["environment"])


@pytest.mark.parametrize("protocol", ["tcp", "TCP", "http", ""])
def test_what_is_not_udp_is_tcp(protocol: str) -> None:
    """Templates call the protocol of a mapping `http`, too: it moves like any other, as it is written."""
    text = exposed(awsvpc(web(portMappings=[{**HTTP, "protocol": protocol}])), "80:8080").text

    (mapping,) = containers(text)["BartizanDefender"]["portMappings"]
    assert (mapping["protocol"], mapping["containerPort"]) == (protocol, 80)


def test_the_last_mapping_takes_its_list_along() -> None:
    """A container without any mapping left has no empty list of them."""
    assert "portMappings" not in containers(exposed(awsvpc(web(portMappings=[HTTP])), "80:8080").text)["web"]


@pytest.mark.parametrize(("port", "kept"), [("80:8080", False), ("8000:8080", True)])
def test_only_a_privileged_port_keeps_the_right_to_bind_it(port: str, kept: bool) -> None:  # noqa: FBT001
    """Below 1024 the sidecar drops all capabilities but NET_BIND_SERVICE, else all of them."""
    sidecar = containers(exposed(awsvpc(web(portMappings=[HTTP])), port).text)["BartizanDefender"]
    dropped = sidecar["linuxParameters"]["capabilities"]["drop"]

    assert (dropped == ["ALL"]) is kept
    assert "NET_BIND_SERVICE" not in dropped
    assert "add" not in sidecar["linuxParameters"]["capabilities"]


def test_what_names_the_port_in_the_template_follows() -> None:
    """Services of the task and their target groups name the sidecar and its port; all other bytes of them stay."""
    made = exposed(TEMPLATE, "80:8080")
    found = resources(made.text)
    properties = found["Service"]["Properties"]

    assert properties["LoadBalancers"] == [
        {"ContainerName": "BartizanDefender", "ContainerPort": 80, "TargetGroupArn": "!Ref Group"}
    ]
    assert properties["ServiceRegistries"] == [
        {"RegistryArn": "a", "ContainerName": "BartizanDefender", "ContainerPort": 80}
    ]
    assert found["Group"]["Properties"] == {"Port": 8080, "HealthCheckPort": "80"}
    assert found["Other"] == resources(TEMPLATE)["Other"]
    assert "  # the shop\n" in made.text
    assert made.report.moved_ports == (
        "port 8080 of `web` stands behind the firewall: `BartizanDefender` takes port 80 and passes on to 8080",
    )


def test_an_alias_in_a_service_is_replaced_alone() -> None:
    """What an alias repeats stays as it is where it was written, and the service gets its alias back."""
    text = TEMPLATE.replace("Parameters:", "X: &name web\nParameters:")
    text = text.replace("ContainerName: web  #", "ContainerName: *name  #")
    made = exposed(text, "80:8080")

    assert made.text.startswith("X: &name web\n")
    assert "ContainerName: BartizanDefender  #" in made.text
    assert unprotect(made.text) == text


def test_aws_rules_for_templates_find_nothing_new() -> None:
    """What cfn-lint says of a template with a load balancer it says of the protected one, and no more."""
    text = (REPOSITORY / "examples/cloudformation/load-balanced.yaml").read_text()

    assert cfn_lint_findings(exposed(text, "80:8080").text) <= cfn_lint_findings(text) == frozenset()


def test_a_template_has_its_way_back() -> None:
    """Unprotecting gives the bytes back, protecting again changes nothing, and leaving the port out puts it back."""
    made = exposed(TEMPLATE, "80:8080")

    assert unprotect(made.text) == TEMPLATE
    assert exposed(made.text, "80:8080").edits == ()
    assert exposed(made.text).text == exposed(TEMPLATE).text
    assert exposed(made.text, "81:8080").text == exposed(TEMPLATE, "81:8080").text


def test_a_service_goes_back_beside_later_changes() -> None:
    """After the template was changed the service still gets its own values back, and the change stays."""
    changed = exposed(TEMPLATE, "80:8080").text.replace("Family: shop", "Family: store").replace("# probes", "# asks")
    back = unprotect(changed)

    assert "ContainerName: web  # the shop\n          ContainerPort: !Ref Port\n" in back
    assert 'HealthCheckPort: "8080"}  # asks' in back
    assert "Family: store" in back


def test_what_a_person_put_into_the_service_since_stays() -> None:
    """A value that is no more ours is left alone when the protection goes."""
    changed = exposed(TEMPLATE, "80:8080").text.replace("ContainerPort: 80\n", "ContainerPort: 8443\n")

    assert "ContainerPort: 8443\n" in unprotect(changed)


def test_a_service_that_was_put_back_by_hand_follows_again() -> None:
    """Protecting again sets right what no more leads to the sidecar, though the task itself is as it should be."""
    made = exposed(TEMPLATE, "80:8080").text
    bent = made.replace("- ContainerName: BartizanDefender  # the shop", "- ContainerName: web  # the shop")

    assert bent != made
    assert exposed(bent, "80:8080").text == made


def test_a_false_label_reaches_services_only() -> None:
    """What the label says of the rest of the template can change ports and names of services, nothing else."""
    made = exposed(TEMPLATE, "80:8080").text
    back = unprotect(made.replace("Type: AWS::ECS::Service\n", "Type: Custom::Service\n", 1))
    assert "ContainerName: BartizanDefender  # the shop" in back


@pytest.mark.parametrize(
    ("path", "old", "refused"),
    [
        (
            ["Resources", "Service", "Properties", "LoadBalancers", "0", "ContainerPort"],
            "8080\n          Evil: 1",
            True,
        ),
        (["Resources", "Service", "Properties", "LoadBalancers", "0", "ContainerPort"], "{", True),
        (["Resources", "Task", "Properties", "Family"], "evil", False),
        (["Resources", "Service", "Properties", "TaskDefinition"], "evil", False),
        (["Resources", "Service", "Properties", "LoadBalancers", "99999999999", "ContainerPort"], "evil", False),
    ],
)
def test_a_forged_label_writes_nothing_into_the_template(path: list[str], old: str, refused: bool) -> None:  # noqa: FBT001
    """A label that says more than one value, or names another place, is refused or changes nothing there."""
    made = exposed(TEMPLATE, "80:8080").text
    label = re.findall(r'com.bartizan.undo: "([^"]*)"', made)[0]
    record = undo.decode(label)
    now = "shop" if path[-1] == "Family" else 80
    forged = made.replace(label, undo.encode(msgspec.structs.replace(record, following=[(path, old, now)])))

    if refused:
        with pytest.raises(EmbedError, match="it would change more of the template than ports"):
            unprotect(forged)
    else:
        assert "evil" not in unprotect(forged)


@pytest.mark.parametrize(
    ("text", "ports", "words"),
    [
        (awsvpc(web(portMappings=[HTTP])), ["8080:8080"], "only one can listen"),
        (awsvpc(web(portMappings=[HTTP])), ["80-8080"], "is no pair of ports"),
        (awsvpc(web(portMappings=[HTTP])), ["80:0"], "0 is not between 1 and 65535"),
        (awsvpc(web(portMappings=[HTTP])), ["70000:8080"], "70000 is not between"),
        (awsvpc(web(portMappings=[HTTP])), ["80:8080", "80:9090"], "80 is given twice"),
        (awsvpc(web(portMappings=[HTTP])), ["80:8080", "81:8080"], "8080 is given twice"),
        (
            awsvpc(web(portMappings=[HTTP])),
            ["80:8080", "8080:80"],
            "80 is the firewall's in `80:8080` and the application's in `8080:80`",
        ),
        (awsvpc(web(portMappings=[HTTP])), ["80:8081"], "no container maps port 8081 of `80:8081`: mapped are 8080"),
        (awsvpc(web()), ["80:8080"], "no container maps port 8080 of `80:8080`, nor any other"),
        (awsvpc(web(portMappings=[HTTP, {"containerPort": 80}])), ["80:8080"], "already that of container `web`"),
        (
            awsvpc(web(portMappings=[HTTP]), web(name="b", portMappings=[{"containerPort": 80}])),
            ["80:8080"],
            "already that of container `b`",
        ),
        (
            TEMPLATE.replace("ContainerPort: 9090", "ContainerPort: !Ref Low").replace(
                "Parameters:\n", "Parameters:\n  Low: {Type: Number, Default: 80}\n"
            ),
            ["80:8080"],
            "already that of",
        ),
        (
            awsvpc(web(portMappings=[HTTP, {"containerPortRange": "70-90"}])),
            ["80:8080"],
            "already that of container `web`",
        ),
        (
            awsvpc(web(portMappings=[HTTP]), web(name="b", portMappings=[HTTP])),
            ["80:8080"],
            "mapped 2 times, by `web` and `b`",
        ),
        (awsvpc(web(portMappings=[{"containerPortRange": "8000-8100"}])), ["80:8080"], "maps the range `8000-8100`"),
        (awsvpc(web(portMappings=[{**HTTP, "protocol": "udp"}])), ["80:8080"], "speaks TCP only"),
        (awsvpc(web(portMappings=[HTTP]), networkMode="bridge"), ["80:8080"], "the network mode is `bridge`"),
        (awsvpc(web(portMappings=[HTTP]), networkMode="none"), ["80:8080"], "the network mode is `none`"),
        (awsvpc(web(portMappings=[HTTP]), networkMode=None), ["80:8080"], "the default, `bridge`"),
    ],
)
def test_refusals(text: str, ports: list[str], words: str) -> None:
    """Ports that cannot stand, and tasks in which a way around the firewall would stay, are refused with the reason."""
    with pytest.raises(EmbedError) as caught:
        exposed(text, *ports)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "- {ContainerPort: !Ref Port, Name: http}",
            "- !If [A, {ContainerPort: 8080}, !Ref AWS::NoValue]",
            "condition",
        ),
        ("NetworkMode: awsvpc", "NetworkMode: !If [A, awsvpc, bridge]", "the network mode is `bridge`"),
        ("ContainerName: web  # the shop", "<<: {ContainerName: web}", "written elsewhere"),
    ],
)
def test_templates_that_leave_it_to_the_deployment_are_refused(old: str, new: str, words: str) -> None:
    """What only a deployment decides, or what stands elsewhere in the text, is refused rather than guessed."""
    with pytest.raises(EmbedError) as caught:
        exposed(TEMPLATE.replace(old, new), "80:8080")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("mode", "changes", "words"),
    [
        ("awsvpc", {}, "let the security group open port 80, not 8080"),
        ("host", {}, "let the application listen on 127.0.0.1"),
        ("awsvpc", {"essential": False}, "nobody reaches the application"),
    ],
)
def test_warnings(mode: str, changes: dict[str, Any], words: str) -> None:
    """Ways around the firewall that a definition cannot close are told; without a firewall nothing of it is."""
    text = awsvpc(web(portMappings=[HTTP]), networkMode=mode)

    assert any(words in warning for warning in exposed(text, "80:8080", **changes).report.warnings)
    assert not any(words in warning for warning in exposed(text, **changes).report.warnings)


def test_a_security_group_that_opens_the_applications_port_is_named() -> None:
    """A group of the template that lets clients reach the application itself is told by its name."""
    group = """\
  Inside:
    Type: AWS::EC2::SecurityGroup
    Properties:
      SecurityGroupIngress: [{FromPort: 8000, ToPort: 9000}]
  Outside:
    Type: AWS::EC2::SecurityGroup
    Properties:
      SecurityGroupIngress: [{FromPort: 80, ToPort: 80}]
"""
    warnings = exposed(TEMPLATE + group, "80:8080").report.warnings

    assert [warning for warning in warnings if "`Inside` opens port 8080" in warning]
    assert not any("`Outside`" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("named", "told"), [("!Ref Parameter", True), ("!Ref Worker", False), ("!Sub '${Task}'", False)]
)
def test_a_service_whose_task_is_not_known_is_named(named: str, told: bool) -> None:  # noqa: FBT001
    """A service that names the port, and may or may not run this task, is told and left alone."""
    worker = """\
  Worker:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: worker
      ContainerDefinitions: [{Name: worker, Image: w, EntryPoint: [/w]}]
"""
    made = exposed(TEMPLATE.replace("!Ref Elsewhere", named) + worker, "80:8080")

    assert any("service `Other` does not say" in warning for warning in made.reports[0].warnings) is told
    assert ("{ContainerName: web, ContainerPort: 8080}" in made.text) is ("Task" not in named)


def test_a_task_without_the_port_is_left_without_a_firewall() -> None:
    """Of several tasks only that with the port gets it, and is protected with the others all the same."""
    second = """\
  Worker:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: worker
      ContainerDefinitions: [{Name: worker, Image: w, EntryPoint: [/w]}]
"""
    made = exposed(TEMPLATE + second, "80:8080")
    worker = resources(made.text)["Worker"]["Properties"]

    assert [container["Name"] for container in worker["ContainerDefinitions"]] == ["worker", "BartizanDefender"]
    assert "DEFENDER_WAAS_PORTS" not in json.dumps(worker)
    assert [len(report.moved_ports) for report in made.reports] == [1, 0]
    assert unprotect(made.text) == TEMPLATE + second


def test_the_explanation_and_the_check_know_of_it() -> None:
    """What moved is explained; a protected template is fine, and one without the port is not what was asked for."""
    made = exposed(TEMPLATE, "80:8080").text
    told = [one for one in explain_protection(made) if "firewall listens" in one.why]

    assert {one.pointer.rpartition("/")[2] for one in told} >= {"ContainerName", "ContainerPort", "HealthCheckPort"}
    assert verify(made, version="0.1.0", settings=settings(waas_ports=("80:8080",))) == []
    assert [found.code for found in verify(made, version="0.1.0", settings=settings())] == ["stale"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("- ContainerPort: 9090", "- ContainerPort: 8080", "`web` maps port 8080, around the firewall"),
        ("- ContainerPort: 80\n              Name", "- ContainerPort: 81\n              Name", "has lost port 80"),
        ('Value: "80:8080"', 'Value: "80"', "cannot listen: `80` is no pair of ports"),
    ],
)
def test_the_gate_finds_a_way_around_the_firewall(old: str, new: str, words: str) -> None:
    """A mapping put back, taken away or bent after the protection is found without knowing the settings."""
    made = exposed(TEMPLATE, "80:8080").text
    assert old in made

    (found,) = verify(made.replace(old, new), version="0.1.0")

    assert found.code == "tampered"
    assert words in found.message


_ports = st.integers(1, 65_535)


@given(st.lists(st.tuples(_ports, _ports), max_size=5))
def test_ports_that_are_read_are_written_the_same(pairs: list[tuple[int, int]]) -> None:
    """Pairs are refused, or read and written as they were; no port is both the firewall's and an app's."""
    texts = [f"{exposed}:{app}" for exposed, app in pairs]
    try:
        ports = read_waas_ports(texts)
    except EmbedError:
        numbers = [number for pair in pairs for number in pair]
        assert len(set(numbers)) < len(numbers)
        return
    assert ports == tuple(WaasPort(*pair) for pair in pairs)
    assert not ports or read_waas_ports([written(ports)]) == ports
    assert not {port.exposed for port in ports} & {port.app for port in ports}


_mappings = st.lists(
    st.fixed_dictionaries(
        {"containerPort": st.sampled_from([80, 443, 8080, "8080", 9090])},
        optional={
            "hostPort": st.sampled_from([0, 80, 8080]),
            "protocol": st.sampled_from(["tcp", "udp"]),
            "name": st.sampled_from(["http", "admin"]),
        },
    ),
    max_size=3,
)


@given(_mappings, _mappings, st.sampled_from([["80:8080"], ["81:8080", "82:9090"], ["8080:80"]]), st.integers(0, 3))
def test_any_mappings_come_back(one: list[Any], other: list[Any], ports: list[str], layout: int) -> None:
    """Protecting is refused, or idempotent and undone byte for byte, and no app's port is mapped but by the sidecar."""
    value = task(web(portMappings=one), web(name="db", portMappings=other), networkMode="awsvpc")
    texts = layouts(value)
    text = texts[layout % len(texts)]
    try:
        made = exposed(text, *ports)
    except EmbedError:
        return
    assert unprotect(made.text) == text
    assert exposed(made.text, *ports).edits == ()
    found = containers(made.text)
    apps = {port.app for port in read_waas_ports(ports)}
    left = [mapping for name in ("web", "db") for mapping in found[name].get("portMappings", [])]
    assert not any(int(mapping["containerPort"]) in apps for mapping in left)
    moved = found["BartizanDefender"]["portMappings"]
    assert [int(mapping["containerPort"]) for mapping in moved] == [port.exposed for port in read_waas_ports(ports)]


def _mapped(text: str) -> list[int]:
    """Return the ports that the containers of a text map, as far as it says."""
    found = re.findall(r"""["']?[cC]ontainerPort["']?\s*:\s*["']?(\d+)""", text)
    return sorted({int(port) for port in found if 0 < int(port) < 65_536})


@pytest.mark.parametrize("path", [*corpus(), *templates()], ids=lambda path: "/".join(path.parts[-2:]))
def test_real_definitions_come_back(path: Path) -> None:
    """With the firewall on any of its ports a definition is refused with a reason, or all promises hold."""
    text = path.read_bytes().decode()
    for port in _mapped(text)[:3]:
        asked = settings(waas_ports=(f"{port % 10_000 + (20_000 if port < 20_000 else 10_000)}:{port}",))
        try:
            known = {image.expression: NGINX for image in needed_images(text, settings=asked)}
            made = protect(text, images=known, settings=asked)
        except EmbedError:
            continue
        assert unprotect(made.text) == text
        assert protect(made.text, images=known, settings=asked).edits == ()
        assert any(report.moved_ports for report in made.reports)
