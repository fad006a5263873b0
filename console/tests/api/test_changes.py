"""The log of changes: it has everything, holds no secret, and shows when somebody meddles with it."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest

from bartizan.api import create_api
from bartizan.api.document import permissions
from bartizan.api.permissions import Permission
from bartizan.services.changes import Change, Changes
from bartizan.store import Database, SqlChanges

SECRET = "tr0ub4dor-that-must-not-show"


def newest(console: ConsoleUnderTest, **query: Any) -> list[dict[str, Any]]:
    """Return the newest entries."""
    with console.client() as client:
        answer = client.get("/audits/mgmt", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["entries"])


def test_a_change_says_who_what_and_how_it_was(console: ConsoleUnderTest) -> None:
    """The difference is there by place, found without the route's help."""
    rule = {"name": "shop", "processes": {"effect": "alert"}}
    console.put_policy(rule)
    console.put_policy({**rule, "processes": {"effect": "prevent"}})
    (entry,) = newest(console, limit=1)
    assert (entry["username"], entry["role"], entry["via"]) == (USER, "Administrator", "session")
    assert (entry["api"], entry["type"], entry["status"]) == ("PUT /api/v1/policies/runtime/app-embedded", "rule", 200)
    assert entry["sourceIP"] in {"127.0.0.1", "::1"}
    assert {"path": "rules[shop].processes.effect", "before": "alert", "after": "prevent"} in entry["diff"]


def test_no_secret_reaches_the_log(console: ConsoleUnderTest) -> None:
    """Passwords, tokens and credentials go through the API, and none is in the log or its files."""
    credential = {
        "_id": "shop", "type": "basic", "accountID": "robot", "secret": {"plain": SECRET}, "url": "https://registry.test",
    }  # fmt: skip
    with console.client() as client:
        assert client.post("/credentials", json=credential).status_code == 200
        user = {"username": "bob", "password": SECRET, "role": "Auditor"}
        assert client.post("/users", json=user).status_code == 200
        assert client.put("/users", json={**user, "password": "short"}).status_code == 400
        token = client.post("/tokens", json={"name": "t"}).json()["token"]
        assert client.post("/authenticate", json={"username": "bob", "password": SECRET + "x"}).status_code == 401
        assert client.post("/authenticate", json={"username": "bob", "password": SECRET}).status_code == 200
        assert client.put("/users/password", json={"oldPassword": SECRET, "newPassword": SECRET}).status_code == 403
        log = client.get("/audits/mgmt?limit=250").text
        assert client.delete("/credentials/shop").status_code == 200
    assert "[shop]" in log
    for name in ("bob", '"robot"'):
        assert name in log
    files = b"".join(path.read_bytes() for path in console.directory.glob("bartizan.db*"))
    for secret in (SECRET, PASSWORD, token):
        assert secret not in log
        assert secret.encode() not in files


def test_refusals_and_log_ins_are_noted(console: ConsoleUnderTest) -> None:
    """Who tried what they may not is in the log, and so is a wrong password; reading leaves nothing."""
    with console.client() as client:
        token = client.post("/tokens", json={"name": "reader", "role": "Auditor"}).json()["token"]
    with console.client(token=token) as reader:
        assert reader.delete("/collections/none").status_code == 403
        assert reader.get("/users").status_code == 200
    (entry,) = newest(console, limit=1)
    assert (entry["status"], entry["via"], entry["diff"]) == (403, "token", [])
    assert "collectionsWrite" in entry["failureMessage"]
    with console.client(token="") as client:
        assert client.post("/authenticate", json={"username": "nobody", "password": "guess"}).status_code == 401
    (entry,) = newest(console, limit=1)
    assert (entry["username"], entry["type"], entry["status"]) == ("nobody", "login", 401)


def test_every_writing_route_is_noted(console: ConsoleUnderTest) -> None:
    """Each route that may write leaves an entry for whoever is refused there: nobody forgot one."""
    routes = [
        (method, path) for (method, path), permission in permissions(create_api(None)).items()
        if method not in {"GET", "HEAD"} and not permission.reads
        and permission not in {Permission.PUBLIC, Permission.SIGNED_IN}
    ]  # fmt: skip
    with console.client() as client:
        token = client.post("/tokens", json={"name": "all", "permissions": ["overviewRead"]}).json()["token"]
    with console.client(token=token) as reader:
        for method, path in routes:
            assert reader.request(method, path.removeprefix("/api/v1")).status_code == 403
    noted = [entry["api"] for entry in newest(console, limit=250, result="refused")]
    assert {f"{method} {path}" for method, path in routes} <= set(noted)


