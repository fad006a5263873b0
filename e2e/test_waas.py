"""The firewall before a real task's web port: attacked by its visitors, steered by a real Console."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from console import BARTIZAN, Console, Json, running_console
from firewall import INJECTION, STOLEN, Firewall, logged, searched, steady_visitors, waas_rule
from images import DEFENDER, ROOT
from task import CONSOLE_NAME, Task
from waiting import eventually

DEFINITION: Json = json.loads((ROOT / "examples/shop/task.json").read_text())
EVENT_ID = "X-Bartizan-Event-Id"
GOODS = "pitch"
BANNED, NEIGHBOUR = "203.0.113.9", "203.0.113.10"
UNCOVERED = 9090
VISITORS, VISITS = 4, 25
OFFLINE_ATTACKS = 5
# A number that no other program on this machine waits for.
PAUSE = "2.1357"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One Console for all tests of this file."""
    with running_console(tmp_path_factory.mktemp("console"), CONSOLE_NAME) as started:
        yield started


@pytest.fixture(scope="module")
def firewall(console: Console) -> Firewall:
    """What steers the firewall."""
    return Firewall(console)


@pytest.fixture(scope="module")
def said(console: Console, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The shop's definition, protected with a firewall before its port; and what the command said about it."""
    folder = tmp_path_factory.mktemp("definition")
    bundle = folder / "bundle.json"
    bundle.write_text(console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME}).text)
    plain, protected = folder / "plain.json", folder / "protected.json"
    helper = {"name": "helper", "image": "scratch:1", "essential": False}
    listening = {"entryPoint": ["/busybox", "nc", "-ll", "-p", str(UNCOVERED), "-e", "/busybox", "cat"]}
    containers = [*DEFINITION["containerDefinitions"], helper | listening]
    plain.write_text(json.dumps(DEFINITION | {"containerDefinitions": containers}))
    command = [*BARTIZAN, "app-embedded", "generate-fargate-task", "--bundle", str(bundle), "--waas-port", "80:8080"]
    command += ["--image", f"battlement/shop:1={images['battlement/shop:1']}"]
    done = subprocess.run(
        [*command, "--output-file", str(protected), str(plain)], check=True, stderr=subprocess.PIPE, text=True
    )
    return protected, done.stderr


@pytest.fixture(scope="module")
def task(said: tuple[Path, str], images: dict[str, str]) -> Iterator[Task]:
    """The task with the firewall before it; every test puts the policy that it wants."""
    started = Task(said[0], images)
    try:
        started.wait_until_serving(80)
        started.wait_until_serving(8080)
        yield started
    finally:
        started.close()


@pytest.fixture
def site(task: Task) -> str:
    """Where visitors find the shop."""
    return f"http://{task.address}"


def test_an_attack_is_told_of_under_alert_and_stopped_under_prevent(firewall: Firewall, task: Task, site: str) -> None:
    """SQL injection passes and is told of, then gets the block page, and the application never sees it."""
    firewall.put(waas_rule("alert"))

    passed = searched(site, INJECTION)

    assert (passed.status_code, STOLEN in passed.text) == (200, True)
    event = firewall.wait_for_event("the injection, let through", effect="alert", type="sqli")
    assert event["appID"].startswith("battlement-shop:")
    assert (event["ruleName"], event["ruleAppID"], event["firewallType"]) == ("web", "storefront", "app-embedded")
    assert (event["protection"], event["method"], event["urlPath"]) == ("firewall", "GET", "/goods")
    assert (event["attackField"]["key"], event["statusCode"]) == ("named", 200)
    assert event["requestHost"] == task.address

    firewall.put(waas_rule("prevent"))
    attack = INJECTION.replace("password", "password/**/")
    stopped = searched(site, attack)

    assert (stopped.status_code, STOLEN in stopped.text) == (403, False)
    number = stopped.headers[EVENT_ID]
    assert number in stopped.text, "the page shows the event's number"
    event = firewall.wait_for_event("the injection, stopped", eventID=number)
    assert (event["effect"], event["type"], event["statusCode"]) == ("prevent", "sqli", 403)
    assert searched(site, GOODS).status_code == 200
    assert logged(GOODS) in task.wait_for_log(f"named={logged(GOODS)} ")
    assert logged(attack) not in task.log()


