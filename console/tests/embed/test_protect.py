"""What protection adds to a task, and what it leaves alone."""

import base64
import json
import uuid
from hashlib import sha256
from hmac import new as hmac
from typing import Any

import pytest
from tests.embed.samples import BUNDLE, NGINX, by_secret, layouts, settings, task, web

from bartizan.embed import (
    ImageConfig,
    Protection,
    ProtectSettings,
    explain,
    needed_images,
    protect,
    render_report,
    unified_diff,
    unprotect,
)
from bartizan.embed.edit import apply
from bartizan.embed.wrap import UNDO_LABEL, VERSION_LABEL


def _protect(value: dict[str, Any], made_with: ProtectSettings | None = None, **images: ImageConfig) -> Protection:
    return protect(layouts(value)[0], images=images, settings=made_with or settings())


def _containers(protection: Protection) -> dict[str, dict[str, Any]]:
    return {container["name"]: container for container in json.loads(protection.text)["containerDefinitions"]}


def _variables(container: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container["environment"]}


def test_a_wrapped_container() -> None:
    """A container starts under the Defender, waits for the sidecar, mounts its volume read-only and may be traced."""
    container = _containers(_protect(task(web(command=["-p", "80"]))))["web"]
    token = hmac(b"s3cr3t" * 7, b"container\0web", sha256).hexdigest()[:32]
    assert container == {
        "name": "web",
        "image": "nginx",
        "entryPoint": ["/var/lib/bartizan/defender", "fargate", "entrypoint", "/http_server"],
        "command": ["-p", "80"],
        "environment": [
            {"name": "DEFENDER_TYPE", "value": "fargate"},
            {"name": "FARGATE_TASK", "value": "shop"},
            {"name": "DEFENDER_IMAGE_NAME", "value": "nginx"},
            {"name": "DEFENDER_CONTAINER_NAME", "value": "web"},
            {"name": "FILESYSTEM_MONITORING", "value": "false"},
            {"name": "DEFENDER_TOKEN", "value": token},
            {"name": "DEFENDER_FAIL_MODE", "value": "open"},
        ],
        "dependsOn": [{"containerName": "BartizanDefender", "condition": "HEALTHY"}],
        "volumesFrom": [{"sourceContainer": "BartizanDefender", "readOnly": True}],
        "linuxParameters": {"capabilities": {"add": ["SYS_PTRACE"]}},
    }


def test_the_sidecar() -> None:
    """The sidecar comes last: environment in the order that tools index by, read-only, without capabilities."""
    protection = _protect(task(web()))
    sidecar = json.loads(protection.text)["containerDefinitions"][-1]
    undo = sidecar["dockerLabels"].pop(UNDO_LABEL)
    assert base64.b64decode(undo, validate=True)
    assert sidecar == {
        "name": "BartizanDefender",
        "image": "registry.example.com/bartizan/defender:0.1.0",
        "essential": True,
        "entryPoint": ["/usr/local/bin/defender", "fargate", "sidecar"],
        "environment": [
            {"name": "INSTALL_BUNDLE", "value": BUNDLE},
            {"name": "DEFENDER_TYPE", "value": "fargate"},
            {"name": "FARGATE_TASK", "value": "shop"},
            {"name": "WS_ADDRESS", "value": "wss://console:8084"},
            {"name": "FILESYSTEM_MONITORING", "value": "false"},
            {"name": "DEFENDER_APP_ID", "value": protection.report.app_id},
            {"name": "DEFENDER_CONTAINERS", "value": '[{"name":"web","image":"nginx"}]'},
            {"name": "DEFENDER_FAIL_MODE", "value": "open"},
        ],
        "healthCheck": {
            "command": ["CMD", "/usr/local/bin/defender", "fargate", "healthcheck"],
            "interval": 5,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 10,
        },
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
        "readonlyRootFilesystem": True,
        "dockerLabels": {VERSION_LABEL: "0.1.0"},
    }


def test_what_the_user_set_stays_in_front() -> None:
    """Variables, dependencies, volumes and capabilities of the user keep their order; ours come behind them."""
    given = web(
        environment=[{"name": "B", "value": "1"}, {"name": "A", "value": "2"}],
        dependsOn=[{"containerName": "db", "condition": "START"}],
        volumesFrom=[{"sourceContainer": "db"}],
        linuxParameters={"initProcessEnabled": True, "capabilities": {"drop": ["NET_RAW"], "add": ["SYS_ADMIN"]}},
    )
    container = _containers(_protect(task(given, web(name="db"))))["web"]
    for key in ("environment", "dependsOn", "volumesFrom"):
        assert given[key] == container[key][: len(given[key])]
    assert container["linuxParameters"] == {
        "initProcessEnabled": True,
        "capabilities": {"drop": ["NET_RAW"], "add": ["SYS_ADMIN", "SYS_PTRACE"]},
    }


