"""Who is limited to collections: they see what happened to their workloads, and no sign of anybody else's."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.api.test_people import ANN_PASSWORD, token_of
from tests.channel.running import ConsoleUnderTest, DefenderEnd, process_audit
from tests.waas.events import EVENTS, MINUTE, NOON, report, request_audit

AUDITS = "/audits/runtime/app-embedded"
INCIDENTS = "/audits/incidents"
MINER = {"reason": "cryptoMiner", "matched": None}
# Every list, facet, count, file and filter; those of the other team, those around it, and those that find nothing.
QUERIES = ("", "?appID=bank:1", "?imageName=bank", "?from=2000-01-01T00:00:00Z", "?sort=appID&reverse=true")
LISTS = (
    *(AUDITS + query for query in (*QUERIES, "?aggregate=true", "?id=2", "?msg=launched", "?container=vault")),
    *(f"{AUDITS}/download{query}" for query in ("", "?appID=bank:1")),
    *(EVENTS + query for query in (*QUERIES, "?aggregate=true", "?url=bank", "?id=2")),
    *(f"{EVENTS}/download{query}" for query in ("", "?appID=bank:1")),
    *("/events" + query for query in ("", "?appID=bank:1", "?q=bank", "?kind=waas", "?limit=1", "?ruleName=shop")),
    *(f"/events/{path}" for path in ("facets", "facets?appID=bank:1", "export", "export?format=jsonl", "timeslice")),
    *(INCIDENTS + query for query in (*QUERIES, "?search=bank", "?id=2", "?profileID=bank:1_vault", "?limit=1")),
    *(f"{INCIDENTS}/{path}" for path in ("facets", "facets?search=bank", "download", "download?format=json")),
)


@pytest.fixture(scope="module")
def ends(console: ConsoleUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DefenderEnd]]:
    """Let two teams' Defenders report: a denial, an attack and a WAAS event each, the bank's before and after."""
    found = {}
    for app_id, container in (("bank:1", "vault"), ("shop:1", "web"), ("bank:2", "vault")):
        workload = {"container": container, "image": f"r.test/{container}"}
        folder = tmp_path_factory.mktemp("end")
        end = DefenderEnd(console, console.bundle(), folder, app_id=app_id, workloads=(workload,))
        end.connect()
        found[app_id] = end
        attack = process_audit(2, time=NOON) | MINER
        url = f"http://{app_id[:4]}.test/?q=1"
        for audit in (process_audit(1, time=NOON), attack):
            report(end, audit, container=workload["container"])
        waas = request_audit(3, time=NOON, url=url, message=f"attack on {app_id}")
        report(end, waas, container=workload["container"])
    yield found
    for end in found.values():
        end.close()


@pytest.fixture(scope="module")
def shop(console: ConsoleUnderTest, ends: dict[str, DefenderEnd]) -> Iterator[httpx.Client]:
    """Come as somebody of the shop, who may do everything there."""
    assert ends
    with console.client() as client:
        assert client.post("/collections", json={"name": "shop", "appIDs": ["SHOP:*"]}).status_code == 200
    with console.client(token=token_of(console, "shop", role="Operator", collections=["shop"])) as client:
        yield client


def numbers(console: ConsoleUnderTest, path: str, *, of: str) -> list[str]:
    """Return the ids of a list that belong to an application, as the administrator sees them."""
    with console.client() as client:
        return [item["_id"] for item in client.get(path, params={"limit": 250}).json() if item["appID"].startswith(of)]


@pytest.mark.parametrize("path", LISTS)
def test_no_answer_tells_of_others(shop: httpx.Client, path: str) -> None:
    """Whatever is asked, in which order and as which file: nothing of the bank's is in it."""
    answer = shop.get(path)
    assert answer.status_code == 200, answer.text
    assert "bank" not in answer.text
    assert "vault" not in answer.text
    assert int(answer.headers.get("total-count", 0)) <= 2


