"""From observations to rules: what is allowed, what is made wider and what is left out."""

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.policy import Effect, Workload, parse_rule, resolve, rule_document
from bartizan.policy.defender_policy import Detection
from bartizan.policy.evidence import ENOUGH, Kind, Seen
from bartizan.policy.match import glob_matches
from bartizan.policy.model import Collection, RuntimePolicy
from bartizan.policy.stages import discovering, preventing
from bartizan.policy.suggest import Suggestion, suggest

SCOPE = Collection(name="learned", images=("shop:1",), containers=("web",))


def seen(kind: Kind, value: str, detail: str = "", *, count: int = 1, first: int = 10, last: int = 20) -> Seen:
    """Return an observation."""
    return Seen(kind=kind, value=value, detail=detail, count=count, first=first, last=last)


def suggested(*items: Seen, complete: bool = True) -> Suggestion:
    """Return the suggestion for one workload."""
    return suggest(items, name="shop", collection=SCOPE, complete=complete)


def test_what_was_seen_is_allowed_in_alert() -> None:
    """Each list holds what was seen of its kind, the effect is alert, and a kind that was not seen is not judged."""
    rule = suggested(
        seen("process", "/usr/bin/python3.11", "/usr/bin/dash"),
        seen("name", "Db.Example.test."),
        seen("address", "10.0.0.7", "tcp/5432"),
        seen("listen", "tcp/8080"),
    ).rule
    assert (rule.processes.effect, rule.processes.allow) == (Effect.ALERT, ("/usr/bin/python3.11",))
    assert (rule.dns.effect, rule.dns.allow) == (Effect.ALERT, ("db.example.test",))
    assert rule.network.allow_addresses == ("10.0.0.7",)
    assert [port.start for port in rule.network.allow_ports] == [5432]
    assert [port.start for port in rule.network.allow_listen_ports] == [8080]
    assert rule.files.effect is Effect.DISABLE


def test_the_evidence_is_beside_each_line() -> None:
    """A line tells how many things it covers, how often and when they were seen."""
    (line,) = suggested(
        seen("process", "/usr/bin/id", "/usr/bin/dash", count=3, first=5, last=9),
        seen("process", "/usr/bin/id", "/usr/bin/bash", count=4, first=7, last=30),
    ).lines
    assert (line.field, line.entry) == ("processes.whitelist", "/usr/bin/id")
    assert (line.covers, line.count, line.first, line.last) == (1, 7, 5, 30)
    assert line.examples == ("/usr/bin/id /usr/bin/dash", "/usr/bin/id /usr/bin/bash")


def test_names_become_a_pattern_only_with_enough_evidence() -> None:
    """Four buckets are four names, five are a pattern, and one below a shared name carries a warning."""
    buckets = [seen("name", f"bucket{number}.s3.amazonaws.com") for number in range(ENOUGH)]
    assert suggested(*buckets[:-1]).rule.dns.allow == tuple(item.value for item in buckets[:-1])
    widened = suggested(*buckets)
    assert widened.rule.dns.allow == ("*.s3.amazonaws.com",)
    assert widened.lines[0].covers == ENOUGH
    assert "anybody" in widened.lines[0].warning


@pytest.mark.parametrize("parent", ["com", "co.uk", "org.au"])
def test_nobodys_names_are_not_made_one(parent: str) -> None:
    """However many names lie below a public suffix, they are listed one by one."""
    names = [seen("name", f"shop{number}.{parent}") for number in range(20)]
    assert len(suggested(*names).rule.dns.allow) == 20


def test_neighbours_become_a_block() -> None:
    """Five addresses of a network are the network, fewer are themselves; IPv6 likewise."""
    near = [seen("address", f"10.1.2.{number}", "tcp/80") for number in range(ENOUGH)]
    far = [seen("address", f"10.9.9.{number}", "tcp/80") for number in range(ENOUGH - 1)]
    six = [seen("address", f"fd00::{number:x}", "tcp/80") for number in range(1, ENOUGH + 1)]
    allowed = suggested(*near, *far, *six).rule.network.allow_addresses
    assert allowed == ("10.1.2.0/24", *(item.value for item in far), "fd00::/64")


def test_public_addresses_are_ruled_by_their_names() -> None:
    """Addresses of the internet change behind names, so a detection takes the place of a list that would break."""
    found = suggested(seen("name", "api.example.test"), seen("address", "93.184.216.34", "tcp/443"))
    assert found.rule.network.allow_addresses == ()
    assert found.rule.detections == {Detection.UNRESOLVED_ADDRESS: Effect.ALERT}
    assert [(item.value, item.kind) for item in found.left_out] == [("93.184.216.34", "address")]
    assert suggested(seen("address", "93.184.216.34", "tcp/443")).rule.network.allow_addresses == ("93.184.216.34",)


def test_many_ephemeral_ports_are_all_of_them() -> None:
    """Ports that the kernel chooses become its range once there are five; port 0 says nothing."""
    ephemeral = [seen("listen", f"udp/{40_000 + number}") for number in range(ENOUGH)]
    ports = suggested(*ephemeral, seen("listen", "tcp/0"), seen("listen", "tcp/80")).rule.network.allow_listen_ports
    assert [(port.start, port.end) for port in ports] == [(80, 80), (32768, 65535)]
    few = suggested(*ephemeral[:-1]).rule.network.allow_listen_ports
    assert [(port.start, port.end) for port in few] == [(40_000 + number, 40_000 + number) for number in range(4)]


