"""Outgoing requests reach what they may, and nothing else: no spelling, no rebinding and no redirect leads inside."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.servers import PUBLIC_ADDRESS, Server, certificate
from werkzeug.wrappers import Request, Response

from bartizan.outgoing.addresses import Depth, depth_of, plain
from bartizan.outgoing.client import GuardedClient
from bartizan.outgoing.network import Network, dial
from bartizan.outgoing.proxy import EgressProxy
from bartizan.outgoing.reach import Reach, parse_reach
from bartizan.services.outgoing import OutgoingAnswer, OutgoingError, OutgoingRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpcore

HOST = "registry.example"


@dataclass
class Wire:
    """A network in which one public address leads to a server on loopback; it notes what was resolved and dialled."""

    port: int
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    def resolve(self, host: str, _port: int) -> list[str]:
        """Give the answers of a name one after the other, the last one for ever."""
        self.resolved.append(host)
        answers = self.names.get(host, [[PUBLIC_ADDRESS]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def dial(self, address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        """Dial loopback in place of the public address."""
        self.dialled.append(address)
        return dial("127.0.0.1", self.port, timeout) if address == PUBLIC_ADDRESS else dial(address, port, timeout)

    def network(self) -> Network:
        """Give it to a client."""
        return Network(self.resolve, self.dial)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for the names of these tests."""
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(pem: Path) -> Iterator[Server]:
    """Run a receiver, which redirects where its query says."""

    def answer(request: Request) -> Response:
        if to := request.args.get("to"):
            return Response(status=int(request.args.get("status", "302")), headers={"location": to})
        return Response(b"x" * int(request.args.get("size", "2")))

    with Server(answer, pem) as found:
        yield found


def ask(wire: Wire, pem: Path, url: str, *, reach: Reach | None = None, **given: Any) -> OutgoingAnswer:
    """Make a request, a GET that trusts the server if nothing else is said."""
    client = GuardedClient(reach, network=wire.network(), proxy=given.pop("proxy", EgressProxy))
    return client.send(OutgoingRequest(**({"method": "GET", "url": url, "ca_pem": pem.read_text()} | given)))


def test_a_public_receiver_is_asked(server: Server, pem: Path) -> None:
    """Method, headers and body arrive, the answer comes back."""
    answer = ask(Wire(server.port), pem, f"https://{HOST}/hook", method="POST", headers={"X-Sign": "a"}, body=b"{}")
    assert (answer.status, answer.body) == (200, b"xx")
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.headers["x-sign"], seen.get_data()) == ("POST", "/hook", "a", b"{}")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
        "0.0.0.0",  # noqa: S104 - an attack
        "[::]",
        "169.254.169.254",
        "2852039166",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "[fd12::1]",
        "[fe80::1]",
    ],
)
def test_no_spelling_of_an_inner_address_is_asked(server: Server, pem: Path, host: str) -> None:
    """Neither directly nor through a proxy; nothing is dialled."""
    wire = Wire(server.port)
    for proxy in (EgressProxy(), EgressProxy(url="http://proxy.example:3128")):
        with pytest.raises(OutgoingError, match="is not spoken to") as caught:
            ask(wire, pem, f"https://{host}:{server.port}/", proxy=lambda: proxy)  # noqa: B023 - called at once
        assert caught.value.refused
    assert not wire.dialled
    assert not server.seen


@pytest.mark.parametrize("inner", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1"])
def test_a_name_of_an_inner_address_is_not_asked(server: Server, pem: Path, inner: str) -> None:
    """One inner address among public ones is enough to refuse."""
    wire = Wire(server.port, {HOST: [[PUBLIC_ADDRESS, inner]]})
    with pytest.raises(OutgoingError, match="not spoken to"):
        ask(wire, pem, f"https://{HOST}:{server.port}/")
    assert not wire.dialled


def test_rebinding_gains_nothing(server: Server, pem: Path) -> None:
    """The name is resolved once for a request, and what was judged is dialled."""
    wire = Wire(server.port, {HOST: [[PUBLIC_ADDRESS], ["127.0.0.1"]]})
    assert ask(wire, pem, f"https://{HOST}:{server.port}/").status == 200
    assert wire.resolved == [HOST]
    assert wire.dialled == [PUBLIC_ADDRESS]
    with pytest.raises(OutgoingError, match="not spoken to"):
        ask(wire, pem, f"https://{HOST}:{server.port}/")


def test_redirects_stay_within_the_origin(server: Server, pem: Path) -> None:
    """A GET follows within scheme, host and port; nothing leads elsewhere, a POST nowhere."""
    wire = Wire(server.port)
    assert ask(wire, pem, f"https://{HOST}/?to=/end").status == 200
    for place in (
        "https://elsewhere.example/",
        f"http://{HOST}/",
        "https://127.0.0.1/",
        f"https://{HOST}:8/",
        "file:///x",
    ):
        with pytest.raises(OutgoingError, match="redirects to another place"):
            ask(wire, pem, f"https://{HOST}/?to={place}")
    assert ask(wire, pem, f"https://{HOST}/?to=/end&status=307", method="POST", body=b"s").status == 307
    with pytest.raises(OutgoingError, match="in a circle"):
        ask(wire, pem, f"https://{HOST}/?to=/%3Fto%3D/%253Fto%253D/%25253Fto%25253D/%2525253Fto%2525253D/")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://registry.example/", "not an address of the web"),
        ("file:///etc/passwd", "not an address of the web"),
        ("https://", "not an address of the web"),
        ("https://registry.example/" + "a" * 3000, "not an address of the web"),
        ("https://user:secret@registry.example/", "a user or password"),
        ("http://registry.example/", "by https only"),
        ("https://0177.0.0.1/", "not an address of the web"),
        ("https://x\x00y/", "not an address of the web"),
    ],
)
def test_urls_that_are_none_of_ours(server: Server, pem: Path, url: str, words: str) -> None:
    """Other schemes, secrets in addresses and plain http are refused, without the secret in the words."""
    with pytest.raises(OutgoingError, match=words) as caught:
        ask(Wire(server.port), pem, url)
    assert "secret" not in str(caught.value)