def test_one_s_own_is_all_there(console: ConsoleUnderTest, shop: httpx.Client) -> None:
    """Totals, facets and counts over time are exactly those of one's own workloads."""
    for path, count in ((AUDITS, 2), (EVENTS, 1), (INCIDENTS, 1)):
        answer = shop.get(path)
        assert (len(answer.json()), answer.headers["total-count"]) == (count, str(count)), path
        assert [item["_id"] for item in answer.json()] == sorted(numbers(console, path, of="shop"), reverse=True)
    page = shop.get("/events").json()
    assert (len(page["events"]), "older" in page) == (3, False)
    assert shop.get("/events", params={"limit": 2}).json()["older"].split(".")[3] in numbers(console, AUDITS, of="shop")
    assert shop.get("/events/facets").json()["facets"]["appID"] == [{"value": "shop:1", "count": 3}]
    assert shop.get(f"{INCIDENTS}/facets").json()["appID"] == {"shop:1": 1}
    for path in (EVENTS, "/events"):
        slices = shop.get(f"{path}/timeslice", params={"buckets": 1}).json()
        slices = slices["slices"] if isinstance(slices, dict) else slices
        assert sum(item.get("count", 0) + sum(item.get("counts", {}).values()) for item in slices) == (
            1 if path == EVENTS else 3
        )


def test_others_objects_are_as_unknown_ones(console: ConsoleUnderTest, shop: httpx.Client) -> None:
    """An id of the bank's is answered as one that was never given, and nothing is changed by it."""
    (incident,) = numbers(console, INCIDENTS, of="shop")
    (foreign, _) = numbers(console, INCIDENTS, of="bank")
    audit, event = numbers(console, AUDITS, of="bank")[0], numbers(console, EVENTS, of="bank")[0]
    note = {"text": "seen"}
    for method, path, body in (
        ("GET", "/events/runtime-{}", None),
        ("GET", "/events/waas-{}", None),
        ("GET", INCIDENTS + "/{}", None),
        ("GET", INCIDENTS + "/{}/timeline", None),
        ("GET", INCIDENTS + "/{}/processes", None),
        ("PATCH", INCIDENTS + "/acknowledge/{}", {"acknowledged": True}),
        ("PATCH", INCIDENTS + "/archive/{}", {"archived": True}),
        ("POST", INCIDENTS + "/{}/notes", note),
        ("DELETE", INCIDENTS + "/{}/notes/1", None),
    ):
        theirs = audit if "runtime" in path else event if "waas" in path else foreign
        answers = [shop.request(method, path.format(number), json=body) for number in (theirs, "99999")]
        assert [answer.status_code for answer in answers] == [404, 404], path
        assert answers[0].json()["err"].replace(theirs, "N") == answers[1].json()["err"].replace("99999", "N")
    both = {"ids": [incident, foreign], "acknowledged": True}
    assert shop.patch(INCIDENTS, json=both).status_code == 404
    with console.client() as client:
        shown = client.get(INCIDENTS).json()
        assert not any(item.get(name) for item in shown for name in ("acknowledged", "archived", "noteCount"))
    assert shop.post(f"{INCIDENTS}/{incident}/notes", json=note).status_code == 200
    assert shop.patch(INCIDENTS, json={**both, "ids": [incident]}).status_code == 200
    assert shop.get(f"{INCIDENTS}/{incident}/timeline").status_code == 200
    assert shop.get(f"{INCIDENTS}/{incident}").json()["incident"]["noteCount"] == 1
    mine = numbers(console, AUDITS, of="shop")
    shown = [shop.get(f"/events/runtime-{number}").json() for number in mine]
    assert [item["defender"]["appID"] for item in shown] == ["shop:1", "shop:1"]
    assert incident in [item.get("incidentID") for item in shown]


def test_what_knows_no_collections_is_refused(console: ConsoleUnderTest, shop: httpx.Client) -> None:
    """Policies, records and the overview are of everybody: so they are, for the limited, of nobody."""
    (number,) = numbers(console, EVENTS, of="shop")
    for method, path in (
        ("GET", "/overview"), ("GET", "/forensic/snapshots"), ("POST", f"/events/waas-{number}/allow"),
        ("POST", f"{EVENTS}/{number}/exception"), ("GET", "/policies/runtime/app-embedded"),
    ):  # fmt: skip
        assert shop.request(method, path).status_code in {403, 404}, path