def test_a_capability_that_is_there_is_not_added_twice() -> None:
    """`linuxParameters` that already give SYS_PTRACE are left alone."""
    parameters = {"capabilities": {"add": ["SYS_PTRACE"]}}
    protection = _protect(task(web(linuxParameters=parameters)))
    assert parameters == _containers(protection)["web"]["linuxParameters"]
    assert not any("linuxParameters" in made.pointer for made in protection.edits)


def test_the_image_says_what_is_started() -> None:
    """A container without an entrypoint gets the image's, and the image's command, which would else be cleared."""
    protection = _protect(task({"name": "web", "image": "nginx"}), nginx=NGINX)
    container = _containers(protection)["web"]
    assert container["entryPoint"][3:] == ["/docker-entrypoint.sh"]
    assert container["command"] == ["nginx", "-g", "daemon off;"]
    (told,) = protection.report.containers
    assert (told.origin, told.digest) == ("registry", NGINX.digest)


def test_bytes_outside_the_edits_stay() -> None:
    """Unknown keys, odd blanks and odd numbers are as they were: what is not under an edit is the same text."""
    container = '{"image":"nginx" ,"name":"web","entryPoint":["/a"]}'
    text = '{"family" :"shop",  "zUnknown": 1.50e+3, "containerDefinitions":[\n' + container + "]}"
    protection = protect(text, images={}, settings=settings())
    assert protection.text == apply(text, protection.edits)
    assert all(made.start == made.end for made in protection.edits)
    assert '"zUnknown": 1.50e+3, ' in protection.text


def test_the_bundle_by_reference() -> None:
    """A bundle given as a secret is read by ECS; the report says what the execution role needs."""
    role = "arn:aws:iam::112233445566:role/execution"
    protection = _protect(
        task(web(), executionRoleArn=role), by_secret(image_pull_secret="arn:aws:ssm:eu-west-1:1:parameter/pull")
    )
    sidecar = _containers(protection)["BartizanDefender"]
    assert sidecar["secrets"] == [{"name": "INSTALL_BUNDLE", "valueFrom": by_secret().install_bundle_secret}]
    assert "INSTALL_BUNDLE" not in _variables(sidecar)
    assert next(iter(_variables(sidecar))) == "DEFENDER_TYPE"
    assert sidecar["repositoryCredentials"] == {"credentialsParameter": "arn:aws:ssm:eu-west-1:1:parameter/pull"}
    assert protection.report.iam_statement == {
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue", "ssm:GetParameters"],
        "Resource": [
            "arn:aws:secretsmanager:eu-west-1:112233445566:secret:bartizan-AbCdEf",
            "arn:aws:ssm:eu-west-1:1:parameter/pull",
        ],
    }
    assert "secretsmanager:GetSecretValue" in render_report(protection.report)


def test_settings_reach_the_task() -> None:
    """Fail mode, time limit, file monitoring, essential and the sidecar's name reach the containers."""
    made_with = settings(
        fail_mode="closed", policy_timeout=7, filesystem_monitoring=True, essential=False, sidecar_name="Watch"
    )
    protection = _protect(task(web()), made_with)
    containers = _containers(protection)
    assert containers["Watch"]["essential"] is False
    assert _variables(containers["Watch"])["DEFENDER_POLICY_TIMEOUT"] == "7"
    for name in ("web", "Watch"):
        assert _variables(containers[name])["DEFENDER_FAIL_MODE"] == "closed"
        assert _variables(containers[name])["FILESYSTEM_MONITORING"] == "true"
    assert containers["web"]["dependsOn"][0]["containerName"] == "Watch"
    assert any("not essential" in warning for warning in protection.report.warnings)


def test_app_id_is_stable() -> None:
    """The App ID is the family and a version 5 UUID of bundle and family, the same at every embed."""
    expected = uuid.uuid5(uuid.NAMESPACE_URL, "bartizan:bundle-1/shop")
    assert settings().app_id("shop") == f"shop:{expected}"
    assert settings().app_id("shop") != settings(bundle_id="other").app_id("shop")


