"""Peers that stop to answer."""

import json
import socket
import ssl
import time
from pathlib import Path

import pytest
from tests.channel.running import DEADLINE, DefenderEnd, running_console
from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri


def test_a_silent_peer_is_dropped_after_three_heartbeats(tmp_path: Path) -> None:
    """A peer that answers no ping is taken for gone, and the list says so."""
    with running_console(tmp_path / "data", heartbeat_seconds=1) as console:
        console.sign_up()
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()
        end.close()
        context = ssl.create_default_context(cafile=str(console.running.ca_file))
        context.load_cert_chain(tmp_path / f"{end.instance}.pem")
        with (
            socket.create_connection(("localhost", console.running.channel_port), timeout=DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            protocol = ClientProtocol(parse_uri(f"{console.wss}/channel"), subprotocols=[Subprotocol("bartizan.v1")])
            protocol.send_request(protocol.connect())
            link.sendall(b"".join(protocol.data_to_send()))
            protocol.receive_data(link.recv(1 << 16))
            protocol.send_text(json.dumps(end.hello()).encode())
            link.sendall(b"".join(protocol.data_to_send()))
            began = time.monotonic()
            while link.recv(1 << 16):
                pass
            assert 2 < time.monotonic() - began < 8
        with console.client() as client:
            assert client.get("/defenders").json()[0]["connected"] is False


@pytest.mark.parametrize("said", [b"", b"GET /api/v1/_ping HTT"])
def test_a_request_that_does_not_come_is_not_waited_for(tmp_path: Path, said: bytes) -> None:
    """A client of the API that never finishes its request loses its place."""
    with running_console(tmp_path / "data", request_seconds=0.3) as console:
        context = ssl.create_default_context(cafile=str(console.running.ca_file))
        with (
            socket.create_connection(("localhost", console.running.api_port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            link.sendall(said)
            assert link.recv(100) == b""
