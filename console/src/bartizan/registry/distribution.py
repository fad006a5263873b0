"""Images from a registry: the API of Docker Registry v2, today the OCI Distribution Spec.

A registry is not trusted: everything it sends is bounded and checked against its digest, and credentials go to the host
they are for and, in the token dance, to the service that host names over TLS; never along a redirect.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Self, cast

import httpx

from bartizan.registry.artifactory import artifactory_roots
from bartizan.registry.errors import ImageError, RegistryFaultError, UnreachableError
from bartizan.registry.image import Image, Layer, parse_config
from bartizan.registry.login import Login
from bartizan.registry.manifests import LARGEST_CONFIG, LARGEST_MANIFEST, Manifest, resolve
from bartizan.registry.platforms import INDEX_TYPES
from bartizan.registry.reference import Reference, parse_reference
from bartizan.registry.transport import Transport, host_of, origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bartizan.registry.access import Access
    from bartizan.registry.platforms import Platform
    from bartizan.registry.transport import Answer

_MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        *INDEX_TYPES,
    )
)


# What a server says that has no API there: Artifactory's front may take a path for one of its pages.
_ELSEWHERE = (400, 403, 404, 405)


def open_remote(reference: str, access: Access, platform: Platform) -> Image:
    """Open an image in its registry; layers are fetched when they are unpacked. Raises `ImageError`."""
    with Session(parse_reference(reference), access) as session:
        named, manifest = session.find(platform)
        config = parse_config(session.config(manifest.config), f"the configuration of `{reference}`")
    return Image(
        reference=reference,
        config=config,
        layers=tuple(Layer(item, lambda item=item: session.layer(item)) for item in manifest.layers),  # type: ignore[misc]
        digest=manifest.digest,
        named=named,
    )


class Session:
    """Talks to one repository of one registry; a context, after which only `layer` still works."""

    def __init__(self, reference: Reference, access: Access) -> None:
        self._access = access
        self._reference = reference
        self._registry = reference.registry
        self._login = Login(self._registry, access)
        self._transport = Transport(reference.host, access)
        plain = (("/v2/", reference.repository),)
        self._roots = artifactory_roots(reference.repository) if self._login.is_artifactory else plain
        self._base: httpx.URL | None = None

    def __enter__(self) -> Self:
        """Open nothing yet: connections are made when they are needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._transport.__exit__()

    def find(self, wanted: Platform) -> tuple[str, Manifest]:
        """Return the digest of what the reference names (often an index) and the manifest for `wanted` in it."""
        content, digest, media_type = self._manifest(self._reference.selector)
        manifest = resolve(
            content,
            digest,
            media_type=media_type,
            wanted=wanted,
            fetch=lambda item: self._manifest(item)[0],
            what=self._what("the manifest of"),
        )
        return digest, manifest

    def config(self, digest: str) -> bytes:
        """Return the configuration of a digest, which holds.

        It is kept in memory by registry, repository and digest: whoever names a digest that is in another repository
        must not be given what only others may read.
        """
        key = ("config", self._reference.host, self._reference.repository, digest)
        kept = self._access.memory.get(key)
        if kept is not None:
            return kept
        what = self._what("the configuration of")
        with self._get(self._transport, f"blobs/{digest}", accept="*/*") as answer:
            content = answer.read(LARGEST_CONFIG, what)
        self._verify(content, digest, what)
        self._access.memory.keep(key, content)
        return content

    def layer(self, digest: str) -> BinaryIO:
        """Fetch a layer into a nameless file and return it at its start; its digest holds."""
        home = self._access.cache
        if home is not None:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = tempfile.TemporaryFile(dir=home)  # noqa: SIM115 - the caller closes it
        try:
            seen = hashlib.sha256()
            with (
                Transport(self._reference.host, self._access, timed=False) as transport,
                self._get(transport, f"blobs/{digest}", accept="*/*") as answer,
            ):
                for chunk in answer.chunks(self._access.largest_blob, "a layer"):
                    seen.update(chunk)
                    store.write(chunk)
            if f"sha256:{seen.hexdigest()}" != digest:
                raise RegistryFaultError(f"registry `{self._registry}` sent other bytes than `{digest}`")  # noqa: TRY301
            store.seek(0, os.SEEK_SET)
        except BaseException:
            store.close()
            raise
        return cast("BinaryIO", store)

    def _manifest(self, selector: str) -> tuple[bytes, str, str]:
        """Return the bytes, the digest and the media type of a manifest."""
        what = self._what("the manifest of")
        with self._get(self._transport, f"manifests/{selector}", accept=_MANIFEST_TYPES) as answer:
            claimed = answer.header("docker-content-digest")
            if answer.is_page:
                raise RegistryFaultError(f"`{self._registry}` answers with a web page: is it a registry?")
            content = answer.read(LARGEST_MANIFEST, what)
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if claimed.startswith("sha256:") and claimed != digest:
            raise RegistryFaultError(
                f"registry `{self._registry}` says `{claimed[:80]}` of a manifest that is `{digest}`"
            )
        if selector.startswith("sha256:"):
            self._verify(content, selector, what)
        return content, digest, answer.media_type

    def _verify(self, content: bytes, digest: str, what: str) -> None:
        if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
            raise RegistryFaultError(f"registry `{self._registry}` sent other bytes for {what} than `{digest}`")

    @contextmanager
    def _get(self, transport: Transport, tail: str, *, accept: str) -> Iterator[Answer]:
        """GET below the API's root; where Artifactory may have two, the first that knows the image is kept."""
        for root in self._roots:
            with self._authorised(transport, root, tail, accept) as answer:
                if root != self._roots[-1] and (answer.status in _ELSEWHERE or answer.is_page):
                    self._login.forget()
                    continue
                self._check(answer)
                self._roots = (root,)
                yield answer
                return

    @contextmanager
    def _authorised(self, transport: Transport, root: tuple[str, str], tail: str, accept: str) -> Iterator[Answer]:
        """GET, and once more after a challenge was answered; a second one is a refusal, never a loop.

        A challenge from where a redirect led is not the registry's, and the password is not for it.
        """
        base = self._address(transport)
        path, repository = root
        url, headers = base.join(f"{path}{repository}/{tail}"), {"accept": accept}
        with transport.get(url, headers=headers, secrets=self._login.headers) as answer:
            if answer.status not in self._login.challenges or origin(answer.url) != origin(url):
                yield answer
                return
            challenge = answer.header("www-authenticate")
        self._login.answer(challenge, repository=repository, registry=base, transport=transport)
        with transport.get(url, headers=headers, secrets=self._login.headers) as answer:
            yield answer

    def _address(self, transport: Transport) -> httpx.URL:
        """Return the registry's address; plain HTTP is tried only where that is allowed."""
        if self._base is not None:
            return self._base
        try:
            url = httpx.URL(f"https://{self._reference.host}")
        except httpx.InvalidURL:
            raise ImageError(f"`{self._reference.host}` is no host") from None
        if transport.may_be_plain(url):
            try:
                with transport.get(url.join("/v2/"), headers={}, secrets={}):
                    pass
            except UnreachableError as cause:
                if cause.distrusted:
                    raise  # a false certificate is an attack or a mistake, never a reason to go on without TLS
                url = url.copy_with(scheme="http")
        self._base = url
        return url

    def _check(self, answer: Answer) -> None:
        if answer.status == httpx.codes.OK:
            return
        login = "the credentials are refused" if self._login.has_credential else "it wants credentials"
        meaning = {
            401: login,
            403: "access is denied",
            404: "it has no such image" + ("" if self._login.has_credential else " that everybody may see"),
        }
        why = meaning.get(answer.status, f"it answers {answer.status}")
        if self._base is not None and origin(answer.url) != origin(self._base):
            unwanted = answer.status == httpx.codes.UNAUTHORIZED
            said = "wants credentials from us, which it does not get" if unwanted else f"answers {answer.status}"
            why = f"it redirects to `{host_of(answer.url)}`, which {said}"
        kind = ImageError if answer.status in meaning else RegistryFaultError
        raise kind(f"registry `{self._registry}` did not give {self._what('')}: {why}")

    def _what(self, part: str) -> str:
        return f"{part} `{self._reference.repository}:{self._reference.selector}`".strip()