def test_logs_and_memory() -> None:
    """The sidecar logs where the first wrapped container does; memory is reserved only where ECS demands it."""
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "shop"}}
    secret = {**logs, "secretOptions": [{"name": "a", "valueFrom": "arn:b"}]}
    assert _containers(_protect(task(web(logConfiguration=logs))))["BartizanDefender"]["logConfiguration"] == logs
    for other in (secret, {"logDriver": "awsfirelens"}, None):
        assert "logConfiguration" not in _containers(_protect(task(web(logConfiguration=other))))["BartizanDefender"]
    sized, unsized = task(web()), task(web())
    del unsized["memory"]
    assert "memoryReservation" not in _containers(_protect(sized))["BartizanDefender"]
    assert _containers(_protect(unsized))["BartizanDefender"]["memoryReservation"] == 64


@pytest.mark.parametrize(
    ("container", "members", "reason"),
    [
        ({"firelensConfiguration": {"type": "fluentbit"}}, {}, "FireLens"),
        ({}, {"proxyConfiguration": {"type": "APPMESH", "containerName": "other"}}, "App Mesh"),
        ({"image": "public.ecr.aws/xray/aws-xray-daemon:3.x"}, {}, "X-Ray"),
        ({"image": "amazon/cloudwatch-agent@sha256:00"}, {}, "CloudWatch"),
        ({"image": "r:5000/aws-otel-collector"}, {}, "OpenTelemetry"),
    ],
)
def test_skipped_containers_are_left_alone(container: dict[str, Any], members: dict[str, Any], reason: str) -> None:
    """Log routers, proxies and monitoring agents are not wrapped, and the report says why."""
    other = {"name": "other", "image": "envoy", **container}
    protection = _protect(task(web(), other, **members))
    assert _containers(protection)["other"] == other
    told = {item.name: item.skipped for item in protection.report.containers}
    assert told["web"] is None
    assert reason in str(told["other"])
    assert (
        _variables(_containers(protection)["BartizanDefender"])["DEFENDER_CONTAINERS"]
        == '[{"name":"web","image":"nginx"}]'
    )


def test_include_and_exclude() -> None:
    """Names choose containers; a monitoring agent that is included by name is wrapped."""
    agent = {"name": "agent", "image": "amazon/cloudwatch-agent", "entryPoint": ["/agent"]}
    value = task(web(), web(name="db"), agent)
    assert "entrypoint" in _containers(_protect(value, settings(include=("agent",))))["agent"]["entryPoint"]
    assert _containers(_protect(value, settings(include=("agent",))))["web"] == web()
    assert _containers(_protect(value, settings(exclude=("db",))))["db"] == web(name="db")


def test_describe_output() -> None:
    """What describe-task-definition adds is taken away and reported; tags beside the definition move into it."""
    tags = [{"key": "team", "value": "a"}, {"key": "aws:cloudformation:stack-name", "value": "b"}]
    described = {
        "taskDefinition": {"revision": 3, **task(web()), "status": "ACTIVE"},
        "tags": tags,
        "ResponseMetadata": {},
    }
    for text in layouts(described):
        protection = protect(text, images={}, settings=settings())
        value = json.loads(protection.text.removeprefix("\ufeff"))
        assert set(value) == {"family", "containerDefinitions", "cpu", "memory", "tags"}
        assert value["tags"] == tags[:1]
        assert protection.report.removed_fields == ("revision", "status", "ResponseMetadata", "tags")
        assert text == unprotect(protection.text)


def test_a_protected_definition_in_the_wrapper_of_describe() -> None:
    """An up-to-date definition that only has the wrapper around it is not called unchanged: AWS would not take it."""
    protected = json.loads(_protect(task(web())).text)
    text = json.dumps({"taskDefinition": protected}, indent=2)
    again = protect(text, images={}, settings=settings())
    value = json.loads(again.text)
    assert "taskDefinition" not in value
    assert value["containerDefinitions"][0] == protected["containerDefinitions"][0]
    assert again.text == apply(text, again.edits)


def test_upgrade_in_place() -> None:
    """Protecting a protected definition with other settings gives what protecting the original gives."""
    text = layouts(task({"name": "web", "image": "nginx"}))[0]
    old = protect(text, images={"nginx": NGINX}, settings=settings())
    newer = settings(version="0.2.0", defender_image="defender:0.2.0", sidecar_name="Watch", fail_mode="closed")
    upgraded = protect(old.text, images={}, settings=newer)
    assert upgraded.text == protect(text, images={"nginx": NGINX}, settings=newer).text
    assert upgraded.text == apply(old.text, upgraded.edits)
    assert upgraded.report.upgraded_from == "0.1.0"
    assert text == unprotect(upgraded.text)
    assert len(unified_diff(old.text, upgraded.edits).splitlines()) < 60


