"""The listener of port 8084: TLS, WebSocket, and which path serves what."""

import asyncio
import logging
import socket
import ssl
from http import HTTPStatus
from typing import Any, cast

import aiofastnet
from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

# What `picows.ws_create_server` makes one of for each connection. It is made here, so that whom a certificate names is
# known before the WebSocket is opened: that function shows a request without its transport.
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from bartizan.channel.connection import Connection, ConnectionClosedError
from bartizan.channel.enrol import serve_enrolment
from bartizan.channel.messages import LARGEST_FRAME, SUBPROTOCOL
from bartizan.channel.peer import PeerIdentity
from bartizan.channel.session import Limits, Services, Session

_log = logging.getLogger(__name__)
# The library logs what peers send at its own levels; what matters is logged here. An adapter, since the library makes a
# logger for each connection of anything else.
_library = logging.getLogger("bartizan.picows")
_library.setLevel(logging.CRITICAL)
_library_log = logging.LoggerAdapter(_library)
_BACKLOG = 1024
_HANDSHAKE_SECONDS = 10
_STOP_SECONDS = 5
_READ_BUFFER = 4096
# One TLS record; what is touched of it once stays with the connection.
_TLS_BUFFER = 16 * 1024 + 64


class ChannelServer:
    """Serves `/enrol` and `/channel` on one socket."""

    def __init__(self, services: Services, identify: PeerIdentity, limits: Limits) -> None:
        self._services = services
        self._identify = identify
        self._limits = limits
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], Connection] = {}

    async def start(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Begin to accept connections on a listening socket."""
        self._server = await aiofastnet.create_server(
            asyncio.get_running_loop(),
            self._protocol,
            sock=listener,
            backlog=_BACKLOG,
            ssl=context,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=2,
            ssl_incoming_bio_size=_TLS_BUFFER,
            ssl_outgoing_bio_size=_TLS_BUFFER,
        )

    async def stop(self) -> None:
        """Stop accepting, and close all sessions as "going away"."""
        if self._server is None:
            return
        self._server.close()
        serving = dict(self._serving)
        await asyncio.gather(*(link.close(WSCloseCode.GOING_AWAY) for link in serving.values()))
        if serving:
            await asyncio.wait(serving, timeout=_STOP_SECONDS)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    def _protocol(self) -> asyncio.BufferedProtocol:
        """
        Return the protocol of one connection, by which its certificate is known before the WebSocket is opened.

        A peer that is silent for three heartbeats is gone: half of them until the ping, half until the answer is late.
        """
        silence = 1.5 * self._limits.heartbeat_seconds
        made: Any = WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda request: self._admit(request, made.transport),
            logger=_library_log,
            disconnect_on_exception=True,
            websocket_handshake_timeout=self._limits.hello_seconds,
            enable_auto_ping=True,
            auto_ping_idle_timeout=silence,
            auto_ping_reply_timeout=silence,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=True,
            max_frame_size=LARGEST_FRAME,
            extra_headers=None,
            read_buffer_init_size=_READ_BUFFER,
        )
        return cast("asyncio.BufferedProtocol", made)

    def _admit(self, request: WSUpgradeRequest, transport: WSTransport) -> WSUpgradeResponseWithListener:
        path = request.path.decode("latin-1").partition("?")[0]
        connection = Connection(path, transport)
        refusal = self._refusal(request, connection)
        if refusal is not None:
            response = WSUpgradeResponse.create_error_response(refusal[0], f"{refusal[1]}\n".encode())
            return WSUpgradeResponseWithListener(response, None)
        task = asyncio.get_running_loop().create_task(self._handle(connection))
        self._serving[task] = connection
        task.add_done_callback(lambda done: self._serving.pop(done, None))
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": SUBPROTOCOL})
        return WSUpgradeResponseWithListener(response, connection)

    def _refusal(self, request: WSUpgradeRequest, connection: Connection) -> tuple[HTTPStatus, str] | None:
        if len(self._serving) >= self._limits.connections:
            return HTTPStatus.SERVICE_UNAVAILABLE, "too many connections"
        if connection.path not in ("/enrol", "/channel"):
            return HTTPStatus.NOT_FOUND, "there is nothing here"
        offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", []))
        if SUBPROTOCOL not in (item.strip() for item in offered.split(",")):
            return HTTPStatus.BAD_REQUEST, f"the subprotocol {SUBPROTOCOL} is required"
        if connection.path == "/channel":
            try:
                self._identify(connection)
            except ValueError as error:
                _log.warning("channel from %s refused: %s", connection.address, error)
                return HTTPStatus.FORBIDDEN, str(error)
        return None

    async def _handle(self, connection: Connection) -> None:
        try:
            if connection.path == "/enrol":
                await serve_enrolment(connection, self._services.enrolment, request_seconds=self._limits.hello_seconds)
            else:
                await Session(connection, self._identify(connection), self._services, self._limits).run()
        except ConnectionClosedError:
            return
        except Exception:  # noqa: BLE001 - one connection must not end the server
            _log.exception("a connection from %s failed", connection.address)
        finally:
            await connection.close()
