"""The gate in front of a deployment."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.embed.samples import NGINX, layouts, settings, task, web

from bartizan.embed import protect, verify

_ORIGINAL = task(
    web(),
    {"name": "api", "image": "nginx"},
    {"name": "router", "image": "x", "firelensConfiguration": {"type": "fluentd"}},
)


def _protected() -> dict[str, Any]:
    text = protect(layouts(_ORIGINAL)[0], images={"nginx": NGINX}, settings=settings()).text
    value: dict[str, Any] = json.loads(text)
    return value


def _codes(value: Any, **options: Any) -> list[tuple[str, str | None]]:
    findings = verify(json.dumps(value, indent=2), **{"version": "0.1.0", **options})
    assert all(finding.where.line >= 1 and finding.message for finding in findings)
    return [(finding.code, finding.container) for finding in findings]


def test_a_protected_definition_passes() -> None:
    """A protected definition has no findings, with and without the settings it was made with."""
    assert _codes(_protected()) == []
    assert _codes(_protected(), settings=settings()) == []


def test_an_unprotected_definition_fails() -> None:
    """A definition without a sidecar fails, and each of its containers is named."""
    assert _codes(_ORIGINAL) == [
        ("missingSidecar", None),
        ("unprotected", "web"),
        ("unprotected", "api"),
        ("unprotected", "router"),
    ]


def test_an_older_version_fails() -> None:
    """Protection by another version is stale."""
    assert _codes(_protected(), version="0.2.0") == [("stale", "BartizanDefender")]


def _remove(index: int, key: str) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["containerDefinitions"][index].pop(key)


def _set(index: int, key: str, new: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["containerDefinitions"][index].update({key: new})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_remove(0, "entryPoint"), ("unprotected", "web")),
        (_set(0, "entryPoint", ["/http_server"]), ("unprotected", "web")),
        (_set(0, "entryPoint", ["sh", "-c", "/var/lib/bartizan/defender fargate entrypoint"]), ("unprotected", "web")),
        (_set(0, "volumesFrom", [{"sourceContainer": "BartizanDefender", "readOnly": False}]), ("tampered", "web")),
        (_set(0, "dependsOn", [{"containerName": "BartizanDefender", "condition": "START"}]), ("tampered", "web")),
        (_set(3, "entryPoint", ["/bin/true"]), ("tampered", "BartizanDefender")),
        (_set(3, "command", ["--help"]), ("tampered", "BartizanDefender")),
        (_set(3, "healthCheck", {"command": ["CMD", "true"]}), ("tampered", "BartizanDefender")),
        (lambda value: value["containerDefinitions"].append(web(name="new")), ("unprotected", "new")),
        (_remove(0, "linuxParameters"), ("tampered", "web")),
        (
            lambda value: value["containerDefinitions"][0]["environment"].append(
                {"name": "DEFENDER_FAIL_MODE", "value": "open"}
            ),
            ("tampered", "web"),
        ),
        (
            lambda value: value["containerDefinitions"][0]["environment"][3].update(value="other"),
            ("tampered", "web"),
        ),
        (lambda value: value["containerDefinitions"][0]["environment"].pop(3), ("tampered", "web")),
        (lambda value: value["containerDefinitions"][0]["environment"].pop(5), ("tampered", "web")),
    ],
)
def test_tampering_is_found(change: Callable[[dict[str, Any]], None], expected: tuple[str, str]) -> None:
    """A wrap or a sidecar that no longer protects is found, and named."""
    value = _protected()
    change(value)
    assert _codes(value) == [expected]


def test_a_token_of_another_bundle_fails() -> None:
    """With the settings, a token made with another bundle is found."""
    codes = _codes(_protected(), settings=settings(bundle_secret="another"))
    assert codes == [("tampered", "web"), ("tampered", "api")]


@pytest.mark.parametrize(
    "changes",
    [
        {"fail_mode": "closed"},
        {"defender_image": "other"},
        {"ws_address": "wss://other:8084"},
        {"sidecar_name": "Other"},
    ],
)
def test_other_settings_are_stale(changes: dict[str, Any]) -> None:
    """With the settings, what `protect` would change now is found."""
    assert _codes(_protected(), settings=settings(**changes)) == [("stale", "BartizanDefender")]


def test_settings_that_cannot_work_are_stale() -> None:
    """Settings with which the definition cannot be protected are a finding, not an error."""
    value = _protected()
    assert _codes(value, settings=settings(exclude=("gone",))) == [("stale", "BartizanDefender")]


def test_settings_decide_what_may_be_skipped() -> None:
    """A container that was excluded when it was protected, but is not by the settings, is found."""
    text = protect(layouts(_ORIGINAL)[0], images={"nginx": NGINX}, settings=settings(exclude=("web",))).text
    assert verify(text, version="0.1.0") == []
    assert [finding.container for finding in verify(text, version="0.1.0", settings=settings())] == ["web"]