def test_a_moved_tag_is_an_upgrade() -> None:
    """When the image starts something else by now, protecting again writes that down."""
    text = layouts(task({"name": "web", "image": "nginx"}))[0]
    old = protect(text, images={"nginx": NGINX}, settings=settings())
    new = protect(old.text, images={"nginx": ImageConfig(("/new",))}, settings=settings())
    assert _containers(new)["web"]["entryPoint"][3:] == ["/new"]
    assert "command" not in _containers(new)["web"]


def test_up_to_date_is_unchanged() -> None:
    """Protecting what is up to date has no edits, also when it was laid out anew since."""
    protected = _protect(task({"name": "web", "image": "nginx"}), nginx=NGINX).text
    for text in [protected, *layouts(json.loads(protected)), json.dumps(json.loads(protected), sort_keys=True)]:
        again = protect(text, images={}, settings=settings())
        assert (again.edits, again.text, again.report.unchanged) == ((), text, True)
        assert "nothing changed" in render_report(again.report)


def test_needed_images() -> None:
    """Only the images of containers that are wrapped and do not say what they start are asked for, each once."""
    silent = {"image": "b"}
    value = task(web(), {"name": "x", **silent}, {"name": "y", **silent}, {"name": "z", "image": "aws-xray-daemon"})
    text = layouts(value)[0]
    assert [image.reference for image in needed_images(text, settings=settings())] == ["b"]
    protected = protect(text, images={"b": NGINX}, settings=settings()).text
    assert [image.reference for image in needed_images(protected, settings=settings())] == ["b"]


def test_warnings() -> None:
    """People are warned of what may go wrong, and only then."""
    odd = web(entryPoint=["/init", ""], dependsOn=[{"containerName": "gone", "condition": "START"}])
    role = {"executionRoleArn": "arn:aws:iam::1:role/x"}
    warnings = "\n".join(_protect(task(odd, pidMode="task", **role), by_secret()).report.warnings)
    for mark in ("pidMode", "empty argument", "s6-overlay", "`gone`"):
        assert mark in warnings
    assert _protect(task(web(), **role), by_secret()).report.warnings == ()
    assert "all who may read" in _protect(task(web())).report.warnings[0]


@pytest.mark.parametrize(("ports", "warned"), [(None, True), ("22, 8084", False), ("18084", True)])
def test_a_proxy_in_front_of_the_channel(ports: str | None, warned: bool) -> None:  # noqa: FBT001
    """Where the task's proxy would take the sidecar's connections to the Console, people are told."""
    properties = [] if ports is None else [{"name": "EgressIgnoredPorts", "value": ports}]
    proxy = {"containerName": "envoy", "properties": properties}
    warnings = _protect(task(web(), web(name="envoy"), proxyConfiguration=proxy)).report.warnings
    assert warned == any("EgressIgnoredPorts" in warning for warning in warnings)


def test_the_explanation_names_every_change() -> None:
    """Each changed value is explained by its place and its reason, once."""
    assert explain(_protect(task(web())).edits).splitlines() == [
        "/containerDefinitions/0/entryPoint: starts under the Defender",
        "/containerDefinitions/0/environment: tells the Defender which container it is in",
        "/containerDefinitions/0/dependsOn: waits for the sidecar to be healthy",
        "/containerDefinitions/0/volumesFrom: brings the Defender, read-only",
        "/containerDefinitions/0/linuxParameters: lets the Defender look into the processes it watches",
        "/containerDefinitions/1: the sidecar: brings the Defender and speaks to the Console",
    ]


def test_sizes_are_those_of_what_aws_gets() -> None:
    """Sizes count JSON without blanks, since clients send no blanks."""
    report = _protect(task(web(environment=[{"name": "U", "value": "ü"}]))).report
    protected = json.loads(_protect(task(web(environment=[{"name": "U", "value": "ü"}]))).text)
    compact = json.dumps(protected, separators=(",", ":"), ensure_ascii=False)
    assert report.bytes_after == len(compact.encode())


def test_secrets_do_not_show() -> None:
    """Neither bundle nor secret is in what people print of settings and reports."""
    made_with = settings()
    protection = _protect(task(web()), made_with)
    for shown in (repr(made_with), repr(protection.report), render_report(protection.report)):
        assert BUNDLE not in shown
        assert "s3cr3t" not in shown
