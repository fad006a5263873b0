"""The WAAS policy over the API and the channel of a real Console."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, running_console
from tests.waas.policies import NETWORKS, PATH, application, certificate_pair, rule, tls


def put(console: ConsoleUnderTest, *rules: dict[str, Any]) -> None:
    """Put a WAAS policy in force."""
    with console.client() as client:
        answer = client.put(PATH, json={"rules": list(rules)})
        assert answer.status_code == 200, answer.text


def problems(console: ConsoleUnderTest, document: dict[str, Any]) -> list[str]:
    """Return why a policy is refused."""
    with console.client() as client:
        answer = client.put(PATH, json=document)
        assert answer.status_code == 400, answer.text
        return list(answer.json()["problems"])


def test_what_is_put_is_given_back(console: ConsoleUnderTest) -> None:
    """The vendor's names come back, with defaults, owner and time, and what comes back can be put again unchanged."""
    put(console, rule("mine", application(xss={"effect": "ban", "exceptionFields": []}), notes="ours"))
    with console.client() as client:
        found = client.get(PATH).json()
        revision = client.put(PATH, json=found).headers["policy-revision"]
        assert client.put(PATH, json=found).headers["policy-revision"] == revision
        assert client.get(PATH).json() == found
    assert (found["_id"], found["minPort"], found["maxPort"]) == ("appEmbeddedAppFirewall", 30000, 31000)
    (written,) = found["rules"]
    assert (written["owner"], written["readTimeoutSeconds"], written["notes"]) == ("admin", 5, "ours")
    (item,) = written["applicationsSpec"]
    assert (item["sqli"]["effect"], item["xss"]["effect"], item["lfi"]["effect"]) == ("prevent", "ban", "disable")
    assert item["banDurationMinutes"] == 5


