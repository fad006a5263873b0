"""Requests stay where they may go: nobody's image makes us talk to the machines behind us."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.hostile import CONFIG, PATH, access, honest, lying, redirect
from tests.registry.servers import PUBLIC_ADDRESS, Server, Wire, basic, digest_of
from werkzeug.wrappers import Response

from bartizan.outgoing.addresses import Depth, depth_of
from bartizan.registry import Access, ImageError, look_up

if TYPE_CHECKING:
    import ipaddress
    from pathlib import Path

NAME, OTHER = "registry.example", "elsewhere.example"


@pytest.mark.parametrize(
    ("address", "depth"),
    [
        ("8.8.8.8", Depth.PUBLIC),
        ("2600:1f18::1", Depth.PUBLIC),
        ("::ffff:8.8.8.8", Depth.PUBLIC),
        ("10.1.2.3", Depth.PRIVATE),
        ("172.31.255.255", Depth.PRIVATE),
        ("192.168.0.1", Depth.PRIVATE),
        ("100.64.0.1", Depth.PRIVATE),
        ("fd00::1", Depth.PRIVATE),
        ("::ffff:10.0.0.1", Depth.PRIVATE),
        ("64:ff9b::a00:1", Depth.PRIVATE),
        ("2002:a00:1::", Depth.PRIVATE),
        ("127.0.0.1", Depth.LOOPBACK),
        ("127.9.9.9", Depth.LOOPBACK),
        ("::1", Depth.LOOPBACK),
        ("::ffff:127.0.0.1", Depth.LOOPBACK),
        ("169.254.169.254", Depth.FORBIDDEN),
        ("169.254.170.2", Depth.FORBIDDEN),
        ("::ffff:169.254.169.254", Depth.FORBIDDEN),
        ("64:ff9b::a9fe:a9fe", Depth.FORBIDDEN),
        ("fe80::1%eth0", Depth.FORBIDDEN),
        ("fd00:ec2::254", Depth.FORBIDDEN),
        ("100.100.100.200", Depth.FORBIDDEN),
        ("0.0.0.0", Depth.FORBIDDEN),  # noqa: S104 - what must be refused
        ("::", Depth.FORBIDDEN),
        ("224.0.0.1", Depth.FORBIDDEN),
        ("ff02::1", Depth.FORBIDDEN),
        ("255.255.255.255", Depth.FORBIDDEN),
    ],
)
def test_addresses_are_told_apart(address: str, depth: Depth) -> None:
    """Every spelling of an inner address counts as inner."""
    assert depth_of(address) is depth


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_as_deep_as_itself(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address in IPv6 dress is judged as what it is."""
    assert depth_of(f"::ffff:{address}") is depth_of(str(address))


def at(server: Server, address: str, pem: Path, **choices: object) -> tuple[Wire, Access]:
    """Put a server behind a name with an address."""
    wire = Wire({NAME: (address, server.port)})
    return wire, access(ca_bundle=pem, network=wire.network(), **choices)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [(PUBLIC_ADDRESS, True), ("10.0.0.7", False), ("127.0.0.1", False), ("169.254.169.254", False)],
)
def test_the_console_asks_public_registries_only(pem: Path, address: str, allowed: bool) -> None:  # noqa: FBT001
    """With `allow_private` off no connection is made to an inner address, whatever the name looks like."""
    with Server(honest, pem) as server:
        wire, given = at(server, address, pem, allow_private=False)
        if allowed:
            assert look_up(f"{NAME}/a", access=given).config.entrypoint == ("/run",)
            return
        with pytest.raises(ImageError, match="is not spoken to"):
            look_up(f"{NAME}/a", access=given)
        assert wire.dialled == []
        assert server.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "2130706433.example"])
def test_the_console_does_not_ask_itself(host: str) -> None:
    """Loopback by number or by name is no registry to the Console."""
    dialled = Wire({"localhost": ("127.0.0.1", 1), "2130706433.example": ("127.0.0.1", 1)})
    with pytest.raises(ImageError, match="is not spoken to"):
        look_up(f"{host}:9/a", access=Access(allow_private=False, network=dialled.network()))
    assert dialled.dialled == []


@pytest.mark.parametrize("kind", ["private_hosts", "insecure"])
def test_a_private_registry_can_be_named(pem: Path, kind: str) -> None:
    """The administrator's own registry is asked though its address is private; its metadata neighbour never is."""
    with Server(honest, pem) as server:
        _, given = at(server, "10.0.0.7", pem, allow_private=False, **{kind: frozenset({NAME})})
        assert look_up(f"{NAME}/a", access=given).config.entrypoint == ("/run",)

        wire, given = at(server, "169.254.169.254", pem, **{kind: frozenset({NAME})})
        with pytest.raises(ImageError, match="where clouds keep their metadata"):
            look_up(f"{NAME}/a", access=given)
        assert wire.dialled == []


