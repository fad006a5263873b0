"""GET and POST for registries: bounded in time and size, credentials kept to one origin, redirects followed by hand."""

from __future__ import annotations

import email.utils
import functools
import ipaddress
import ssl
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import httpcore
import httpx

from bartizan.outgoing.addresses import Depth, depth_of
from bartizan.outgoing.network import Deadline, GuardedBackend
from bartizan.registry.errors import BusyError, ImageError, UnreachableError
from bartizan.registry.reference import registry_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bartizan.registry.access import Access

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 503})
_LONGEST_LOCATION = 8192
_DRAINED = 16384


@dataclass(slots=True)
class Answer:
    """The head of a response, and its body still to be read."""

    status: int
    headers: tuple[tuple[str, str], ...]
    url: httpx.URL
    _response: httpcore.Response
    _begun: bool = False

    def header(self, name: str) -> str:
        """Return a header's value, several of one name joined by commas; empty when there is none."""
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def media_type(self) -> str:
        """The type of the body, in lower case and without parameters."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def is_page(self) -> bool:
        """Whether the body is a web page, which no registry has to give."""
        return self.media_type == "text/html"

    def chunks(self, most: int, what: str) -> Iterator[bytes]:
        """Give the body piece by piece; raises `ImageError` when it is longer than `most` bytes, or encoded."""
        if self.header("content-encoding").lower() not in {"", "identity"}:
            raise ImageError(f"{what} came compressed though that was not asked for")
        announced = self.header("content-length")
        if announced.isdecimal() and int(announced) > most:
            raise ImageError(f"{what} has more than {most} bytes")
        size, self._begun = 0, True
        for chunk in self._response.iter_stream():
            size += len(chunk)
            if size > most:
                raise ImageError(f"{what} has more than {most} bytes")
            yield chunk

    def read(self, most: int, what: str) -> bytes:
        """Return the whole body; raises `ImageError` as `chunks` does."""
        return b"".join(self.chunks(most, what))

    def close(self) -> None:
        """Give the connection back, so that it can be used again: what is left of a short body is read for that."""
        length = self.header("content-length")
        if not self._begun and length.isdecimal() and int(length) <= _DRAINED:
            with suppress(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
                for _ in self._response.iter_stream():
                    pass
        self._response.close()


class Transport:
    """Connections on behalf of one registry, whose host and port are `host`.

    `timed` puts the total time-out on them, otherwise that of a layer.

    The registry's own address decides how far inside the network requests may go: see `outgoing.addresses`. Behind an
    HTTP proxy (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` as `urllib` reads them) only addresses written as numbers can be
    judged here; the rest is the proxy's.
    """

    def __init__(self, host: str, access: Access, *, timed: bool = True) -> None:
        self._host = host
        self._access = access
        self._asked = host
        self._depth = Depth.PUBLIC
        self._seen_home = False
        self._tls = trust(access)
        self.deadline = Deadline(access.patience.total if timed else access.patience.layer)
        self._backend = GuardedBackend(
            access.network, deadline=self.deadline, resolve_timeout=access.patience.connect, permit=self._permit
        )
        self._pools: dict[str, httpcore.ConnectionPool] = {}

    def __enter__(self) -> Self:
        """Open nothing yet: connections are made when they are needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        for pool in self._pools.values():
            pool.close()

    @contextmanager
    def get(self, url: httpx.URL, *, headers: Mapping[str, str], secrets: Mapping[str, str]) -> Iterator[Answer]:
        """GET `url` and follow redirects; `secrets` are headers that only the origin of `url` may see.

        Once a redirect has led elsewhere they are not sent again, not even when it leads back, since the place it then
        leads to was chosen elsewhere. Raises `ImageError`.
        """
        with self._explained():
            answer = self._follow(url, headers, secrets)
            try:
                yield answer
            finally:
                answer.close()

    @contextmanager
    def post(self, url: httpx.URL, form: Mapping[str, str]) -> Iterator[Answer]:
        """POST a form, which may hold secrets: no redirect is followed. Raises `ImageError`."""
        body = httpx.Request("POST", url, data=dict(form))
        with self._explained():
            answer = self._send("POST", url, {"content-type": body.headers["content-type"]}, body.read())
            try:
                yield answer
            finally:
                answer.close()

    def may_be_plain(self, url: httpx.URL) -> bool:
        """Tell whether a host may be spoken to without TLS: by the settings, or because it is this machine."""
        return (
            is_loopback(host_of(url)) or _place(url) in self._access.insecure or host_of(url) in self._access.insecure
        )

    def _follow(self, url: httpx.URL, headers: Mapping[str, str], secrets: Mapping[str, str]) -> Answer:
        home, left = origin(url), False
        for _ in range(_MOST_REDIRECTS + 1):
            left = left or origin(url) != home
            answer = self._patiently(url, dict(headers) | ({} if left else dict(secrets)))
            if answer.status not in _REDIRECTS:
                return answer
            location = answer.header("location")
            answer.close()
            url = self._next(url, location)
        raise ImageError(f"registry `{self._host}` redirects in a circle")

    def _next(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            following = url.join(location if 0 < len(location) <= _LONGEST_LOCATION else "nowhere:")
        except (httpx.InvalidURL, ValueError):
            raise ImageError(f"registry `{self._host}` redirects to what is no address") from None
        if following.scheme == "http" and url.scheme == "http" and self.may_be_plain(following):
            return following.copy_with(fragment=None, username=None, password=None)
        if following.scheme != "https" or not host_of(following):
            where = f"{following.scheme}://{host_of(following)}"
            raise ImageError(f"registry `{self._host}` redirects to `{where}`: only https is followed")
        return following.copy_with(fragment=None, username=None, password=None)

    def _patiently(self, url: httpx.URL, headers: dict[str, str]) -> Answer:
        """Send a GET, again if the server is busy and says for how long, within the bounds of `Patience`."""
        patience = self._access.patience
        for attempt in range(patience.retries + 1):
            answer = self._send("GET", url, headers, b"")
            if answer.status not in _BUSY:
                return answer
            pause = _pause(answer.header("retry-after"), attempt)
            if attempt == patience.retries or pause > patience.longest_wait:
                answer.close()
                raise _busy(host_of(url), answer.status, answer.header("retry-after"))
            answer.close()
            self._access.wait(self.deadline.left(pause) or 0.0)
        raise AssertionError  # the loop always returns or raises

    def _send(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> Answer:
        self._asked = _place(url)
        pool = self._pool(url)
        fields = {"host": _place(url), "user-agent": "bartizan", "accept-encoding": "identity"} | dict(headers)
        if body or method == "POST":
            fields["content-length"] = str(len(body))
        patience = self._access.patience
        times = {"connect": patience.connect, "read": patience.read, "write": patience.read, "pool": patience.read}
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[(name.encode(), value.encode("ascii")) for name, value in fields.items()],
            content=body,
            extensions={"timeout": times},
        )
        response = pool.handle_request(request)
        found = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers)
        return Answer(response.status, found, url, response)

    def _pool(self, url: httpx.URL) -> httpcore.ConnectionPool:
        """Return the connections for a URL: direct, or through the proxy that the system has for it."""
        proxy = system_proxy(url)
        if proxy and (literal := _literal(host_of(url))):
            self._permit(host_of(url), _port(url), literal)
        if proxy not in self._pools:
            through = _through(proxy) if proxy else None
            backend = None if proxy else self._backend  # the proxy is the administrator's, not the registry's
            self._pools[proxy] = httpcore.ConnectionPool(
                ssl_context=self._tls, proxy=through, network_backend=backend, max_connections=4
            )
        return self._pools[proxy]

    def _permit(self, host: str, port: int, address: str) -> None:
        """Refuse an address that lies deeper than it may; the depth of the registry itself is learnt here."""
        depth = depth_of(address)
        place = registry_name(host if port in {80, 443} else f"{host}:{port}")
        is_home = place == registry_name(self._host)
        named = {place, host} & (self._access.private_hosts | self._access.insecure)
        if depth is Depth.FORBIDDEN:
            raise _forbid(
                host, port, "its address is link-local, where clouds keep their metadata, or belongs to no host"
            )
        if is_home:
            if depth > Depth.PUBLIC and not (self._access.allow_private or named):
                raise _forbid(
                    host, port, "its address is not public, and it is not among the registries allowed to be private"
                )
            self._depth = min(self._depth, depth) if self._seen_home else depth
            self._seen_home = True
        elif depth > self._depth:
            raise _forbid(host, port, f"registry `{self._host}` sent us there, and it lies deeper in the network")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as cause:
            why = str(cause) or "it took too long" if isinstance(cause, httpcore.TimeoutException) else str(cause)
            who = f"registry `{self._host}`"
            if self._asked != self._host:
                who = f"`{self._asked}`, to which {who} sent us,"
            words = f"{who} cannot be reached: {why or type(cause).__name__}"
            timed_out = isinstance(cause, httpcore.TimeoutException)
            raise UnreachableError(words, timed_out=timed_out, distrusted=_is_distrust(cause)) from None


def trust(access: Access) -> ssl.SSLContext:
    """Return the TLS settings: the given CA and none other, or those of the system. Raises `ImageError`."""
    path = access.ca_bundle
    try:
        return _trusted(str(path) if path else None, access.ca_pem or None, path.stat().st_mtime_ns if path else 0)
    except (OSError, ValueError, TypeError) as cause:
        raise ImageError(f"CA bundle `{path or 'given as text'}` cannot be used: {cause}") from None


@functools.lru_cache(maxsize=8)
def _trusted(path: str | None, text: str | None, _changed: int) -> ssl.SSLContext:
    """Read certificates once: those of a system are a hundred and more, and each look-up would parse them anew."""
    return ssl.create_default_context(cafile=path, cadata=text)


def host_of(url: httpx.URL) -> str:
    """Return the host in ASCII: `URL.host` decodes what looks like punycode, and fails where it is none."""
    return url.raw_host.decode("ascii")


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Return scheme, host and port: what must be equal for a credential to be sent."""
    return url.scheme, host_of(url), _port(url)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its very name or number."""
    literal = _literal(host)
    return depth_of(literal) is Depth.LOOPBACK if literal else host == "localhost"


def system_proxy(url: httpx.URL) -> str:
    """Return the proxy that the system names for a URL, or nothing; this machine is reached without one."""
    if is_loopback(host_of(url)) or urllib.request.proxy_bypass(url.netloc.decode("ascii")):
        return ""
    return urllib.request.getproxies().get(url.scheme, "")


def _through(proxy: str) -> httpcore.Proxy:
    """Read a proxy's address, perhaps with user and password in it; neither is shown when it cannot be read."""
    try:
        url = httpx.URL(proxy if "://" in proxy else f"http://{proxy}")
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise ImageError("the proxy of the environment is not understood: write it like `http://host:port`")
    place = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=_port(url), target=b"/")
    return httpcore.Proxy(place, auth=(url.username, url.password) if url.username else None)


def _pause(after: str, attempt: int) -> float:
    """Return the seconds that `Retry-After` asks for (a number or a date, RFC 9110); 1, 2, 4 … without it."""
    if after.isascii() and after.isdecimal():
        return float(after[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return float(1 << attempt)


def _forbid(host: str, port: int, why: str) -> ImageError:
    """Return the error for an address that must not be spoken to; the address itself is not told."""
    return ImageError(f"`{host}:{port}` is not spoken to: {why}")


def _busy(host: str, status: int, after: str) -> BusyError:
    seconds = float(after[:9]) if after.isascii() and after.isdecimal() else None
    again = f". It asks to come again in {seconds:.0f} seconds" if seconds is not None else ""
    if status == httpx.codes.TOO_MANY_REQUESTS:
        words = f"`{host}` has had too many requests (429){again}. Credentials often raise the limit"
    else:
        words = f"`{host}` is not available for now ({status}){again}"
    return BusyError(words, retry_after=seconds)


def _place(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _literal(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return ""


def _is_distrust(cause: BaseException | None) -> bool:
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