def test_a_defender_gets_its_rule_at_once(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> None:
    """The policy comes after `policies` and at each change, with the digest of its very JSON; others' rules do not."""
    put(console, rule("other", collections=[{"name": "o", "appIDs": ["other"]}]))
    end = defender(app_id="shop:7")
    assert end.connect()["type"] == "policies"
    first = end.receive_waas()
    assert (first["policy"]["rule"], first["policy"]["applications"]) == (None, [])
    put(
        console,
        rule("off", disabled=True),
        rule("image", collections=[{"name": "i", "images": ["shop:*"]}]),
        rule("all"),
    )
    second = end.receive_waas()
    assert second["revision"] == second["policy"]["revision"] == first["revision"] + 1
    assert (second["policy"]["rule"], second["policy"]["version"]) == ("image", 1)
    text = json.dumps(second["policy"], separators=(",", ":"), ensure_ascii=False).encode()
    assert second["hash"] == hashlib.sha256(text).hexdigest()
    (item,) = second["policy"]["applications"]
    assert item["apiSpec"]["endpoints"][0] == {
        "host": "*", "basePath": "*", "exposedPort": 80, "internalPort": 8080, "tls": False, "http2": False,
        "grpc": False,
    }  # fmt: skip


def test_status_of_the_firewall_is_kept(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> None:
    """Hash, error, ports and counters of a status are shown with the Defender, beside the hash that it should have."""
    end = defender(app_id="counting:1")
    end.connect()
    sent = end.receive_waas()
    counters = {"requests": 12, "statuses": {"2xx": 11, "4xx": 1}, "errors": [{"time": 1, "error": "cut off"}]}
    state = {"hash": sent["hash"], "ports": [{"exposed": 80, "internal": 8080}], "counters": counters}
    state["openPorts"] = [{"port": 8080, "covered": True}]
    end.send({"type": "status", "workloads": [], "waas": state})
    end.send({"type": "status", "workloads": []})
    end.send(end.audits(1))
    assert end.receive()["type"] == "ack"
    with console.client() as client:
        (found,) = client.get("/defenders", params={"search": "counting:1"}).json()
    assert found["waas"] == {
        "policyHash": sent["hash"],
        "desiredPolicyHash": sent["hash"],
        "error": None,
        "ports": [{"exposed": 80, "internal": 8080}],
        "ruleset": None,
        "openPorts": [{"port": 8080, "covered": True}],
        "counters": counters,
    }


def test_all_problems_come_at_once_each_with_its_path(console: ConsoleUnderTest) -> None:
    """Unknown fields, wrong values and what nobody enforces are named by JSON path, and nothing is kept."""
    bad = application(
        sqli={"effect": "reCAPTCHA", "exceptionFields": [{"location": "JSONPath", "key": "name"}]},
        remoteHostForwarding={"enabled": True, "target": "a.test"},
        autoApplyPatchesSpec={"effect": "alert"},
        sessionCookieBan=True,
        surprise=1,
        apiSpec={"endpoints": [{"exposedPort": 80, "internalPort": 80}, {"exposedPort": 443, "internalPort": 0}]},
        networkControls={"advancedProtectionEffect": "alert", "exceptionSubnets": ["nobody"]},
    )
    with console.client() as client:
        before = client.get(PATH).json()
    found = problems(
        console, {"rules": [rule("r", bad), rule("r", application(), application(), autoProtectPorts=True)]}
    )
    places = [problem.split(":")[0] for problem in found]
    where = "rules[0].applicationsSpec[0]"
    for place in (
        f"{where}.sqli.effect",
        f"{where}.sqli.exceptionFields[0].key",
        f"{where}.remoteHostForwarding",
        f"{where}.autoApplyPatchesSpec",
        f"{where}.sessionCookieBan",
        f"{where}.surprise",
        f"{where}.apiSpec.endpoints[0].internalPort",
        f"{where}.apiSpec.endpoints[1].internalPort",
        f"{where}.networkControls.advancedProtectionEffect",
        "rules[1].autoProtectPorts",
        "rules[1].name",
        "rules[1].applicationsSpec[1].appID",
    ):
        assert place in places, place
    with console.client() as client:
        assert client.get(PATH).json() == before


def test_a_private_key_goes_to_the_defender_and_nowhere_else(tmp_path: Path) -> None:
    """The key is sealed on disk, never given back, kept when its name comes back, and in the Defender's policy."""
    certificate, key = certificate_pair()
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        put(console, rule("shop", tls(certificate + key)))
        with console.client() as client:
            answer = client.get(PATH)
            shown = answer.json()["rules"][0]["applicationsSpec"][0]["certificate"]
            assert shown["plain"] == ""
            assert shown["encrypted"].startswith("sealed:")
            renamed = answer.json()["rules"][0] | {"name": "renamed"}
            assert client.put(PATH, json={"rules": [renamed]}).status_code == 200
        assert "PRIVATE KEY" not in answer.text
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()
        (item,) = end.receive_waas()["policy"]["applications"]
        assert item["certificate"] == {"plain": certificate + key}
        end.close()
        # The first line of a key is the same in all keys of its kind.
        secret = key.splitlines()[2][:40].encode()
        files = b"".join(path.read_bytes() for path in console.directory.iterdir() if path.is_file())
        assert secret not in files
    with running_console(tmp_path / "data") as console:
        console.log_in()
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()
        assert end.receive_waas()["policy"]["applications"][0]["certificate"]["plain"] == certificate + key
        end.close()


def test_a_certificate_has_to_be_right(console: ConsoleUnderTest) -> None:
    """Foreign keys, unreadable ones, names of other Consoles and a missing pair are refused without repeating a key."""
    certificate, key = certificate_pair()
    _, other = certificate_pair()
    for pem, words in (
        (certificate + other, "not that of the first certificate"),
        (certificate, "certificate and private key are expected"),
        (certificate.replace("MII", "!!!", 1) + key, "the certificate cannot be read"),
        (certificate + key.replace("MIG", "???", 1), "the private key cannot be read"),
        ("", "give certificate and key as PEM"),
    ):
        (problem,) = problems(console, {"rules": [rule("r", tls(pem))]})
        assert words in problem
        assert "-----" not in problem
    item = tls("")
    item["certificate"] = {"encrypted": "sealed:" + "0" * 32}
    assert "there is no such certificate here" in problems(console, {"rules": [rule("r", item)]})[0]
    item["certificate"] = {"encrypted": "YWJj"}
    assert "another Console's secret" in problems(console, {"rules": [rule("r", item)]})[0]


def test_network_lists_reach_the_defender(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> None:
    """Lists are added, filled from CSV, resolved with the policy, and stay while a rule uses them."""
    controls = {"subnets": {"enabled": True, "allowMode": True, "allow": ["offices", "192.0.2.7"]}}
    needing = rule("lists", application(networkControls=controls))
    assert "there is no network list `offices`" in problems(console, {"rules": [needing]})[0]
    with console.client() as client:
        body = {"_id": "offices", "subnets": ["10.0.0.0/8", "2001:db8::/32", "10.0.0.0/8"]}
        assert client.post(NETWORKS, json=body).status_code == 200
        assert client.post(NETWORKS, json=body).status_code == 409
        assert client.put(NETWORKS, json={**body, "_id": "nowhere"}).status_code == 404
        refused = client.post(NETWORKS, json={"_id": "x", "subnets": ["10.0.0.1/8", "b"]}).json()["problems"]
        assert [line.split(":")[0] for line in refused] == ["subnets[0]", "subnets[1]"]
    put(console, needing)
    end = defender(app_id="lists:1")
    end.connect()
    policy = end.receive_waas()["policy"]
    assert policy["networkLists"] == {"192.0.2.7": ["192.0.2.7"], "offices": ["10.0.0.0/8", "2001:db8::/32"]}
    with console.client() as client:
        table = 'Subnet,Note\r\n198.51.100.0/24,new\r\n\r\n# old\r\n"2001:db8:1::/48",\r\n'
        answer = client.post(f"{NETWORKS}/offices/csv", content=table, headers={"Content-Type": "text/csv"})
        assert answer.json()["subnets"] == ["198.51.100.0/24", "2001:db8:1::/48"]
        bad = client.post(f"{NETWORKS}/offices/csv", content="10.0.0.1\nx\n\ny")
        assert (bad.status_code, [line.split(":")[0] for line in bad.json()["problems"]]) == (400, ["line 2", "line 4"])
        assert end.receive_waas()["policy"]["networkLists"]["offices"] == ["198.51.100.0/24", "2001:db8:1::/48"]
        refusal = client.delete(f"{NETWORKS}/offices")
        assert (refusal.status_code, "`lists`" in refusal.json()["err"]) == (409, True)
        put(console)
        assert client.delete(f"{NETWORKS}/offices").status_code == 200
        assert client.delete(f"{NETWORKS}/offices").status_code == 404
        assert client.get(NETWORKS).json() == []


def test_rules_of_scrubbing_reach_the_defender(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> None:
    """What is to be replaced in logs is checked, kept, and part of each policy."""
    path = "/policies/firewall/app/log-scrubbing"
    cards = {"name": "cards", "type": "pattern", "pattern": "[0-9]{13,19}", "placeholder": "[card]"}
    token = {"name": "token", "type": "location", "location": "header", "key": "X-Token", "placeholder": "-"}
    put(console, rule("any"))
    end = defender(app_id="scrub:1")
    end.connect()
    end.receive_waas()
    with console.client() as client:
        assert client.put(path, json=[cards, token, {**token, "name": "off", "disabled": True}]).status_code == 200
        assert [item["name"] for item in client.get(path).json()] == ["cards", "token", "off"]
        wrong = client.put(path, json=[{**cards, "pattern": "(?=x)"}, {**token, "location": ""}, cards, cards])
    assert end.receive_waas()["policy"]["sensitiveDataRules"] == [
        {"location": "", "key": "", "value": "[0-9]{13,19}", "placeholder": "[card]"},
        {"location": "header", "key": "X-Token", "value": "", "placeholder": "-"},
    ]
    assert [line.split(":")[0] for line in wrong.json()["problems"]] == [
        "[0].pattern", "[1].location", "the name `cards` is used twice"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a(?=b)", "`(?=`"),
        ("(a", "`(`"),
        ("a)", "closes nothing"),
        ("[a", "`[`"),
        ("\\1", "refers back"),
        ("a\\", "ends"),
    ],
)
def test_only_linear_expressions_are_taken(console: ConsoleUnderTest, pattern: str, words: str) -> None:
    """A pattern that the Defender's engine could not compile is refused at the edge."""
    exception = {"location": "query", "key": pattern, "keyPattern": True}
    item = application(xss={"effect": "alert", "exceptionFields": [exception]})
    (problem,) = problems(console, {"rules": [rule("r", item)]})
    assert problem.startswith("rules[0].applicationsSpec[0].xss.exceptionFields[0].key: ")
    assert words in problem


def test_keys_that_are_no_patterns_are_meant_literally(
    console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]
) -> None:
    """To the Defender a key is always a pattern: one that is none is sent so that it matches itself alone."""
    plain = {"location": "body", "key": "items[0].name(x)"}
    pattern = {"location": "query", "key": "id|no", "keyPattern": True, "value": "a.b"}
    put(console, rule("any", application(xss={"effect": "alert", "exceptionFields": [plain, pattern]})))
    end = defender(app_id="patterns:1")
    end.connect()
    (item,) = end.receive_waas()["policy"]["applications"]
    first, second = item["xss"]["exceptionFields"]
    assert re.fullmatch(first["key"], "items[0].name(x)")
    assert not re.fullmatch(first["key"], "items[0]-name(x)")
    assert (second["key"], second["value"]) == ("id|no", r"a\.b")


def test_countries_need_a_table(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> None:
    """Who asks for countries brings the table; it goes to the Defenders whose policy needs it, and stays meanwhile."""
    path = "/policies/firewall/app/country-table"
    countries = {"enabled": True, "allowMode": False, "prevent": ["nl"]}
    needing = rule("lands", application(networkControls={"countries": countries}), trustedProxies=["192.0.2.1"])
    assert "country-table" in problems(console, {"rules": [needing]})[0]
    with console.client() as client:
        wrong = client.put(path, content="network,country\n192.0.2.0/24\nx1,NL\n10.0.0.0/8,Holland\n")
        assert [line.split(":")[0] for line in wrong.json()["problems"]] == ["line 2", "line 3", "line 4"]
        assert client.put(path, content='network,country\n"192.0.2.0/24",nl\n').status_code == 200
        assert client.get(path).text == "192.0.2.0/24,NL\n"
        put(console, needing)
        end = defender(app_id="lands:1")
        end.connect()
        policy = end.receive_waas()["policy"]
        assert (policy["countryTable"], policy["trustedProxies"]) == ("192.0.2.0/24,NL\n", ["192.0.2.1"])
        assert policy["applications"][0]["networkControls"]["countries"]["prevent"] == ["NL"]
        assert client.put(path, content="").status_code == 400
        put(console)
        assert client.put(path, content="").status_code == 200


def test_our_groups_are_sent_only_where_they_are_named(
    console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]
) -> None:
    """A policy that knows the vendor's groups alone leaves ours to the Defender, for which the nearest ones speak."""
    put(console, rule("any", application(ssrf={"effect": "alert"})))
    end = defender(app_id="groups:1")
    end.connect()
    (item,) = end.receive_waas()["policy"]["applications"]
    assert item["ssrf"]["effect"] == "alert"
    assert not {"nosql", "ssti", "xxe", "deserialisation", "protocol"} & set(item)
