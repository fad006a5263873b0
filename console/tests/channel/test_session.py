"""A session on the channel: policies, audits, renewal, and how it ends."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.channel.running import (
    DEADLINE,
    ConsoleUnderTest,
    DefenderEnd,
    csr_of,
    new_key,
    process_audit,
    running_console,
)
from websockets.exceptions import ConnectionClosed

Maker = Callable[..., DefenderEnd]
RULE = {"name": "shop", "processes": {"effect": "prevent", "blacklist": ["sh"]}}


def last_words(end: DefenderEnd) -> dict[str, Any]:
    """Return the error that ends a session, and see it closed."""
    message = end.receive()
    while message["type"] != "error":
        message = end.receive()
    assert end.link is not None
    with pytest.raises(ConnectionClosed):
        end.link.recv(DEADLINE)
    return message


def test_each_workload_gets_its_own_policy(console: ConsoleUnderTest, defender: Maker) -> None:
    """Policies come in the order of the hello, each resolved for its image and container."""
    web = {"name": "web", "collections": [{"name": "c", "containers": ["web"]}]}
    rest = {"name": "rest", "collections": [{"name": "c", "images": ["redis*"]}]}
    console.put_policy(web, rest)
    names = (
        {"container": "cache", "image": "redis:7"},
        {"container": "web", "image": None},
        {"container": "x", "image": "y"},
    )
    policies = defender(workloads=names).connect()["policies"]
    assert [(item["container"], item["policy"]["rule"]) for item in policies] == [
        ("cache", "rest"),
        ("web", "web"),
        ("x", None),
    ]


def test_an_app_embedded_defender_is_scoped_by_its_app_id(console: ConsoleUnderTest, defender: Maker) -> None:
    """It has one workload without container and image."""
    console.put_policy({"name": "mine", "collections": [{"name": "c", "appIDs": ["billing"]}]})
    end = defender(kind="appEmbedded", app_id="billing", workloads=({"container": None, "image": None},))
    assert end.connect()["policies"][0]["policy"]["rule"] == "mine"


def test_a_change_reaches_everyone_and_only_the_latest_counts(console: ConsoleUnderTest, defender: Maker) -> None:
    """After several changes every session holds the last revision."""
    ends = [defender() for _ in range(5)]
    for end in ends:
        end.connect()
    for number in range(10):
        console.put_policy({**RULE, "name": f"rule {number}"})
    for end in ends:
        message = end.receive()
        while message["policies"][0]["policy"]["rule"] != "rule 9":
            message = end.receive()


def test_an_audit_arrives_once(console: ConsoleUnderTest, defender: Maker) -> None:
    """What is sent again, after a break or out of doubt, is acknowledged again and stored once."""
    end = defender(app_id="once:1")
    end.connect()
    end.send(end.audits(1, 2))
    end.send(end.audits(2, 3))
    acks = [end.receive()]
    while acks[-1]["committed"] < 3:
        acks.append(end.receive())
    end.close()
    end.connect()
    end.send(end.audits(1, 2, 3, 4))
    assert end.receive()["committed"] == 4
    found = console.audits(appID="once:1", sort="_id")
    assert [audit["command"] for audit in found] == [f"sh -c 'id {number}'" for number in (1, 2, 3, 4)]


def test_the_relay_of_a_task_reports_for_its_entrypoints(console: ConsoleUnderTest, defender: Maker) -> None:
    """A sidecar reports for sources of its own task, each with its own numbers."""
    end = defender(app_id="relay:1")
    end.connect()
    sources = sorted(secrets.token_hex(16) for _ in range(3))
    for source in sources:
        end.send(end.audits(1, source=source))
    acked = set()
    while len(acked) < 3:
        message = end.receive()
        acked.add(message["source"])
    assert sorted(acked) == sources
    assert len(console.audits(appID="relay:1")) == 3


def test_a_replaced_sidecar_hands_its_sources_on(defender: Maker) -> None:
    """A new sidecar of the same App ID sends what the old one could not; while the old one lives it may not."""
    source = secrets.token_hex(16)
    old, new = defender(app_id="handed:1"), defender(app_id="handed:1")
    old.connect()
    old.send(old.audits(1, source=source))
    assert old.receive()["type"] == "ack"
    new.connect()
    new.send(new.audits(2, source=source))
    assert last_words(new)["code"] == "unauthorized"
    old.send({"type": "goodbye", "reason": "stopped"})
    assert old.link is not None
    with pytest.raises(ConnectionClosed):
        old.link.recv(DEADLINE)
    new.connect()
    new.send(new.audits(2, source=source))
    assert new.receive() == {"type": "ack", "source": source, "committed": 2}


def test_goodbye_acknowledges_what_is_under_way(console: ConsoleUnderTest, defender: Maker) -> None:
    """A Defender that leaves learns that its last audits are kept, and the list says that it left."""
    end = defender(app_id="leaving:1")
    end.connect()
    end.send(end.audits(*range(1, 401)))
    end.send({"type": "goodbye", "reason": "task stopped"})
    assert end.receive()["committed"] == 400
    assert end.link is not None
    with pytest.raises(ConnectionClosed):
        end.link.recv(DEADLINE)
    with console.client() as client:
        found = client.get("/defenders", params={"hostname": "leaving:1"}).json()
    assert (found[0]["connected"], found[0]["goodbye"]) == (False, "task stopped")


def test_status_is_shown(console: ConsoleUnderTest, defender: Maker) -> None:
    """The list shows the policy hash and the tier of each workload; workloads that nobody announced are left out."""
    end = defender(app_id="status:1")
    policies = end.connect()["policies"]
    status = {"instance": end.instance, "tier": 1, "tierReasons": ["because"], "dropped": 4}
    known = {"container": "web", "policyHash": policies[0]["hash"], **status}
    end.send({"type": "status", "workloads": [known, {"container": "ghost", "policyHash": None, **status}]})
    end.send(end.audits(1))
    end.receive()
    with console.client() as client:
        workloads = client.get("/defenders", params={"search": "STATUS:1"}).json()[0]["workloads"]
    assert workloads == [
        {
            "container": "web",
            "image": "shop:1",
            "policyHash": policies[0]["hash"],
            "desiredPolicyHash": policies[0]["hash"],
            "tier": 1,
            "tierReasons": ["because"],
            "dropped": 4,
            "rule": "rule 9",
            "instance": end.instance,
        }
    ]


def test_renewal_gives_a_certificate_for_a_new_key(defender: Maker) -> None:
    """A Defender renews in its session, and both the old and the new certificate open the next one."""
    end = defender()
    end.connect()
    old_key, old_certificate, key = end.key, end.certificate, new_key()
    end.send({"type": "renew", "csr": csr_of(key)})
    answer = end.receive()
    assert answer["type"] == "renewed"
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert certificate.public_key() == key.public_key()
    end.close()
    end.key, end.certificate = key, answer["certificate"]
    end.connect()
    end.close()
    end.key, end.certificate = old_key, old_certificate
    end.connect()


def test_the_newer_connection_wins(defender: Maker) -> None:
    """A second connection of an instance takes over; the first is told why it ends."""
    first = defender()
    first.connect()
    second = DefenderEnd(
        first.console,
        first.bundle,
        first.directory,
        instance=first.instance,
        key=first.key,
        certificate=first.certificate,
    )
    second.connect()
    assert last_words(first)["code"] == "replaced"
    second.send(second.audits(1))
    assert second.receive()["type"] == "ack"
    second.close()


def test_a_revoked_bundle_ends_its_sessions_and_lets_nobody_in(tmp_path: Path) -> None:
    """Revocation closes live sessions, refuses reconnection and enrolment, and the next bundle works."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        old = console.bundle()
        end = DefenderEnd(console, old, tmp_path)
        end.connect()
        with console.client() as client:
            assert client.delete(f"/defenders/install-bundles/{old['id']}").status_code == 200
        assert last_words(end)["code"] == "revoked"
        end.link = end.open("/channel", certificate=True)
        end.send(end.hello())
        assert last_words(end)["code"] == "revoked"
        assert DefenderEnd(console, old, tmp_path).enrol()["code"] == "unauthorized"
        new = console.bundle()
        assert new["id"] != old["id"]
        fresh = DefenderEnd(console, new, tmp_path)
        fresh.connect()
        fresh.close()


