"""HTTP requests past the guard, bounded in time and size, and connections past it for protocols that are not HTTP."""

from __future__ import annotations

import functools
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import httpcore
import httpx

from bartizan.outgoing.addresses import Depth, depth_of
from bartizan.outgoing.network import Deadline, GuardedBackend, Network
from bartizan.outgoing.proxy import EgressProxy, literal, no_proxy
from bartizan.outgoing.reach import Reach
from bartizan.services.outgoing import OutgoingAnswer, OutgoingError, OutgoingRequest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

_LONGEST_URL = 2048
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STEP_SECONDS = 10.0


class GuardedClient:
    """
    Implements `OutgoingClient`.

    Only https is spoken, and only to public addresses, but for hosts within `reach`. A name is resolved once, all its
    addresses are judged, and one of those is dialled. `proxy` is asked at each request; behind a proxy only addresses
    written as numbers can be judged here, names are the proxy's to judge.
    """

    def __init__(
        self,
        reach: Reach | None = None,
        *,
        proxy: Callable[[], EgressProxy] = no_proxy,
        network: Network | None = None,
    ) -> None:
        self._reach = reach or Reach()
        self._proxy = proxy
        self._network = network or Network()

    def check(self, url: str) -> None:
        """Raise OutgoingError for a URL that requests never go to, whatever its name resolves to."""
        self._parsed(url)

    def send(self, request: OutgoingRequest) -> OutgoingAnswer:
        """Make a request and return the answer, whatever its status. Raises OutgoingError."""
        deadline, url = Deadline(request.seconds), self._parsed(request.url)
        for _ in range(_MOST_REDIRECTS + 1):
            with _explained(_host(url)):
                answer = self._once(request, url, deadline)
            if request.method != "GET" or answer.status not in _REDIRECTS:
                return answer
            url = self._next(url, answer.headers.get("location", ""))
        raise OutgoingError(f"`{_host(url)}` redirects in a circle")

    def connect(self, host: str, port: int, *, seconds: float) -> socket.socket:
        """Return a connection to a host, without TLS. Raises OutgoingError."""
        with _explained(host):
            found: socket.socket = self._backend(Deadline(seconds)).connect_tcp(host, port).get_extra_info("socket")
        found.settimeout(seconds)
        return found

    def _once(self, request: OutgoingRequest, url: httpx.URL, deadline: Deadline) -> OutgoingAnswer:
        fields = {
            "host": url.netloc.decode("ascii"),
            "user-agent": "bartizan",
            "accept-encoding": "identity",
            "connection": "close",
        } | {name.lower(): value for name, value in request.headers.items()}
        if request.body or request.method not in {"GET", "HEAD"}:
            fields["content-length"] = str(len(request.body))
        times = dict.fromkeys(("connect", "read", "write", "pool"), deadline.left(_STEP_SECONDS))
        wanted = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()],
            content=request.body,
            extensions={"timeout": times},
        )
        with self._pool(url, request.ca_pem, deadline) as pool:
            response = pool.handle_request(wanted)
            try:
                body = _body(response, request.most, _host(url))
            finally:
                response.close()
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return OutgoingAnswer(status=response.status, headers=headers, body=body)

    def _pool(self, url: httpx.URL, ca_pem: str, deadline: Deadline) -> httpcore.ConnectionPool:
        proxy, backend, through = self._proxy(), self._backend(deadline), None
        if proxy.covers(_host(url)):
            if number := literal(_host(url)):
                self._permit(_host(url), _port(url), number)
            # The proxy is the operator's, so it may stand anywhere; the deadline holds for it too.
            backend = self._backend(deadline, permit=_anywhere)
            through = _place(proxy)
            if proxy.ca_pem:
                through.ssl_context = trusting(proxy.ca_pem)
        return httpcore.ConnectionPool(
            ssl_context=trusting(ca_pem), proxy=through, network_backend=backend, max_connections=1
        )

    def _backend(self, deadline: Deadline, *, permit: Callable[[str, int, str], None] | None = None) -> GuardedBackend:
        return GuardedBackend(
            self._network, deadline=deadline, resolve_timeout=_STEP_SECONDS, permit=permit or self._permit
        )

    def _permit(self, host: str, port: int, address: str) -> None:
        if self._reach.permits(host, address):
            return
        if depth_of(address) is Depth.FORBIDDEN:
            _refuse(f"`{host}:{port}` is not spoken to: its address is one where clouds keep secrets, or of no host")
        _refuse(
            f"`{host}:{port}` is not spoken to: its address is not public; the operator of the Console can allow it "
            "with `BARTIZAN_OUTGOING_ALLOW`"
        )

    def _parsed(self, text: str) -> httpx.URL:
        try:
            url = httpx.URL(text if len(text) <= _LONGEST_URL else "")
        except (httpx.InvalidURL, ValueError):
            url = httpx.URL("")
        if url.scheme not in {"http", "https"} or not url.raw_host or url.port == 0:
            _refuse(
                f"not an address of the web, such as `https://example.com/hook`, of at most {_LONGEST_URL} characters"
            )
        if url.userinfo:
            _refuse("a user or password in an address is refused: it would be shown with it")
        if url.scheme == "http" and not self._reach.lists(_host(url)):
            _refuse(
                f"`{_host(url)}` is spoken to by https only; the operator of the Console can allow http with "
                "`BARTIZAN_OUTGOING_ALLOW`"
            )
        if (number := literal(_host(url))) and not self._reach.permits(_host(url), number):
            self._permit(_host(url), _port(url), number)
        return url.copy_with(fragment=None)

    def _next(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            following = url.join(location if 0 < len(location) <= _LONGEST_URL else "nowhere:")
        except (httpx.InvalidURL, ValueError):
            following = httpx.URL("nowhere:")
        if (following.scheme, _host(following), _port(following)) != (url.scheme, _host(url), _port(url)):
            _refuse(f"`{_host(url)}` redirects to another place, which is not followed: give the final address")
        return self._parsed(str(following.copy_with(userinfo=b"")))


@functools.lru_cache(maxsize=64)
def trusting(ca_pem: str) -> ssl.SSLContext:
    """Return TLS settings that trust the given authorities alone, or those of the system. Raises OutgoingError."""
    try:
        return ssl.create_default_context(cadata=ca_pem or None)
    except (ssl.SSLError, ValueError):
        raise OutgoingError("the certificate authority to trust is not in PEM form", refused=True) from None


@contextmanager
def _explained(host: str) -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as cause:
        slow = isinstance(cause, httpcore.TimeoutException)
        why = str(cause) or ("it took too long" if slow else type(cause).__name__)
        raise OutgoingError(f"`{host}` cannot be reached: {why}", timed_out=slow) from None
    except (ValueError, UnicodeError) as cause:
        raise OutgoingError(f"`{host}` cannot be asked: {cause}", refused=True) from None


def _place(proxy: EgressProxy) -> httpcore.Proxy:
    try:
        url = httpx.URL(proxy.url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.raw_host or url.userinfo:
        raise OutgoingError("the proxy is not understood: write it like `http://host:port`", refused=True)
    place = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=_port(url), target=b"/")
    return httpcore.Proxy(place, auth=(proxy.user, proxy.password) if proxy.user else None)


def _body(response: httpcore.Response, most: int, host: str) -> bytes:
    pieces, size = [], 0
    for piece in response.iter_stream():
        size += len(piece)
        if size > most:
            raise OutgoingError(f"`{host}` answers with more than {most} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _anywhere(_host: str, _port: int, _address: str) -> None:
    """Let every address pass."""


def _refuse(why: str) -> NoReturn:
    raise OutgoingError(why, refused=True)


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