def test_size_and_time_are_bounded(server: Server, pem: Path) -> None:
    """A long answer and a slow one end with an error."""
    with pytest.raises(OutgoingError, match="more than 1000 bytes"):
        ask(Wire(server.port), pem, f"https://{HOST}/?size=100000", most=1000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(OutgoingError, match="cannot be reached") as caught:
            ask(Wire(silent.getsockname()[1]), pem, f"https://{HOST}/", seconds=0.3)
        assert caught.value.timed_out
        assert time.monotonic() - begun < 5


def test_an_unknown_authority_is_not_trusted(server: Server, pem: Path) -> None:
    """Without the given authority the receiver is not believed."""
    with pytest.raises(OutgoingError, match="certificate"):
        ask(Wire(server.port), pem, f"https://{HOST}/", ca_pem="")
    with pytest.raises(OutgoingError, match="PEM"):
        ask(Wire(server.port), pem, f"https://{HOST}/", ca_pem="no certificate")
    assert not server.seen


def test_what_the_operator_lists_is_reached(server: Server, pem: Path) -> None:
    """A name or network that is listed may be inside; metadata addresses may not."""
    wire = Wire(server.port, {HOST: [["127.0.0.1"]], "below.corp": [["127.0.0.1"]]})
    for entries in ((HOST,), ("127.0.0.0/8",)):
        assert ask(wire, pem, f"https://{HOST}:{server.port}/", reach=parse_reach(entries)).status == 200
    with pytest.raises(OutgoingError, match="not spoken to"):
        ask(wire, pem, f"https://below.corp:{server.port}/", reach=parse_reach(("*.corp",)))
    wire.names[HOST] = [["169.254.169.254"]]
    with pytest.raises(OutgoingError, match="clouds keep secrets"):
        ask(wire, pem, f"https://{HOST}/", reach=parse_reach((HOST, "0.0.0.0/0")))


def test_a_proxy_is_used_and_believed_only_where_it_is_named(server: Server, pem: Path) -> None:
    """Requests go to the proxy, which may stand inside; those of its bypass list go past it."""
    listener, seen = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            seen.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    proxy = EgressProxy(
        url=f"http://127.0.0.1:{listener.getsockname()[1]}", user="u", password="p", bypass=(".example",)
    )
    wire = Wire(server.port)
    with pytest.raises(OutgoingError, match="403"):
        ask(wire, pem, "https://hooks.slack.test/", proxy=lambda: proxy)
    thread.join()
    listener.close()
    assert seen[0].startswith(b"CONNECT hooks.slack.test:443 ")
    assert b"Basic dTpw" in seen[0]
    assert ask(wire, pem, f"https://{HOST}/", proxy=lambda: proxy).status == 200


def test_a_plain_connection_passes_the_guard(server: Server) -> None:
    """For SMTP and syslog; the same rules hold."""
    wire = Wire(server.port)
    with GuardedClient(network=wire.network()).connect(HOST, 25, seconds=5) as found:
        assert found.getpeername()[1] == server.port
    with pytest.raises(OutgoingError, match="not spoken to"):
        GuardedClient(network=wire.network()).connect("127.0.0.1", server.port, seconds=5)


@given(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)),
    st.sampled_from(["10.0.0.0/8", "fd00::/8", "127.0.0.0/8", "mail.corp", "*.corp"]),
)
def test_an_address_is_public_or_listed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> None:
    """Whatever passes for a host that is not listed by name is public or within a listed network."""
    if parse_reach((entry,)).permits("other.example", str(address)):
        listed = "/" in entry and plain(str(address)) in ipaddress.ip_network(entry)
        assert depth_of(str(address)) is Depth.PUBLIC or listed


@given(st.lists(st.text(max_size=300), max_size=3))
def test_any_list_is_read_or_refused(entries: list[str]) -> None:
    """A list gives a reach or a ValueError; none lets metadata addresses pass."""
    try:
        reach = parse_reach(tuple(entries))
    except ValueError:
        return
    assert not reach.permits("x", "169.254.169.254")


@pytest.mark.parametrize("entry", ["169.254.0.0/16", "fe80::1", "1.2.3.4.5", "0x7f.1", "a b", "", "https://x"])
def test_entries_that_cannot_be_meant(entry: str) -> None:
    """Link-local networks and what is neither name nor network are refused."""
    with pytest.raises(ValueError, match="`"):
        parse_reach((entry,))
