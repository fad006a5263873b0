"""The listener of port 8084: TLS, WebSocket, and which path serves what."""

import logging
import socket
import ssl
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from bartizan.channel.enrol import serve_enrolment
from bartizan.channel.messages import LARGEST_FRAME, SUBPROTOCOL
from bartizan.channel.peer import PeerIdentity, peer_address
from bartizan.channel.session import Limits, Services, Session

_log = logging.getLogger(__name__)
# The library logs what peers send at its own levels; what matters is logged here.
_library_log = logging.getLogger("bartizan.websockets")
_library_log.setLevel(logging.CRITICAL)


class ChannelServer:
    """Serves `/enrol` and `/channel` on one socket."""

    def __init__(self, services: Services, identify: PeerIdentity, limits: Limits) -> None:
        self._services = services
        self._identify = identify
        self._limits = limits
        self._server: Server | None = None

    async def start(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Begin to accept connections on a listening socket."""
        heartbeat = self._limits.heartbeat_seconds
        self._server = await serve(
            self._handle,
            sock=listener,
            ssl=context,
            ssl_handshake_timeout=10,
            process_request=self._admit,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            server_header=None,
            max_size=LARGEST_FRAME,
            max_queue=4,
            open_timeout=self._limits.hello_seconds,
            # A peer that is silent for three heartbeats is gone: one until the ping, two until the answer is late.
            ping_interval=heartbeat,
            ping_timeout=2 * heartbeat,
            close_timeout=2,
            logger=_library_log,
        )

    async def stop(self) -> None:
        """Stop accepting, and close all sessions as "going away"."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if self._server is not None and len(self._server.connections) >= self._limits.connections:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections\n")
        if path == "/enrol":
            return None
        if path != "/channel":
            return connection.respond(HTTPStatus.NOT_FOUND, "there is nothing here\n")
        try:
            self._identify(connection)
        except ValueError as error:
            _log.warning("channel from %s refused: %s", peer_address(connection), error)
            return connection.respond(HTTPStatus.FORBIDDEN, f"{error}\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        request = connection.request
        try:
            if request is not None and request.path.partition("?")[0] == "/enrol":
                await serve_enrolment(
                    connection,
                    self._services.enrolment,
                    address=peer_address(connection),
                    request_seconds=self._limits.hello_seconds,
                )
            else:
                await Session(connection, self._identify(connection), self._services, self._limits).run()
        except ConnectionClosed:
            return
        except Exception:  # noqa: BLE001 - one connection must not end the server
            _log.exception("a connection from %s failed", peer_address(connection))