def test_a_banned_client_is_refused_and_nobody_else(firewall: Firewall, site: str) -> None:
    """Who attacks is refused afterwards also with harmless requests, until the policy leaves the address alone."""
    firewall.put(waas_rule("ban", banDurationMinutes=1))
    assert searched(site, GOODS, client=BANNED).status_code == 200

    assert searched(site, INJECTION, client=BANNED).status_code == 403

    assert searched(site, GOODS, client=BANNED).status_code == 403
    assert searched(site, GOODS, client=NEIGHBOUR).status_code == 200
    event = firewall.wait_for_event("the ban", effect="ban", type="sqli")
    assert (event["subnet"], event["urlPath"]) == (BANNED, "/goods")
    # Nothing at all of these addresses is looked at: not even whether they are banned.
    firewall.put(waas_rule("ban", networkControls={"exceptionSubnets": [BANNED]}))
    assert searched(site, GOODS, client=BANNED).status_code == 200


def test_an_exception_made_of_an_event_is_for_its_field_alone(firewall: Firewall, site: str) -> None:
    """`bartizan waf except` lets a field through that was a false alarm; others are judged as before."""
    firewall.put(waas_rule("prevent"))
    refused = searched(site, INJECTION)
    assert refused.status_code == 403
    event = firewall.wait_for_event("the false alarm", eventID=refused.headers[EVENT_ID])

    said = firewall.run("waf", "except", event["_id"])

    assert "named" in said
    eventually(firewall.is_in_force, what="the exception in force", otherwise=firewall.told)
    assert STOLEN in searched(site, INJECTION).text
    elsewhere = httpx.get(f"{site}/goods", params={"other": INJECTION}, timeout=20)
    assert elsewhere.status_code == 403


def test_a_policy_changes_under_load_without_a_failed_request(firewall: Firewall, site: str) -> None:
    """Visitors who come while the policy changes again and again are all answered, attacks as it says just then."""

    def visit() -> None:
        assert searched(site, GOODS).status_code == 200

    with steady_visitors(visit, count=VISITORS) as visits:
        for effect, status in (("alert", 200), ("prevent", 403), ("disable", 200), ("prevent", 403)):
            firewall.put(waas_rule(effect))
            assert searched(site, INJECTION).status_code == status
        enough = lambda: all(visit >= VISITS for visit in visits)  # noqa: E731 - it stands here alone
        eventually(enough, what="visits enough", otherwise=lambda: str(visits))


def test_without_the_console_the_firewall_goes_on(console: Console, firewall: Firewall, site: str) -> None:
    """While the Console is away attacks are stopped as before; their events arrive afterwards, each exactly once."""
    firewall.put(waas_rule("prevent"))
    console.kill()
    refused = [searched(f"{site}", f"{INJECTION} {number}", client=NEIGHBOUR) for number in range(OFFLINE_ATTACKS)]
    assert {answer.status_code for answer in refused} == {403}
    assert searched(site, GOODS).status_code == 200
    numbers = {answer.headers[EVENT_ID] for answer in refused}
    assert len(numbers) == OFFLINE_ATTACKS

    console.start()

    def arrived() -> list[str]:
        found = [event["eventID"] for event in firewall.events() if event["eventID"] in numbers]
        return found if len(found) >= OFFLINE_ATTACKS else []

    assert sorted(eventually(arrived, what="the events", otherwise=firewall.told)) == sorted(numbers)
    late = searched(site, INJECTION)
    firewall.wait_for_event("what came after them", eventID=late.headers[EVENT_ID])
    assert sorted(arrived()) == sorted(numbers)


def test_ports_beside_the_firewall_are_told_of(console: Console, task: Task, said: tuple[Path, str]) -> None:
    """The embed step warns of the application's own port; one that is not covered is reported once, by its number."""
    assert "let the security group open port 80, not 8080" in " ".join(said[1].split())
    audit = console.wait_for_audit(lambda audit: audit["attackType"] == "unprotectedPort", what="the uncovered port")
    assert (str(UNCOVERED) in audit["msg"], audit["effect"]) == (True, "alert")
    # The name server of the tests listens in the task's network, too, on loopback; nobody else can reach that.
    assert not is_open(task.address, 53)
    state = console.defenders(connected=True)[0]["waas"]
    assert state["openPorts"] == [{"port": 8080, "covered": True}, {"port": UNCOVERED, "covered": False}]
    told = [audit for audit in console.audits() if audit["attackType"] == "unprotectedPort"]
    assert len(told) == 1, told