def test_ten_thousand_audits_are_taken_quickly(console: ConsoleUnderTest, defender: Maker) -> None:
    """Twenty full frames, sent without waiting, are committed and acknowledged in order within seconds."""
    end = defender(app_id="flood:1")
    end.connect()
    frames = [end.audits(*range(start, start + 500)) for start in range(1, 10_001, 500)]
    for frame in frames:
        end.send(frame)
    committed = [0]
    while committed[-1] < 10_000:
        committed.append(end.receive()["committed"])
    assert committed == sorted(committed)
    with console.client() as client:
        answer = client.get("/audits/runtime/app-embedded", params={"appID": "flood:1", "limit": 1})
    assert answer.headers["total-count"] == "10000"


def test_identity_in_audits_is_that_of_the_session(console: ConsoleUnderTest, defender: Maker) -> None:
    """App ID, container and image of an audit come from certificate and hello; extra fields change nothing."""
    end = defender(app_id="honest:1")
    end.connect()
    frame = end.audits(1)
    frame["audits"][0] = {**process_audit(1), "appID": "victim:1", "containerName": "victim"}
    end.send(json.loads(json.dumps({**frame, "appId": "victim:1"})))
    assert end.receive()["type"] == "ack"
    assert console.audits(appID="victim:1") == []
    found = console.audits(appID="honest:1")[0]
    assert (found["containerName"], found["imageName"], found["defenderID"]) == ("web", "shop:1", end.instance)


def test_a_sidecar_may_speak_of_itself(console: ConsoleUnderTest, defender: Maker) -> None:
    """Its own notices have no container; another source without container is refused."""
    end = defender(app_id="itself:1")
    end.connect()
    end.send(end.audits(1, container=None))
    assert end.receive()["type"] == "ack"
    assert "containerName" not in console.audits(appID="itself:1")[0]
    end.send(end.audits(1, source=secrets.token_hex(16), container=None))
    assert last_words(end)["code"] == "badMessage"
