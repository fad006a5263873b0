"""Users, groups, roles, API tokens and sessions over the API, and what each role can reach."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.running import PASSWORD, USER, ConsoleUnderTest, DefenderEnd

from bartizan.api import create_api
from bartizan.api.document import permissions
from bartizan.api.permissions import Permission
from bartizan.services.roles import SYSTEM_ROLES
from bartizan.services.tokens import is_token, new_token

ANN_PASSWORD = "another long password"


def token_of(console: ConsoleUnderTest, name: str, **limits: Any) -> str:
    """Return a new API token of the administrator's."""
    with console.client() as client:
        answer = client.post("/tokens", json={"name": name, **limits})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])


@pytest.fixture(scope="module")
def ann(console: ConsoleUnderTest) -> Iterator[httpx.Client]:
    """Add Ann, who manages Defenders, and log her in as a script."""
    with console.client() as client:
        user = {"username": "ann", "password": ANN_PASSWORD, "role": "Defender Manager", "authType": "basic"}
        assert client.post("/users", json=user).status_code == 200
        answer = client.post("/authenticate", json={"username": "ann", "password": ANN_PASSWORD})
    with console.client(token=answer.json()["token"]) as client:
        yield client


def test_each_role_reaches_what_it_gives_and_nothing_else(console: ConsoleUnderTest) -> None:
    """Role by route: a denied route answers 403 whatever is sent, an allowed one that only reads does not."""
    routes, root = permissions(create_api(None)), console.url.removesuffix("/api/v1")
    for role in SYSTEM_ROLES.values():
        with console.client(token=token_of(console, f"matrix {role.name}", role=role.name)) as client:
            for (method, path), permission in routes.items():
                if permission in {Permission.PUBLIC, Permission.SIGNED_IN}:
                    continue
                if permission not in role.permissions:
                    status = client.request(method, root + path).status_code
                    assert status == 403, (role.name, method, path)
                elif method == "GET" and "{" not in path and "follow" not in path and "download" not in path:
                    status = client.get(root + path).status_code
                    assert status not in {401, 403}, (role.name, path)


def test_a_user_has_what_their_role_and_groups_give(console: ConsoleUnderTest, ann: httpx.Client) -> None:
    """A group's role comes beside one's own, at once, and goes with the group."""
    team = {"groupName": "team", "role": "Auditor", "user": [{"username": "ann"}]}
    with console.client() as client:
        assert ann.get("/policies/runtime/app-embedded").status_code == 403
        assert client.post("/groups", json=team).status_code == 200
        assert client.post("/groups", json=team).status_code == 409
        (group,) = client.get("/groups").json()
        assert (group["_id"], group["role"], group["owner"]) == ("team", "Auditor", USER)
        assert ann.get("/policies/runtime/app-embedded").status_code == 200
        shown = next(user for user in client.get("/users").json() if user["username"] == "ann")
        assert (shown["role"], shown["groups"]) == ("Defender Manager", ["team"])
        # What came out can go in again.
        assert client.put("/users", json=shown).status_code == 200
        assert client.put("/groups/team", json=group).status_code == 200
        assert client.delete("/groups/team").status_code == 200
        assert ann.get("/policies/runtime/app-embedded").status_code == 403


def test_who_is_limited_to_collections_is_kept_from_the_rest(console: ConsoleUnderTest, ann: httpx.Client) -> None:
    """A route that does not know collections refuses who is limited to some; a group without limits lifts that."""
    limited = {"username": "ann", "role": "Auditor", "authType": "basic", "permissions": [{"collections": ["till"]}]}
    with console.client() as client:
        refused = client.put("/users", json=limited)
        assert (refused.status_code, "there is no collection `till`" in refused.json()["err"]) == (400, True)
        assert client.post("/collections", json={"name": "till"}).status_code == 200
        assert client.put("/users", json=limited).status_code == 200
        answer = ann.get("/credentials")
        assert (answer.status_code, "collections" in answer.json()["err"]) == (403, True)
        assert ann.get("/session").json()["collections"] == ["till"]
        group = {"groupName": "wide", "role": "Auditor", "user": [{"username": "ann"}]}
        assert client.post("/groups", json=group).status_code == 200
        assert ann.get("/credentials").status_code == 200
        assert client.delete("/groups/wide").status_code == 200
        assert client.put("/users", json={"username": "ann", "role": "Defender Manager"}).status_code == 200


