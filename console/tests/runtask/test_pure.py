"""What is decided before anything is made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.registry import ImageConfig
from bartizan.runtask import TaskError, parse_definition
from bartizan.runtask.plan import arguments, start_order
from bartizan.runtask.seccomp import Host, resolve_seccomp
from bartizan.runtask.users import resolve_user

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = st.sampled_from(
    [
        "name",
        "image",
        "entryPoint",
        "command",
        "environment",
        "secrets",
        "user",
        "dependsOn",
        "healthCheck",
        "stopTimeout",
        "mountPoints",
        "volumesFrom",
        "linuxParameters",
        "workingDirectory",
        "essential",
        "readonlyRootFilesystem",
    ]
)


def one(**fields: Any) -> dict[str, Any]:
    """Return a definition of one container with some fields."""
    return {"containerDefinitions": [{"name": "a", "image": "i", **fields}]}


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_document_is_parsed_or_refused_with_one_line(fields: dict[str, Any]) -> None:
    """Whatever a field holds, the definition is parsed or there is a `TaskError` of one line."""
    try:
        parse_definition(one(**fields))
    except TaskError as error:
        assert "\n" not in str(error)  # noqa: PT017 - no error is right as well


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "must be an object"),
        ({}, "has 0 containers"),
        ({"Resources": {}}, "CloudFormation"),
        (one(image=""), r"containerDefinitions\[0\].image` is missing"),
        (one(stopTimeout="x"), r"containerDefinitions\[0\].stopTimeout` must be a whole number"),
        (one(dependsOn=[{"containerName": "b", "condition": "START"}]), "container `b`, which does not exist"),
        (one(dependsOn=[{"containerName": "a", "condition": "SOON"}]), "must be START, COMPLETE, SUCCESS or HEALTHY"),
        (one(mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}]), "which `volumes` lacks"),
        (one(workingDirectory="/a/../b"), "without `..`"),
        (one(essential=False), "no container is `essential`"),
    ],
)
def test_errors_say_what_and_where(document: object, message: str) -> None:
    """Each mistake is named with its JSON path."""
    with pytest.raises(TaskError, match=message):
        parse_definition(document)


def test_a_circle_of_dependencies_is_shown() -> None:
    """Containers that wait for each other are refused, and the circle is spelled out."""
    containers = [
        {"name": a, "image": "i", "dependsOn": [{"containerName": b, "condition": "START"}]}
        for a, b in ("xy", "yz", "zx")
    ]
    definition = parse_definition({"containerDefinitions": containers})

    with pytest.raises(TaskError, match="x → y → z → x"):
        start_order(definition)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("e", "c")),
        ({"entryPoint": ["E"]}, ("E",)),
        ({"command": ["C"]}, ("e", "C")),
        ({"entryPoint": ["E"], "command": ["C"]}, ("E", "C")),
        ({"entryPoint": [], "command": None}, ("e", "c")),
    ],
)
def test_dockers_rule_of_entrypoint_and_command(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    """The image's CMD counts only when the task sets neither."""
    container = parse_definition(one(**fields)).containers[0]

    assert arguments(container, ImageConfig(entrypoint=("e",), cmd=("c",))) == expected


def test_seccomp_conditions_are_resolved() -> None:
    """Rules count by capability, architecture and kernel, and the conditions themselves are gone from the result."""
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["always"], "action": "A"},
            {"names": ["cap"], "action": "A", "includes": {"caps": ["CAP_X"]}},
            {"names": ["nocap"], "action": "A", "excludes": {"caps": ["CAP_X"]}},
            {"names": ["arm"], "action": "A", "includes": {"arches": ["arm64"]}},
            {"names": ["new"], "action": "A", "includes": {"minKernel": "6.0"}},
        ],
    }

    def names(capabilities: set[str], host: Host) -> list[str]:
        resolved: Any = resolve_seccomp(json.loads(json.dumps(profile)), capabilities=capabilities, host=host)
        assert all(set(rule) <= {"names", "action", "args", "errnoRet"} for rule in resolved["syscalls"])
        return [name for rule in resolved["syscalls"] for name in rule["names"]]

    assert names(set(), Host("x86_64", (5, 10))) == ["always", "nocap"]
    assert names({"CAP_X"}, Host("aarch64", (6, 0))) == ["always", "cap", "arm", "new"]


@given(st.text(max_size=12), st.text(max_size=60), st.text(max_size=60))
def test_any_account_file_gives_a_user_or_an_error(wanted: str, passwd: str, group: str) -> None:
    """Whatever the image's files hold, ids are in range or there is a `TaskError`."""
    try:
        user = resolve_user(wanted, passwd=passwd, group=group)
    except TaskError:
        return
    assert all(0 <= number < 2**32 - 1 for number in (user.uid, user.gid, *user.groups))