def test_files_become_their_folder_but_never_the_system() -> None:
    """Five files of a folder are the folder; `/etc` is never opened for five files in it."""
    data = [seen("file", f"/var/lib/shop/{number}") for number in range(ENOUGH)]
    system = [seen("file", f"/etc/file{number}") for number in range(ENOUGH)]
    allowed = suggested(*data, *system).rule.files.allow
    assert allowed == (*(item.value for item in system), "/var/lib/shop")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("process", "/tmp/kinsing"),  # noqa: S108 - a name
        ("process", "/dev/shm/x"),  # noqa: S108 - a name
        ("process", "/memfd:x (deleted)"),
        ("process", "/usr/bin/*"),
        ("process", "/usr/bin/gone (deleted)"),
        ("name", "*.evil.test"),
        ("file", "/srv/?"),
        ("file", "/srv/a\nb"),
        ("address", "fe80::1%eth0"),
        ("listen", "tcp/99999999"),
    ],
)
def test_what_an_attacker_could_have_sown_is_left_out(kind: Kind, value: str) -> None:
    """Programs where anybody can write, wildcards in names and what is no entry come into no rule, with the reason."""
    found = suggested(seen(kind, value, "tcp/443" if kind == "address" else ""))
    assert [item.value for item in found.left_out] == [value]
    assert [line for line in found.lines if line.field != "network.whitelistOutboundPorts"] == []
    assert all(item.reason for item in found.left_out)


def test_an_incomplete_model_closes_nothing() -> None:
    """When more was seen than could be kept, the rule judges nothing, or it would stop what was not kept."""
    found = suggested(seen("process", "/usr/bin/id"), complete=False)
    assert found.rule.processes.effect is Effect.DISABLE
    assert found.lines[0].entry == "/usr/bin/id"


def test_the_stages() -> None:
    """Discover offends nothing, prevent is alert made hard, and detections stay as they were."""
    watching = discovering("shop", SCOPE)
    assert watching.processes.effect is watching.files.effect is Effect.ALERT
    assert watching.processes.allow == watching.dns.allow == ()
    rule = suggested(seen("name", "a.example.test"), seen("address", "93.184.216.34", "tcp/443")).rule
    hard = preventing(rule)
    assert (hard.dns.effect, hard.network.effect) == (Effect.PREVENT, Effect.PREVENT)
    assert hard.processes.effect is Effect.DISABLE
    assert hard.detections == rule.detections


_texts = st.text(min_size=1, max_size=60) | st.from_regex(r"/[a-c/.*]{0,12}|[a-c.]{1,9}|tcp/[0-9]{1,6}", fullmatch=True)
_observations = st.builds(
    Seen,
    kind=st.sampled_from(["process", "name", "address", "listen", "file"]),
    value=_texts | st.ip_addresses().map(str),
    detail=st.sampled_from(["", "tcp/443", "udp/53", "tcp/40000", "x"]),
    count=st.integers(1, 9),
    first=st.integers(0, 9),
    last=st.integers(10, 19),
)


@given(st.lists(_observations, max_size=40))
def test_a_suggestion_is_a_policy_that_the_api_takes(items: list[Seen]) -> None:
    """Whatever was observed, the rule's JSON reads back as the rule, which applies to its workload only."""
    rule = suggested(*items).rule
    assert parse_rule(json.dumps(rule_document(rule))) == rule
    policy = RuntimePolicy(rules=(rule,))
    assert resolve(policy, Workload(app_id="a", image="shop:1", container="web"), revision=1).rule == "shop"
    assert resolve(policy, Workload(app_id="a", image="shop:1", container="other"), revision=1).rule is None


@given(st.lists(_observations, max_size=40))
def test_each_observation_is_covered_or_left_out(items: list[Seen]) -> None:
    """Nothing that was seen disappears: a line covers it, or it is among what is left out."""
    found = suggested(*items)
    left = {(item.kind, item.value) for item in found.left_out}
    for item in items:
        if (item.kind, item.value) in left or item.kind in {"listen", "address"}:
            continue
        allow = {
            "process": found.rule.processes.allow,
            "name": found.rule.dns.allow,
            "file": found.rule.files.allow,
        }[item.kind]
        text = item.value.lower().removesuffix(".") if item.kind == "name" else item.value.rstrip("/") or "/"
        under = [entry for entry in allow if item.kind == "file" and f"{text}/".startswith(f"{entry.rstrip('/')}/")]
        assert under or any(glob_matches(entry, text) for entry in allow), item


@given(st.lists(st.ip_addresses().map(str), min_size=1, max_size=30))
def test_each_address_is_in_a_block(addresses: list[str]) -> None:
    """Every address that was seen lies in a suggested block, loopback apart, which needs no permission."""
    rule = suggested(*(seen("address", address, "tcp/1") for address in addresses)).rule
    blocks = [ipaddress.ip_network(block) for block in rule.network.allow_addresses]
    left = {item.value for item in suggested(*(seen("address", item, "tcp/1") for item in addresses)).left_out}
    for address in map(ipaddress.ip_address, addresses):
        assert address.is_loopback or str(address) in left or any(address in block for block in blocks)