def test_nobody_gives_rights_that_they_lack(console: ConsoleUnderTest) -> None:
    """Who may change users, and nothing else, cannot make themselves or others an administrator."""
    rights = ["accessRead", "accessWrite"]
    with console.client(token=token_of(console, "people only", permissions=rights)) as clerk:
        for answer in (
            clerk.post("/users", json={"username": "eve", "password": ANN_PASSWORD, "role": "Administrator"}),
            clerk.put("/users", json={"username": USER, "role": "Administrator", "password": ANN_PASSWORD}),
            clerk.post("/groups", json={"groupName": "eve", "role": "Auditor"}),
            clerk.post("/rbac/roles", json={"name": "eve", "permissions": ["policyWrite"]}),
            clerk.delete(f"/users/{USER}"),
            clerk.post("/tokens", json={"name": "eve"}),
            clerk.put("/users/password", json={"oldPassword": PASSWORD, "newPassword": ANN_PASSWORD}),
        ):
            assert answer.status_code == 403, answer.text
        assert clerk.post("/rbac/roles", json={"name": "clerk", "permissions": rights}).status_code == 200
        assert clerk.delete("/rbac/roles/clerk").status_code == 200


def test_the_last_administrator_stays(console: ConsoleUnderTest) -> None:
    """They can neither be removed, nor lose their role, nor be limited."""
    limited = {"permissions": [{"collections": ["kiosk"]}]}
    with console.client() as client:
        assert client.post("/collections", json={"name": "kiosk"}).status_code == 200
        assert client.delete(f"/users/{USER}").status_code == 409
        assert client.put("/users", json={"username": USER, "role": "Auditor"}).status_code == 409
        assert client.put("/users", json={"username": USER, "role": "Administrator", **limited}).status_code == 409
        assert client.get("/session").json()["role"] == "Administrator"


def test_roles_are_made_used_and_kept_while_used(console: ConsoleUnderTest, ann: httpx.Client) -> None:
    """A role changes for those who have it at once; it stays while somebody has it, and system roles stay always."""
    role = {"name": "Author", "description": "Writes rules", "permissions": ["policyRead"]}
    with console.client() as client:
        assert client.post("/rbac/roles", json=role).status_code == 200
        assert client.post("/rbac/roles", json=role).status_code == 409
        assert client.put("/users", json={"username": "ann", "role": "Author"}).status_code == 200
        assert ann.get("/policies/runtime/app-embedded").status_code == 200
        answer = client.delete("/rbac/roles/Author")
        assert (answer.status_code, "user `ann`" in answer.json()["err"]) == (409, True)
        assert client.put("/rbac/roles/Author", json={**role, "permissions": ["auditsRead"]}).status_code == 200
        assert ann.get("/policies/runtime/app-embedded").status_code == 403
        assert client.put("/users", json={"username": "ann", "role": "Defender Manager"}).status_code == 200
        assert client.delete("/rbac/roles/Author").status_code == 200
        assert client.delete("/rbac/roles/Auditor").status_code == 409
        assert client.put("/rbac/roles/Auditor", json={**role, "name": "Auditor"}).status_code == 409


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/users", {"username": "a:b", "password": ANN_PASSWORD, "role": "Auditor"}, "user name"),
        ("POST", "/users", {"username": "bob", "password": "short", "role": "Auditor"}, "12 to 1024"),
        ("POST", "/users", {"username": "bob", "password": ANN_PASSWORD, "role": "King"}, "no role `King`"),
        ("POST", "/users", {"username": "bob", "role": "Auditor", "email": "", "phone": "1"}, "`phone`"),
        ("POST", "/users", {"username": "bob", "role": "Auditor", "authType": "ldap"}, "authType"),
        ("POST", "/groups", {"groupName": "a/b", "role": "Auditor"}, "`groupName`"),
        ("POST", "/groups", {"groupName": "g", "role": "Auditor", "user": [{"username": "bob"}]}, "no user `bob`"),
        ("POST", "/groups", {"groupName": "g", "role": "Auditor", "ldapGroup": "x"}, "`ldapGroup`"),
        ("POST", "/rbac/roles", {"name": "r", "permissions": ["fly"]}, "there is no `fly`"),
        ("POST", "/rbac/roles", {"name": "r", "permissions": ["signedIn"]}, "there is no `signedIn`"),
        ("POST", "/rbac/roles", {"name": "r", "permissions": []}, "some permission"),
        ("POST", "/tokens", {"name": ""}, "`name`"),
        ("POST", "/tokens", {"name": "t", "role": "King"}, "no role `King`"),
        ("POST", "/tokens", {"name": "t", "expires": "2001-01-01T00:00:00Z"}, "`expires`"),
        ("POST", "/tokens", {"name": "t", "expires": "tomorrow"}, "`expires`"),
        ("GET", "/users?of=ann", None, "`of`"),
    ],
)
def test_bad_requests_are_refused_by_name(
    console: ConsoleUnderTest, method: str, path: str, body: dict[str, Any] | None, named: str
) -> None:
    """The refusal says what is wrong, and nothing is kept."""
    with console.client() as client:
        answer = client.request(method, path, json=body)
        assert answer.status_code == 400, answer.text
        assert named in answer.json()["err"]
        assert "bob" not in client.get("/users").text