def test_the_log_is_filtered_paged_and_downloaded(console: ConsoleUnderTest) -> None:
    """Pages follow each other without gaps; filters hold; CSV cells that a spreadsheet would run are defused."""
    with console.client() as client:
        for name in ("=one", "two", "three"):
            body = {"username": name, "password": "guess"}
            assert client.post("/authenticate", json=body, headers={"Authorization": ""}).status_code == 401
        found, cursor = [], ""
        while True:
            page = client.get("/audits/mgmt", params={"limit": 2, "cursor": cursor, "type": "login"}).json()
            found += page["entries"]
            if not (cursor := page["next"]):
                break
        ids = [entry["_id"] for entry in found]
        assert ids == sorted(set(ids), reverse=True)
        assert {entry["type"] for entry in found} == {"login"}
        only = client.get("/audits/mgmt", params={"username": "two,three", "result": "refused"}).json()["entries"]
        assert {entry["username"] for entry in only} == {"two", "three"}
        csv = client.get("/audits/mgmt/download", params={"type": "login"})
        assert csv.headers["content-disposition"] == 'attachment; filename="changes.csv"'
        assert ",'=one," in csv.text
        lines = client.get("/audits/mgmt/download", params={"type": "login", "format": "jsonl"}).text.splitlines()
        assert len(lines) == len(found)
        for query in ("of=x", "cursor=x", "limit=0", "result=maybe"):
            assert client.get(f"/audits/mgmt?{query}").status_code in {400, 422}
        assert client.get("/audits/mgmt/verify").json()["intact"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], Changes]]]:
    """Write ten entries, and give the database's path and a way to open the log anew."""
    path = tmp_path / "bartizan.db"
    opened: list[Database] = []

    def again(*, fresh: bool = False) -> Changes:
        opened.append(Database(path))
        return Changes(SqlChanges(opened[-1]), b"k" * 32, fresh=fresh, clock=lambda: 5)

    asyncio.run(_noted(again(fresh=True), 10))
    yield path, again
    for database in opened:
        database.close()


async def _noted(changes: Changes, count: int) -> None:
    for number in range(count):
        change = Change(
            id=0, time=0, user=f"u{number}", type="user", source="s", method="PUT", path="/p", status=200, document=b""
        )
        await changes.note(change, {"n": number})


def test_an_untouched_log_is_intact(log: tuple[Path, Callable[[], Changes]]) -> None:
    """It goes on over a restart."""
    changes = log[1]()
    asyncio.run(_noted(changes, 2))
    verdict = asyncio.run(changes.verify())
    assert (verdict.count, verdict.problem) == (13, "")


ATTACKS = {
    "edit": "UPDATE changes SET user = 'eve' WHERE id = 4",
    "edit the content": "UPDATE changes SET document = CAST('{}' AS BLOB) WHERE id = 4",
    "edit the time": "UPDATE changes SET time = 6 WHERE id = 10",
    "delete": "DELETE FROM changes WHERE id = 4",
    "delete the last": "DELETE FROM changes WHERE id = 10",
    "delete the first": "DELETE FROM changes WHERE id = 0",
    "delete all": "DELETE FROM changes",
    "delete all with the head": "DELETE FROM changes; DELETE FROM settings WHERE key = 'changes.head'",
    "delete the end with the head": "DELETE FROM changes WHERE id > 5; DELETE FROM settings WHERE key = 'changes.head'",
    "swap two": "UPDATE changes SET id = 99 WHERE id = 3; UPDATE changes SET id = 3 WHERE id = 4;"
    "UPDATE changes SET id = 4 WHERE id = 99",
    "delete and close the gap": "DELETE FROM changes WHERE id = 4; UPDATE changes SET id = id - 1 WHERE id > 4",
    "add": "INSERT INTO changes SELECT 11, time, user, type, source, method, path, status, document, hash FROM changes"
    " WHERE id = 10",
    "forge the head": "DELETE FROM changes WHERE id = 10;"
    """UPDATE settings SET value = replace(value, '"id":10', '"id":9') WHERE key = 'changes.head'""",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_meddling_is_found(log: tuple[Path, Callable[[], Changes]], attack: str) -> None:
    """Whoever writes to the database, but has not the key, is found: at once, and after entries that came since."""
    with sqlite3.connect(log[0]) as direct:
        direct.executescript(ATTACKS[attack])
    direct.close()
    changes = log[1]()
    assert asyncio.run(changes.verify()).problem
    asyncio.run(_noted(changes, 1))
    assert asyncio.run(changes.verify()).problem
