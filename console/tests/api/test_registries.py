"""The settings of registries over the API."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest

SPECIFICATION: dict[str, Any] = {
    "version": "2",
    "registry": "https://registry.test:5000",
    "namespace": "",
    "repository": "team/*",
    "tag": "",
    "os": "linux",
    "credentialID": "",
    "caCert": "",
    "excludedRepositories": ["team/old"],
    "excludedTags": [],
    "cap": 5,
    "scanners": 2,
    "collections": ["All"],
    "jfrogRepoTypes": [],
}
# What the vendor's clients send beside it.
SENT = {
    "hostname": "",
    "versionPattern": "",
    "useAWSRole": False,
    "cloudCredentialID": "",
    "roleArn": "",
    "gitlabRegistrySpec": {"excludedGroupIDs": None, "groupIDs": []},
    "harborDeploymentSecurity": False,
    "id": "0",
    "credential": {"_id": "", "type": "", "secret": {"encrypted": ""}},
    "lastScanTime": "0001-01-01T00:00:00Z",
    "lastScanStatus": "",
}


@pytest.fixture(autouse=True)
def _none_afterwards(console: ConsoleUnderTest) -> Iterator[None]:
    """Remove all registries after each test."""
    yield
    with console.client() as client:
        assert client.put("/settings/registry", json={"specifications": []}).status_code == 200


def test_specifications_come_back_as_they_were_put(console: ConsoleUnderTest) -> None:
    """PUT replaces the list, POST adds to it, and GET gives it in order."""
    second = {**SPECIFICATION, "version": "dockerhub", "registry": "", "repository": "library/nginx"}
    with console.client() as client:
        body = {"specifications": [{**SPECIFICATION, **SENT}], "webhookUrlSuffix": ""}
        assert client.put("/settings/registry", json=body).status_code == 200
        assert client.post("/settings/registry", json={**second, **SENT}).status_code == 200
        answer = client.get("/settings/registry?project=Central%20Console").json()
        assert client.put("/settings/registry", json=answer).status_code == 200
        assert client.get("/settings/registry").json() == answer
    assert answer == {"specifications": [SPECIFICATION, second]}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"version": "quay"}, "`version`"),
        ({"version": 2}, "`$.version`"),
        ({"registry": "http://registry.test"}, "`registry`"),
        ({"registry": "https://u:hunter2@registry.test"}, "`registry`"),
        ({"os": "windows"}, "`os`"),
        ({"tag": "a b"}, "`tag`"),
        ({"credentialID": "none"}, "no credential `none`"),
        ({"caCert": "nothing"}, "`caCert`"),
        ({"caCert": "ü"}, "`caCert`"),
        ({"useAWSRole": True}, "`useAWSRole`: this Console cannot do that"),
        ({"versionPattern": "v*"}, "`versionPattern`"),
        ({"gitlabRegistrySpec": {"groupIDs": ["7"]}}, "`gitlabRegistrySpec`"),
        ({"cap": -1}, "`$.cap`"),
        ({"jfrogRepoTypes": ["other"]}, "`$.jfrogRepoTypes"),
    ],
)
def test_a_bad_specification_is_refused_by_place(
    console: ConsoleUnderTest, changed: dict[str, Any], named: str
) -> None:
    """The refusal names which one and which field; the list stays as it was."""
    with console.client() as client:
        assert client.post("/settings/registry", json=SPECIFICATION).status_code == 200
        body = {"specifications": [SPECIFICATION, {**SPECIFICATION, **changed}]}
        answer = client.put("/settings/registry", json=body)
        assert client.get("/settings/registry").json() == {"specifications": [SPECIFICATION]}
    assert answer.status_code == 400
    assert "`specifications[1]`: " in answer.json()["err"]
    assert "hunter2" not in answer.text
    if named.startswith("`$."):
        assert "does not fit" in answer.json()["err"] or named in answer.json()["err"]
    else:
        assert named in answer.json()["err"]


@pytest.mark.parametrize(
    "body",
    [{}, {"specifications": None}, {"specifications": [1]}, {"specifications": [], "harborScannerUrlSuffix": "x"}],
)
def test_another_body_is_refused(console: ConsoleUnderTest, body: dict[str, Any]) -> None:
    """What is no list of registries changes nothing."""
    with console.client() as client:
        assert client.put("/settings/registry", json=body).status_code == 400
