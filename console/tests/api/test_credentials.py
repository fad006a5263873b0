"""Credentials over the API: they go in, and nothing of their secrets comes out."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import USER, ConsoleUnderTest, running_console

SECRET = "tr0ub4dor-that-must-not-show"
SHOP: dict[str, Any] = {
    "_id": "shop",
    "type": "basic",
    "accountID": "robot",
    "secret": {"plain": SECRET, "encrypted": ""},
    "apiToken": {"encrypted": ""},
    "url": "https://registry.test",
    "description": "of the shop",
    # What the vendor's clients send along.
    "created": "0001-01-01T00:00:00Z",
    "lastModified": "2024-01-01T00:00:00Z",
    "owner": "somebody",
    "skipVerify": False,
    "useAWSRole": False,
    "caCert": "",
    "serviceAccount": {},
    "tokens": None,
}


@pytest.fixture
def kept(console: ConsoleUnderTest) -> Iterator[ConsoleUnderTest]:
    """Keep a credential, and remove all afterwards."""
    with console.client() as client:
        answer = client.post("/credentials", json=SHOP)
        assert (answer.status_code, answer.content) == (200, b"")
        yield console
        client.put("/settings/registry", json={"specifications": []})
        for item in client.get("/credentials").json():
            assert client.delete(f"/credentials/{item['_id']}").status_code == 200


def test_the_list_has_all_but_the_secrets(kept: ConsoleUnderTest) -> None:
    """The vendor's shape comes back, with `encrypted` empty."""
    with kept.client() as client:
        answer = client.get("/credentials")
    assert SECRET not in answer.text
    (shown,) = answer.json()
    assert shown.pop("created") == shown.pop("lastModified")
    assert shown == {
        "_id": "shop",
        "type": "basic",
        "accountID": "robot",
        "accountName": "",
        "secret": {"encrypted": ""},
        "apiToken": {"encrypted": ""},
        "url": "https://registry.test",
        "region": "",
        "roleArn": "",
        "description": "of the shop",
        "owner": USER,
    }


def test_what_came_out_can_go_in_again(kept: ConsoleUnderTest) -> None:
    """A client that reads, edits and writes back keeps the secret as it is."""
    with kept.client() as client:
        (shown,) = client.get("/credentials").json()
        assert client.put("/credentials/shop", json={**shown, "description": "edited"}).status_code == 200
        (again,) = client.get("/credentials").json()
    assert again["description"] == "edited"
    assert again["created"] == shown["created"]


def test_files_of_a_running_console_hold_no_secret(kept: ConsoleUnderTest) -> None:
    """A copy of the data directory without the key file gives nothing away."""
    files = {path.name: path.read_bytes() for path in kept.directory.iterdir() if path.is_file()}
    key = files.pop("secrets.key")
    assert (kept.directory / "secrets.key").stat().st_mode & 0o777 == 0o600
    held = b"".join(files.values())
    assert b"robot" in held
    assert SECRET.encode() not in held
    assert key.split()[1] not in held


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"url": "https://evil.example"}, "takes the secret again"),
        ({"accountID": "root"}, "takes the secret again"),
        ({"type": "aws", "url": ""}, "takes the secret again"),
        ({"_id": "other"}, "`_id`"),
        ({"secret": {"encrypted": "AAAA"}}, "`encrypted`"),
        ({"apiToken": {"plain": "x"}}, "`secret.plain`"),
        ({"useAWSRole": True}, "`useAWSRole`: this Console cannot do that"),
        ({"skipVerify": True}, "`skipVerify`"),
        ({"caCert": "x"}, "`caCert`"),
        ({"serviceAccount": {"key": "x"}}, "`serviceAccount`"),
        ({"type": "gcp"}, "`$.type`"),
        ({"url": "http://registry.test"}, "`url`"),
        ({"secret": "hunter2"}, "`$.secret`"),
    ],
)
def test_a_bad_change_is_refused_by_name(kept: ConsoleUnderTest, changed: dict[str, Any], named: str) -> None:
    """The refusal names the field and repeats no secret; nothing has changed."""
    body = {**SHOP, "secret": {"encrypted": ""}, **changed}
    with kept.client() as client:
        before = client.get("/credentials").json()
        answer = client.put("/credentials/shop", json=body)
        assert client.get("/credentials").json() == before
    assert answer.status_code == 400
    assert "hunter2" not in answer.text
    assert named in answer.json()["err"] or "hunter2" in json.dumps(body)


def test_an_unknown_credential_is_not_changed(console: ConsoleUnderTest) -> None:
    """PUT, DELETE and usages of an unknown name are 404."""
    with console.client() as client:
        assert client.put("/credentials/none", json=SHOP).status_code == 404
        assert client.delete("/credentials/none").status_code == 404
        assert client.get("/credentials/none/usages").status_code == 404


def test_a_used_credential_is_not_removed(kept: ConsoleUnderTest) -> None:
    """The refusal and `usages` name the registry, until its settings let go."""
    specification = {"version": "2", "registry": "https://registry.test", "credentialID": "shop"}
    with kept.client() as client:
        assert client.get("/credentials/shop/usages").json() == []
        assert client.post("/settings/registry", json=specification).status_code == 200
        usages = client.get("/credentials/shop/usages").json()
        answer = client.delete("/credentials/shop")
    assert usages == [{"type": "Registry Scan", "description": "settings of registry `registry.test`"}]
    assert answer.status_code == 409
    assert "settings of registry `registry.test`" in answer.json()["err"]


def test_a_moved_secret_is_told_when_it_is_needed(tmp_path: Path) -> None:
    """An attacker who swaps two rows of the database gets an error, and no secret goes anywhere."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        with console.client() as client:
            for name in ("one", "two"):
                body = {**SHOP, "_id": name, "url": f"https://{name}.test", "secret": {"plain": f"{SECRET}-{name}"}}
                assert client.post("/credentials", json=body).status_code == 200
    with sqlite3.connect(tmp_path / "data/bartizan.db") as direct:
        (one,), (two,) = direct.execute("SELECT secret FROM credentials ORDER BY id").fetchall()
        assert one != two
        direct.execute("UPDATE credentials SET secret = ? WHERE id = 'one'", (two,))
        direct.execute("UPDATE credentials SET secret = ? WHERE id = 'two'", (one,))
    with running_console(tmp_path / "data") as console:
        console.log_in()
        with console.client() as client:
            shown = client.get("/credentials")
    assert [item["_id"] for item in shown.json()] == ["one", "two"]
    assert SECRET not in shown.text


def test_the_key_can_be_changed(kept: ConsoleUnderTest) -> None:
    """A rotation seals everything anew with a new key; the old key is gone."""
    before = (kept.directory / "secrets.key").read_bytes()
    with kept.client() as client:
        answer = client.post("/credentials/rotate-key")
        assert (answer.status_code, answer.json()) == (200, {"resealed": 1})
        assert client.get("/credentials").status_code == 200
    after = (kept.directory / "secrets.key").read_bytes()
    assert after != before
    assert after.count(b"\n") == 1
