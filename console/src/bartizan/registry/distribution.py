"""Images from a registry: Docker Distribution HTTP API v2, anonymous, with a password, or with a bearer token.

A registry is not trusted: everything it sends is bounded and checked against its digest, and credentials go to the host
they are for and, in the token dance, to the realm that host names over TLS; never along a redirect.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import ssl
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

import httpx

from bartizan.registry.errors import ImageError
from bartizan.registry.image import Image, parse_json
from bartizan.registry.layout import INDEX_TYPES, LARGEST_DOCUMENT, choose_manifest, from_manifest
from bartizan.registry.reference import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    *INDEX_TYPES,
)
_MOST_REDIRECTS = 5
_CHALLENGE = re.compile(r'([a-z_]+)="([^"]*)"')
_TIMEOUT = httpx.Timeout(30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How registries are reached.

    `credentials` gives (user, password) for a host, or None; `insecure` hosts may be spoken to without TLS, as loopback
    may; `ca_bundle` is a PEM file to trust besides none other; blobs are kept in `cache` while they are unpacked.
    """

    credentials: Callable[[str], tuple[str, str] | None] = field(default=lambda _host: None, repr=False)
    insecure: frozenset[str] = frozenset()
    ca_bundle: Path | None = None
    cache: Path | None = None
    largest_blob: int = 8 << 30


def open_remote(reference: str, access: Access) -> Image:
    """Open an image in its registry; layers are fetched when they are unpacked. Raises `ImageError`."""
    wanted = parse_reference(reference)
    session = _Session(wanted, access)
    content, digest = session.manifest(wanted.selector)
    document = parse_json(content, f"the manifest of `{reference}`")
    if "manifests" in document:
        chosen = choose_manifest(document, f"the index of `{reference}`")
        content, digest = session.manifest(str(chosen.get("digest")))
    return from_manifest(content, reference=reference, digest=digest, blob=session.blob)


