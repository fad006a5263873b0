"""A client of the Console's API."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from bartizan.cli.failure import Failure
from bartizan.cli.terminal import shown
from bartizan.settings import ClientSettings

_SECONDS = 20.0


class Client:
    """Calls the API; every failure becomes one sentence."""

    def __init__(self, settings: ClientSettings) -> None:
        if urlsplit(settings.address).scheme != "https":
            hint = "give --address https://HOST:8083, or set BARTIZAN_ADDRESS"
            raise Failure(f"`{settings.address}` is not the address of a Console: {hint}")
        self._address = settings.address.rstrip("/")
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        auth = (settings.user, settings.password) if settings.user and not settings.token else None
        self._http = httpx.Client(verify=_trust(settings), auth=auth, headers=headers, timeout=_SECONDS)

    def call(self, method: str, path: str, *, body: object = None, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer's JSON, None for an empty one. Raises Failure with the Console's own reason."""
        response = self._answer(method, path, body=body, query=query)
        return response.json() if response.content else None

    def page(self, path: str, *, query: Mapping[str, str]) -> tuple[list[Any], int]:
        """Return one page of a list, and how many there are in all. Raises Failure with the Console's own reason."""
        response = self._answer("GET", path, query=query)
        found = list(response.json())
        return found, int(response.headers.get("Total-Count", len(found)))

    def download(self, path: str, *, query: Mapping[str, str]) -> bytes:
        """Return the answer's bytes. Raises Failure with the Console's own reason."""
        return self._answer("GET", path, query=query).content

    def upload(self, path: str, content: bytes, *, media: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Send bytes and return the answer's JSON. Raises Failure with the Console's own reason."""
        try:
            response = self._http.post(self._url(path), params=query, content=content, headers={"Content-Type": media})
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        _check(response)
        return response.json()

    def send(
        self,
        method: str,
        path: str,
        content: bytes,
        *,
        media: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send bytes and return the whole answer. Raises Failure with the Console's own reason."""
        given = {"Content-Type": media, **(headers or {})}
        try:
            response = self._http.request(method, self._url(path), params=query, content=content, headers=given)
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        _check(response)
        return response

    @contextmanager
    def lines(self, path: str, *, query: Mapping[str, str]) -> Iterator[Iterator[str]]:
        """Give the lines of an endless answer as they come."""
        try:
            with self._http.stream(
                "GET", self._url(path), params=query, timeout=httpx.Timeout(_SECONDS, read=None)
            ) as answer:
                if answer.is_error:
                    answer.read()
                _check(answer)
                yield answer.iter_lines()
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    def _answer(
        self, method: str, path: str, *, body: object = None, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            response = self._http.request(method, self._url(path), json=body, params=query)
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        _check(response)
        return response

    def _url(self, path: str) -> str:
        return f"{self._address}/api/v1/{path}"

    def _unreachable(self, error: httpx.TransportError) -> Failure:
        reason = str(error) or type(error).__name__
        hint = "; trust it with --ca-file (ca.pem in its data directory)" if "CERTIFICATE_VERIFY" in reason else ""
        return Failure(f"the Console at `{self._address}` cannot be reached: {reason}{hint}")


def _trust(settings: ClientSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise Failure(f"`{settings.ca_file}` is no certificate authority: {error}") from None
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        answer = response.json()
        reason, problems = str(answer["err"]), tuple(map(shown, answer.get("problems", ())))
    except (ValueError, KeyError, TypeError, AttributeError):
        reason, problems = f"status {response.status_code}", ()
    if len(problems) > 1:
        raise Failure(f"the Console refused this for {len(problems)} problems, one a line above", problems=problems)
    raise Failure(f"the Console refused: {shown(reason)}")