def test_a_token_gives_less_than_its_user_and_ends(console: ConsoleUnderTest) -> None:
    """It is good as a bearer token and as a password, opens no session, is listed without itself, and is revoked."""
    token_of(console, "another")
    token = token_of(console, "pipeline", role="Auditor", permissions=["policyRead", "policyWrite"])
    with console.client(basic=(USER, token)) as client:
        assert client.get("/policies/runtime/app-embedded").status_code == 200
        assert client.get("/session").json()["permissions"] == ["policyRead"]
    with console.client(basic=("somebody else", token)) as client:
        assert client.get("/session").status_code == 401
    with console.client() as client, console.client(token=token) as holder:
        assert client.post("/session", json={"username": USER, "password": token}).status_code == 401
        listed = client.get("/tokens")
        assert token not in listed.text
        record = next(item for item in listed.json() if item["name"] == "pipeline")
        assert record["lastUsed"]
        other = next(item for item in listed.json() if item["name"] != "pipeline")
        assert holder.delete(f"/tokens/{other['_id']}").status_code == 404
        assert holder.delete("/sessions").status_code == 403
        assert client.delete(f"/tokens/{record['_id']}").status_code == 200
        assert holder.get("/session").status_code == 401
        assert client.delete(f"/tokens/{record['_id']}").status_code == 404
    database = b"".join(path.read_bytes() for path in console.directory.glob("bartizan.db*"))
    assert token.encode() not in database


def test_sessions_are_one_s_own(console: ConsoleUnderTest, ann: httpx.Client) -> None:
    """One sees and ends one's own; an administrator everybody's; a new password ends the others."""
    with console.client() as client:
        everybody = client.get("/sessions?all=true").json()
        assert {"ann", USER} <= {item["username"] for item in everybody}
        mine = next(item for item in everybody if item["username"] == USER and item["current"])
        assert ann.get("/sessions?all=true").status_code == 403
        assert {item["username"] for item in ann.get("/sessions").json()} == {"ann"}
        assert ann.delete(f"/sessions/{mine['_id']}").status_code == 404
        assert ann.delete(f"/sessions?username={USER}").status_code == 403
        wrong = {"oldPassword": "not the old password", "newPassword": ANN_PASSWORD}
        assert ann.put("/users/password", json=wrong).status_code == 403
        other = ann.post("/authenticate", json={"username": "ann", "password": ANN_PASSWORD}).json()["token"]
        good = {"oldPassword": ANN_PASSWORD, "newPassword": ANN_PASSWORD + "!"}
        assert ann.put("/users/password", json=good).status_code == 200
        assert ann.get("/session").status_code == 200
        with console.client(token=other) as stale:
            assert stale.get("/session").status_code == 401
        assert client.delete("/sessions?username=ann").status_code == 200
        assert ann.get("/session").status_code == 401


def test_who_is_limited_sees_the_defenders_of_their_workloads(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """Lists, counts, names and files tell of no other; one that is asked for by its id is not there."""
    ends = [DefenderEnd(console, console.bundle(), tmp_path, app_id=name) for name in ("shop:1", "bank:1")]
    with console.client() as client:
        assert client.post("/collections", json={"name": "shop", "appIDs": ["shop:*"]}).status_code == 200
    for end in ends:
        end.connect()
    limited = token_of(console, "of the shop", role="Operator", collections=["shop"])
    with console.client(token=limited) as client:
        for path in ("", "/facets", "/summary", "/names", "/download"):
            answer = client.get(f"/defenders{path}")
            assert answer.status_code == 200
            assert "bank" not in answer.text
        assert [item["appID"] for item in client.get("/defenders").json()] == ["shop:1"]
        assert sum(item["deployed"] for item in client.get("/defenders/summary").json()) == 1
        assert client.get(f"/defenders/{ends[0].instance}").status_code == 200
        assert client.get(f"/defenders/{ends[1].instance}").status_code == 404
        assert client.delete(f"/defenders/{ends[0].instance}").status_code == 403
    for end in ends:
        end.close()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 61), min_size=30, max_size=30), st.integers(4, 39), st.characters(codec="ascii"))
def test_a_mistyped_token_is_no_token(random: list[int], place: int, typed: str) -> None:
    """The checksum notices every token with one wrong character."""
    token = new_token(random)
    assert is_token(token)
    assert len(token) == 40
    other = token[:place] + typed + token[place + 1 :]
    assert is_token(other) == (other == token)