class _Session:
    """Talks to one repository of one registry; `_authorization` is what the last challenge was answered with."""

    def __init__(self, reference: Reference, access: Access) -> None:
        self._access = access
        self._reference = reference
        self._verify = ssl.create_default_context(cafile=str(access.ca_bundle) if access.ca_bundle else None)
        plain = reference.host in access.insecure or _is_loopback(reference.host)
        self._schemes = ("https", "http") if plain else ("https",)
        self._base: httpx.URL | None = None
        self._authorization: str | None = None

    def manifest(self, selector: str) -> tuple[bytes, str]:
        """Return the bytes and the digest of a manifest."""
        path = f"/v2/{self._reference.repository}/manifests/{selector}"
        with self._get(path, accept=", ".join(_MANIFEST_TYPES)) as response:
            content = b"".join(_bounded(response, LARGEST_DOCUMENT, "the manifest"))
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if selector.startswith("sha256:") and digest != selector:
            raise ImageError(f"the registry `{self._reference.host}` sent another manifest than `{selector}`")
        return content, digest

    def blob(self, digest: str) -> BinaryIO:
        """Fetch a blob into a nameless file and return it at its start; its digest holds."""
        home = self._access.cache
        if home is not None:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = tempfile.TemporaryFile(dir=home)  # noqa: SIM115 - the caller closes it
        try:
            seen = hashlib.sha256()
            path = f"/v2/{self._reference.repository}/blobs/{digest}"
            with self._get(path, accept="*/*") as response:
                for chunk in _bounded(response, self._access.largest_blob, "a layer"):
                    seen.update(chunk)
                    store.write(chunk)
            if f"sha256:{seen.hexdigest()}" != digest:
                raise ImageError(f"the registry `{self._reference.host}` sent other bytes than `{digest}`")  # noqa: TRY301
            store.seek(0, os.SEEK_SET)
        except BaseException:
            store.close()
            raise
        return cast("BinaryIO", store)

    @contextmanager
    def _get(self, path: str, *, accept: str) -> Iterator[httpx.Response]:
        with httpx.Client(verify=self._verify, timeout=_TIMEOUT, trust_env=True) as client:
            try:
                response = self._follow(client, self._address(client).join(path), accept)
                if response.status_code == httpx.codes.UNAUTHORIZED:
                    self._authorization = self._answer(client, response.headers.get("www-authenticate", ""))
                    response.close()
                    response = self._follow(client, self._address(client).join(path), accept)
                self._check(response)
                try:
                    yield response
                finally:
                    response.close()
            except httpx.HTTPError as cause:
                raise ImageError(f"registry `{self._reference.host}` cannot be reached: {cause}") from None

    def _address(self, client: httpx.Client) -> httpx.URL:
        """Return the registry's address; plain HTTP is tried only where that is allowed."""
        if self._base is not None:
            return self._base
        failure: httpx.HTTPError | None = None
        for scheme in self._schemes:
            url = httpx.URL(f"{scheme}://{self._reference.host}")
            try:
                client.get(url.join("/v2/")).close()
            except httpx.HTTPError as cause:
                failure = failure or cause
                if _is_distrust(cause):
                    break  # a false certificate is an attack or a mistake, never a reason to go on without TLS
                continue
            self._base = url
            return url
        raise ImageError(f"registry `{self._reference.host}` cannot be reached: {failure}")

    def _follow(self, client: httpx.Client, url: httpx.URL, accept: str) -> httpx.Response:
        """GET with redirects followed by hand: the authorization goes to the registry itself and to no other host."""
        home = _origin(url)
        for _ in range(_MOST_REDIRECTS):
            headers = {"accept": accept, "accept-encoding": "identity"}
            if self._authorization is not None and _origin(url) == home:
                headers["authorization"] = self._authorization
            response = client.send(client.build_request("GET", url, headers=headers), stream=True)
            if not response.is_redirect:
                return response
            response.close()
            url = url.join(response.headers["location"])
            if url.scheme not in self._schemes:
                raise ImageError(
                    f"registry `{self._reference.host}` redirects to `{url.scheme}`: only https is followed"
                )
        raise ImageError(f"registry `{self._reference.host}` redirects in a circle")

    def _answer(self, client: httpx.Client, challenge: str) -> str:
        """Return the `Authorization` that answers a `WWW-Authenticate`."""
        scheme, _, parameters = challenge.partition(" ")
        login = self._access.credentials(self._reference.host)
        if scheme.lower() == "basic":
            if login is None:
                raise ImageError(f"registry `{self._reference.host}` wants a password: give credentials for it")
            return _basic(login)
        if scheme.lower() != "bearer":
            raise ImageError(
                f"registry `{self._reference.host}` wants `{scheme}` authentication, which is unknown here"
            )
        return f"Bearer {self._token(client, dict(_CHALLENGE.findall(parameters)), login)}"

    def _token(self, client: httpx.Client, challenge: dict[str, str], login: tuple[str, str] | None) -> str:
        realm = httpx.URL(challenge.get("realm", ""))
        if realm.scheme not in self._schemes:
            raise ImageError(f"registry `{self._reference.host}` names the token service `{realm}`: it must be https")
        query = {"scope": f"repository:{self._reference.repository}:pull"}
        if "service" in challenge:
            query["service"] = challenge["service"]
        headers = {"authorization": _basic(login)} if login is not None else {}
        with client.stream("GET", realm.copy_merge_params(query), headers=headers) as response:
            self._check(response)
            content = b"".join(_bounded(response, LARGEST_DOCUMENT, "the token"))
        document = parse_json(content, "the answer of the token service")
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise ImageError(f"the token service `{realm.host}` gave no token")
        return token

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        meaning = {401: "the credentials are refused", 403: "access is denied", 404: "it has no such image"}
        why = meaning.get(response.status_code, f"it answers {response.status_code}")
        response.close()
        wanted = f"{self._reference.repository}:{self._reference.selector}"
        raise ImageError(f"registry `{self._reference.host}` did not give `{wanted}`: {why}")


def _bounded(response: httpx.Response, most: int, what: str) -> Iterator[bytes]:
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > most:
            raise ImageError(f"{what} has more than {most} bytes")
        yield chunk


def _basic(login: tuple[str, str]) -> str:
    auth = httpx.BasicAuth(*login)
    request = next(auth.auth_flow(httpx.Request("GET", "https://localhost")))
    return request.headers["authorization"]


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_distrust(cause: BaseException | None) -> bool:
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _is_loopback(host: str) -> bool:
    name = httpx.URL(f"https://{host}").host
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
