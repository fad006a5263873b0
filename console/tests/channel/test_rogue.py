"""Rogue peers on the channel. Each test fails without the defence that it names."""

import json
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.channel.running import DEADLINE, ConsoleUnderTest, DefenderEnd, new_key
from tests.channel.test_session import last_words
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from bartizan import pki

Maker = Callable[..., DefenderEnd]


def test_no_certificate_no_channel(defender: Maker) -> None:
    """`/channel` without a client certificate is refused before the WebSocket is opened."""
    with pytest.raises(InvalidStatus) as refused:
        defender().open("/channel")
    assert refused.value.response.status_code == 403


def test_the_servers_certificate_is_no_defenders(console: ConsoleUnderTest) -> None:
    """A certificate for servers, even a stolen one of the Console itself, opens nothing."""
    context = ssl.create_default_context(cafile=str(console.running.ca_file))
    context.load_cert_chain(console.directory / "server.pem")
    with pytest.raises((ssl.SSLError, ConnectionError, InvalidMessage, ConnectionClosed)):
        open_channel(console, context)


def test_a_certificate_of_another_authority_is_refused(
    console: ConsoleUnderTest, defender: Maker, tmp_path: Path
) -> None:
    """The same subject, signed by a stranger, is refused in the handshake."""
    (tmp_path / "other").mkdir()
    stranger = pki.Authority(tmp_path / "other")
    end = defender()
    request = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    )
    csr = request.sign(end.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    end.certificate, _ = stranger.issue_client(
        csr, instance=end.instance, bundle=console.bundle()["id"], now=time.time_ns() // 1_000_000, life=3_600_000_000
    )
    with pytest.raises((ssl.SSLError, ConnectionError, InvalidMessage, ConnectionClosed)):
        end.open("/channel", certificate=True)


def test_tls_before_1_3_is_refused(console: ConsoleUnderTest) -> None:
    """Neither port speaks TLS 1.2."""
    for port in (console.running.api_port, console.running.channel_port):
        context = ssl.create_default_context(cafile=str(console.running.ca_file))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://localhost:{port}/", verify=context)


def test_a_foreign_instance_in_the_hello_is_refused(defender: Maker) -> None:
    """A hello cannot name another instance than the certificate."""
    end = defender()
    end.enrol()
    end.link = end.open("/channel", certificate=True)
    end.send(end.hello(instance=secrets.token_hex(16)))
    assert last_words(end)["code"] == "unauthorized"


def test_anothers_source_is_refused(console: ConsoleUnderTest, defender: Maker) -> None:
    """Audits for a source that another Defender owns, or is, end the session and leave no trace."""
    victim, rogue = defender(app_id="victim:2"), defender(app_id="rogue:2")
    victim.connect()
    source = secrets.token_hex(16)
    victim.send(victim.audits(1, source=source))
    victim.receive()
    for stolen in (source, victim.instance):
        rogue.connect()
        rogue.send(rogue.audits(1, source=stolen))
        assert last_words(rogue)["code"] == "unauthorized"
    assert console.audits(appID="rogue:2") == []


def test_a_source_that_was_taken_in_advance_stays_with_its_defender(defender: Maker) -> None:
    """Claiming another's instance before it connects does not keep it from reporting."""
    victim, rogue = defender(), defender()
    rogue.connect()
    rogue.send(rogue.audits(1, source=victim.instance))
    rogue.receive()
    victim.connect()
    victim.send(victim.audits(2))
    assert victim.receive()["type"] == "ack"


def test_a_container_that_was_not_announced_is_refused(defender: Maker) -> None:
    """A sidecar cannot report for containers that its hello did not name."""
    end = defender()
    end.connect()
    end.send(end.audits(1, container="other"))
    assert last_words(end)["code"] == "badMessage"


def audit_with(**changed: Any) -> Callable[[DefenderEnd], str]:
    """Return a maker of audit frames with changed fields."""

    def make(end: DefenderEnd) -> str:
        frame = end.audits(1)
        frame["audits"][0].update(changed)
        return json.dumps(frame)

    return make


@pytest.mark.parametrize(
    "make",
    [
        lambda _end: "{",
        lambda _end: "[" * 200_000,
        lambda _end: '{"type":"nothing"}',
        lambda _end: b'{"type":"goodbye","reason":""}',
        lambda end: json.dumps(end.hello()),
        lambda end: json.dumps(end.audits(*range(1, 502))),
        audit_with(seq=0),
        audit_with(seq=2**63),
        audit_with(time=-1),
        audit_with(time=10**18),
        audit_with(event={"kind": "process"}),
        lambda end: json.dumps(end.audits(1)).replace('"sh"', '"\\ud800"', 1),
        lambda _end: json.dumps({"type": "renew", "csr": "garbage"}),
    ],
    ids=[
        "half", "deep", "unknown type", "binary", "second hello", "501 audits", "seq 0", "seq too high", "before 1970",
        "far future", "event without fields", "lone surrogate", "bad csr",
    ],
)  # fmt: skip
def test_a_bad_frame_ends_only_its_session(defender: Maker, make: Callable[[DefenderEnd], str | bytes]) -> None:
    """The sender learns why and is cut off; the neighbour does not notice."""
    neighbour, rogue = defender(), defender()
    neighbour.connect()
    rogue.connect()
    assert rogue.link is not None
    rogue.link.send(make(rogue))
    assert last_words(rogue)["code"] == "badMessage"
    neighbour.send(neighbour.audits(1))
    assert neighbour.receive()["type"] == "ack"


def test_an_oversized_frame_is_not_read(defender: Maker) -> None:
    """A frame over 1 MiB closes the connection with code 1009."""
    end = defender()
    end.connect()
    assert end.link is not None
    end.link.send("x" * ((1 << 20) + 1))
    with pytest.raises(ConnectionClosed) as closed:
        end.link.recv(DEADLINE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_the_first_message_has_to_be_a_hello(defender: Maker) -> None:
    """Nothing is taken before the hello."""
    end = defender()
    end.enrol()
    end.link = end.open("/channel", certificate=True)
    end.send(end.audits(1))
    assert last_words(end)["code"] == "badMessage"


def test_a_hello_has_to_come_soon(defender: Maker) -> None:
    """A peer that says nothing is told so and dropped."""
    end = defender()
    end.enrol()
    end.link = end.open("/channel", certificate=True)
    assert "no hello" in last_words(end)["message"]


@pytest.mark.parametrize(
    "changed",
    [
        {"workloads": [{"container": None, "image": None}]},
        {"workloads": [{"container": "a", "image": None}, {"container": "a", "image": None}]},
        {"kind": "appEmbedded"},
        {"kind": "appEmbedded", "workloads": []},
        {"workloads": [{"container": str(number), "image": None} for number in range(17)]},
        {"protocol": 2},
        {"appId": ""},
    ],
    ids=["no container", "twice", "app-embedded with container", "no workload", "17", "protocol 2", "no app"],
)
def test_a_hello_that_contradicts_itself_is_refused(defender: Maker, changed: dict[str, Any]) -> None:
    """What a hello says has to fit together."""
    end = defender()
    end.enrol()
    end.link = end.open("/channel", certificate=True)
    end.send(end.hello(**changed))
    assert last_words(end)["code"] == "badMessage"


def test_messages_in_a_flood_are_limited(defender: Maker) -> None:
    """Messages that cost work, but are no audits, may not come without end."""
    end = defender()
    end.connect()
    status = {"type": "status", "workloads": []}
    with pytest.raises(ConnectionClosed):  # noqa: PT012 - the sending itself may meet the end
        for _ in range(2000):
            end.send(status)
        assert end.link is not None
        end.link.recv(DEADLINE)
        end.link.recv(DEADLINE)


def test_other_paths_are_not_found(defender: Maker) -> None:
    """There is nothing but `/enrol` and `/channel`."""
    with pytest.raises(InvalidStatus) as refused:
        defender().open("/api/v1/_ping")
    assert refused.value.response.status_code == 404


def test_a_thief_of_the_certificate_alone_gets_nowhere(defender: Maker, tmp_path: Path) -> None:
    """Certificates are public; without its key one proves nothing."""
    end = defender()
    end.enrol()
    context = ssl.create_default_context()
    pem = new_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "thief.pem").write_bytes(pem + end.certificate.encode())
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(tmp_path / "thief.pem")


def open_channel(console: ConsoleUnderTest, context: ssl.SSLContext) -> None:
    """Open the channel with a TLS context and wait for the first thing that is said."""
    with connect(f"{console.wss}/channel", ssl=context, subprotocols=["bartizan.v1"], open_timeout=DEADLINE) as link:  # type: ignore[list-item]
        link.recv(DEADLINE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
tagged = st.fixed_dictionaries(
    {"type": st.sampled_from(["hello", "status", "audits", "renew", "goodbye", "enrol", "ack"])},
    optional=dict.fromkeys(("workloads", "audits", "source", "container", "csr", "reason", "instance"), json_values),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=st.lists(
        tagged.map(json.dumps) | json_values.map(json.dumps) | st.text(max_size=200), min_size=1, max_size=4
    )
)
def test_no_frame_harms_the_server(console: ConsoleUnderTest, defender: Maker, frames: list[str]) -> None:
    """Whatever a certified peer sends, it gets typed answers or its end, and the Console goes on serving."""
    end = fuzz_peer(console, defender)
    end.link = end.open("/channel", certificate=True)
    end.send(end.hello())
    try:
        for frame in frames:
            end.link.send(frame)
        end.send({"type": "goodbye", "reason": ""})
        while True:
            assert end.receive()["type"] in {"welcome", "policies", "ack", "error", "renewed"}
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd is not None else 1008
    assert code in {1000, 1008}
    with console.client(token="") as client:
        assert client.get("/_ping").text == "OK"


_peers: dict[int, DefenderEnd] = {}


def fuzz_peer(console: ConsoleUnderTest, defender: Maker) -> DefenderEnd:
    """Return one enrolled Defender for all examples."""
    if console.running.api_port not in _peers:
        end = defender()
        assert end.enrol()["type"] == "enrolled"
        _peers[console.running.api_port] = end
    return _peers[console.running.api_port]