@pytest.mark.parametrize("inner", ["10.0.0.8", "127.0.0.1", "169.254.169.254", "fd00::8"])
@pytest.mark.parametrize("allow_private", [True, False])
def test_a_public_registry_does_not_lead_inside(pem: Path, inner: str, allow_private: bool) -> None:  # noqa: FBT001
    """A redirect to a name with an inner address is not followed, by the Console and on the command line alike."""
    with Server(honest, pem) as victim:
        answer = lying(f"/v2/a/blobs/{digest_of(CONFIG)}", lambda request: redirect(f"https://{OTHER}{request.path}"))
        with Server(answer, pem) as registry:
            wire = Wire({NAME: (PUBLIC_ADDRESS, registry.port), OTHER: (inner, victim.port)})
            given = access(ca_bundle=pem, network=wire.network(), allow_private=allow_private)
            with pytest.raises(ImageError, match="is not spoken to"):
                look_up(f"{NAME}/a", access=given)
        assert victim.seen == []
        assert set(wire.dialled) == {PUBLIC_ADDRESS}


def test_storage_beside_a_registry_is_reached(pem: Path) -> None:
    """A public registry may redirect to another public host, and a private one to a private."""
    with Server(honest, pem) as storage:
        answer = lying(f"/v2/a/blobs/{digest_of(CONFIG)}", lambda request: redirect(f"https://{OTHER}{request.path}"))
        with Server(answer, pem) as registry:
            for home, store in ((PUBLIC_ADDRESS, "52.94.1.9"), ("10.0.0.7", "10.0.0.8"), ("10.0.0.7", "52.94.1.9")):
                wire = Wire({NAME: (home, registry.port), OTHER: (store, storage.port)})
                given = access(ca_bundle=pem, network=wire.network())
                assert look_up(f"{NAME}/a", access=given).config.entrypoint == ("/run",)
                assert list(dict.fromkeys(wire.dialled)) == [home, store]


def test_a_name_that_changes_its_address_gains_nothing(pem: Path) -> None:
    """The address that was judged is the one that is dialled: a second answer of the resolver is judged again."""
    challenge = {"www-authenticate": 'Basic realm="x"', "connection": "close"}
    with Server(lying(PATH, lambda _: Response(status=401, headers=challenge)), pem) as server:
        wire = Wire({NAME: (PUBLIC_ADDRESS, server.port)})
        answers = iter([[PUBLIC_ADDRESS], ["127.0.0.1"]])
        network = dataclasses.replace(wire.network(), resolve=lambda _host, _port: next(answers))
        given = access(ca_bundle=pem, network=network, allow_private=False)
        with pytest.raises(ImageError, match="is not spoken to"):
            look_up(f"{NAME}/a", access=given)
        assert wire.dialled == [PUBLIC_ADDRESS]


def test_one_bad_address_among_good_ones_refuses_the_name(pem: Path) -> None:
    """A name that has an inner address beside a public one is not dialled at all."""
    with Server(honest, pem) as server:
        wire, given = at(server, PUBLIC_ADDRESS, pem, allow_private=False)
        network = dataclasses.replace(given.network, resolve=lambda _host, _port: [PUBLIC_ADDRESS, "127.0.0.1"])
        with pytest.raises(ImageError, match="is not spoken to"):
            look_up(f"{NAME}/a", access=dataclasses.replace(given, network=network))
        assert wire.dialled == []


def test_a_proxy_of_the_system_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go through the proxy that the environment names; addresses written as numbers are judged still."""
    with Server(honest) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        given = access(insecure=frozenset({NAME}))
        assert look_up(f"{NAME}/a", access=given).config.entrypoint == ("/run",)
        assert {request.host for request in proxy.seen} == {NAME}
        with pytest.raises(ImageError, match="where clouds keep their metadata"):
            look_up("169.254.169.254/a", access=given)


def test_a_proxy_with_a_password_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password of a proxy's address go to the proxy; an address that is none is not shown."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    given = access(insecure=frozenset({NAME}))
    with Server(honest) as proxy:
        monkeypatch.setenv("http_proxy", f"http://proxy:s3cret@{proxy.host}")
        assert look_up(f"{NAME}/a", access=given).config.entrypoint == ("/run",)
        sent = {request.headers.get("proxy-authorization") for request in proxy.seen}
        assert sent == set(basic("proxy", "s3cret").values())
    for bad in ("socks5://proxy:s3cret@127.0.0.1:1", "http://proxy:s3cret@a:b", "s3cret://"):
        monkeypatch.setenv("https_proxy", bad)
        with pytest.raises(ImageError, match="proxy of the environment is not understood") as caught:
            look_up(f"{NAME}/a", access=given)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_bundle_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    """A missing, empty or broken bundle is an error before anything is sent."""
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(ImageError, match=r"CA bundle `.*ca\.pem` cannot be used"):
        look_up("registry.example/a", access=Access(ca_bundle=bundle))