def test_a_program_under_the_defender_has_the_firewall_too(
    console: Console, firewall: Firewall, tmp_path: Path
) -> None:
    """Without a task, the Defender that starts the application is the firewall before it, under its own App ID."""
    exposed, internal = free_port(), free_port()
    firewall.put(waas_rule("prevent", exposed=exposed, internal=internal))
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
    environment = os.environ | {
        "DEFENDER_TYPE": "appEmbedded", "DEFENDER_APP_ID": "corner-shop", "DATA_FOLDER": str(tmp_path),
        "WS_ADDRESS": bundle["wsAddress"], "INSTALL_BUNDLE": bundle["installBundle"],
        "DEFENDER_WAAS_PORTS": f"{exposed}:{internal}", "SHOP_PORT": str(internal), "SHOP_ADDRESS": "127.0.0.1",
    }  # fmt: skip
    command = [str(DEFENDER), "app-embedded", sys.executable, str(ROOT / "examples/shop/shop.py")]
    shop = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        eventually(lambda: is_open("127.0.0.1", internal), what="the shop")
        eventually(lambda: firewall.in_force_at("corner-shop"), what="its policy", otherwise=firewall.told)
        refused = searched(f"http://localhost:{exposed}", INJECTION)
        assert searched(f"http://localhost:{exposed}", GOODS).status_code == 200
        assert refused.status_code == 403
        event = firewall.wait_for_event("the injection", eventID=refused.headers[EVENT_ID])
        assert (event["appID"], event["type"], event["effect"]) == ("corner-shop", "sqli", "prevent")
        (defender,) = console.defenders(connected=True, search="corner-shop")
        assert defender["waas"]["ports"] == [{"exposed": exposed, "internal": internal}]
        assert defender["waas"]["openPorts"] == [], "what others of this machine listen on is not the shop's"
        (search,) = eventually(lambda: firewall.discovered("corner-shop"), what="the search, discovered")
        assert (search["method"], search["path"], search["application"]) == ("GET", "/goods", "storefront")
        assert (search["hits"], search["statuses"]) == (1, {"200": 1}), "what was refused teaches nothing"
        assert search["risks"] == ["unauthenticated", "unencrypted"]
        exported = tmp_path / "openapi.json"
        names = ("--app-id", "corner-shop", "--application", "storefront")
        firewall.run("waf", "discovery", "export", *names, "--output-file", str(exported))
        (described,) = json.loads(firewall.run("waf", "api-spec", str(exported)))["paths"]
        assert described["path"] == "/goods"
        assert [item["name"] for item in described["methods"][0]["parameters"]] == ["named"]
    finally:
        shop.terminate()
        seen, _ = shop.communicate(timeout=20)
    assert (logged(GOODS) in seen, logged(INJECTION) in seen) == (True, False)


def test_requests_under_way_end_well(firewall: Firewall, task: Task) -> None:
    """When the sidecar is told to end, what the application is still at is answered, and nobody new is taken."""
    firewall.put(waas_rule("alert"))
    sidecar = task.process_id("BartizanDefender")
    with socket.create_connection((task.address, 80), timeout=20) as visitor:
        search = f"/track?parcel=BTZ-1+-exec+sleep+{PAUSE}+%3B"
        visitor.sendall(f"GET {search} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
        eventually(is_pausing, what="the application at work", otherwise=task.log)

        os.kill(sidecar, signal.SIGTERM)
        eventually(lambda: not is_open(task.address, 80), what="no new visitors", otherwise=task.log)
        answer = b"".join(iter(lambda: visitor.recv(65536), b"")).decode()

    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.endswith("</pre>"), "the answer is whole"


def is_pausing() -> bool:
    """True while a `sleep` of the shop's runs."""
    wanted = f"sleep\0{PAUSE}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def is_open(address: str, port: int) -> bool:
    """True when somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