@pytest.mark.parametrize("path", ["/events/follow", f"{AUDITS}/follow", "/events/follow?q=later"])
def test_a_stream_tells_of_no_other(
    console: ConsoleUnderTest, shop: httpx.Client, ends: dict[str, DefenderEnd], path: str
) -> None:
    """Neither what comes, nor where following begins, is others'; resumed from the first id on it is the same."""
    sequence = 10 + len(path)
    begun = max(numbers(console, AUDITS, of="shop"), key=int)
    with shop.stream("GET", path) as stream:
        lines = stream.iter_lines()
        place = next(line for line in lines if line.startswith("id: "))[4:]
        assert place.split(".")[0] == begun
        for app_id, container in (("bank:1", "vault"), ("shop:1", "web"), ("bank:2", "vault")):
            audit = process_audit(sequence, path=f"/later/{app_id[:4]}", time=NOON - MINUTE)
            report(ends[app_id], audit, container=container)
        first = next(line for line in lines if line.startswith("data: "))
        assert ("/later/shop" in first, "bank" in first) == (True, False)
    for last in ("0.0" if "." in place else "0", place):
        with shop.stream("GET", path, headers={"Last-Event-ID": last}) as stream:
            shown: list[Any] = []
            for line in stream.iter_lines():
                assert "bank" not in line
                shown += [json.loads(line[6:])] if line.startswith("data: ") else []
                if line == first:
                    break
            assert shown


def test_two_workloads_of_one_profile_are_two_incidents(console: ConsoleUnderTest, tmp_path: Any) -> None:
    """A name that is made to have another team's `profileId` does not get into their incident."""
    for app_id, container in (("mix", "a_b"), ("mix_a", "b")):
        workload = {"container": container, "image": "mix"}
        end = DefenderEnd(console, console.bundle(), tmp_path, app_id=app_id, workloads=(workload,))
        end.connect()
        report(end, process_audit(1) | MINER, container=container)
        end.close()
    with console.client() as client:
        found = client.get(INCIDENTS, params={"profileID": "mix_a_b"}).json()
    assert sorted((item["appID"], item["auditCount"]) for item in found) == [("mix", 1), ("mix_a", 1)]


def test_collections_that_limit_people_are_there_and_stay(console: ConsoleUnderTest) -> None:
    """Rights name only collections that there are; these cannot be removed, and say who is limited to them."""
    limits = {"permissions": [{"collections": ["crew"]}]}
    user = {"username": "crew", "password": ANN_PASSWORD, "role": "Auditor", "authType": "basic", **limits}
    group, token = {"groupName": "crew", "role": "Auditor", **limits}, {"name": "crew", "collections": ["crew"]}
    given = {"/users": user, "/groups": group, "/tokens": token}
    with console.client() as client:
        for path, body in given.items():
            answer = client.post(path, json=body)
            assert (answer.status_code, "no collection `crew`" in answer.json()["err"]) == (400, True), path
        assert client.post("/collections", json={"name": "crew", "appIDs": ["crew:*"]}).status_code == 200
        made = {path: client.post(path, json=body) for path, body in given.items()}
        assert [answer.status_code for answer in made.values()] == [200, 200, 200]
        used = client.get("/collections/crew/usages").json()
        assert {(item["type"], item["name"]) for item in used} == {
            ("user", "crew"), ("group", "crew"), ("apiToken", "admin/crew")
        }  # fmt: skip
        refused = client.delete("/collections/crew")
        assert (refused.status_code, "the API token `admin/crew`" in refused.json()["err"]) == (409, True)
        for path in ("/users/crew", "/groups/crew", f"/tokens/{made['/tokens'].json()['_id']}", "/collections/crew"):
            assert client.delete(path).status_code == 200, path
