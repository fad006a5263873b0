"""
What images start: from what is known of them already, or by asking their registries.

A digest names one content for ever, so what was recorded for it holds. A tag moves: its record is used while it is
young, and later only when the registry does not answer; `origin` then says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.credentials import Credential, Credentials, CredentialType, OpenCredential
from bartizan.services.errors import (
    InvalidError,
    MissingError,
    ServiceError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from bartizan.services.interfaces import Clock
from bartizan.services.registries import VERSIONS, ImageName, Registries, Registry
from bartizan.services.registry_hosts import ecr_region

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
MOST_IMAGES = 200
_MOST_SHOWN = 10
_AT_ONCE = 8
_AT_ONCE_OF_ONE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedImage:
    """An image that a definition needs; `containers` are named in errors. `architecture` is Go's: amd64 or arm64."""

    reference: str
    architecture: str = "amd64"
    containers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """
    What is known of an image of one architecture.

    `digest` is what the reference stood for (an index, perhaps), `manifest_digest` the image of this architecture;
    `recorded` is unix milliseconds, `origin` where it was learnt, for people.
    """

    reference: str
    name: ImageName
    architecture: str
    digest: str
    manifest_digest: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    shell: tuple[str, ...] = ()
    origin: str = ""
    recorded: int = 0


class ImageStore(Protocol):
    """What is known of images."""

    def put(self, record: ImageRecord) -> None:
        """Keep a record; one of the same name, digest and architecture is replaced."""
        ...

    def by_digest(self, name: ImageName, architecture: str) -> ImageRecord | None:
        """Return a record of an image of this repository by the digest of its index or of its manifest."""
        ...

    def by_tag(self, name: ImageName, architecture: str) -> ImageRecord | None:
        """Return the newest record of a tag."""
        ...

    def page(self, search: str, *, offset: int, limit: int) -> tuple[list[ImageRecord], int]:
        """Return the records whose reference or digest holds a text, the newest first, and how many there are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """
    How a registry is to be asked for one image.

    `kind` is how it wants the credential (`basic`, `token`, `ecr`, `jfrog`); `ca_cert` is PEM, empty for the system's
    authorities; only hosts in `private_hosts` may have an address that is not public; `seconds` bounds it all.
    """

    reference: str
    architecture: str
    host: str
    kind: str
    credential: OpenCredential | None
    ca_cert: str
    private_hosts: frozenset[str]
    seconds: float


class RegistryReader(Protocol):
    """Talks to registries; blocks."""

    def name(self, reference: str) -> ImageName:
        """Return a reference in its parts. Raises InvalidError."""
        ...

    def look_up(self, ask: Ask) -> ImageRecord:
        """
        Return what the registry says.

        Raises InvalidError for what cannot succeed by trying again (no such image, denied), UpstreamTimeoutError,
        UnavailableError (the registry asks to come later) and UpstreamError.
        """
        ...

    def privileged(self, ask: Ask) -> tuple[str, ...]:
        """
        Return the programs of an image that gain rights, `path (by)`, without those that every base image has.

        Its layers are fetched and read. Raises as `look_up` does.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpLimits:
    """How long one request may look images up, and how long a tag's record is good for (seconds)."""

    request_seconds: float = 60.0
    tag_seconds: float = 600.0


class ImageLookUp:
    """Looks images up for definitions. `close` ends its threads."""

    def __init__(
        self,
        images: ImageStore,
        registries: Registries,
        credentials: Credentials,
        reader: RegistryReader,
        *,
        limits: LookUpLimits,
        clock: Clock,
    ) -> None:
        self._images = images
        self._registries = registries
        self._credentials = credentials
        self._reader = reader
        self._limits = limits
        self._clock = clock
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look-up")

    async def find(
        self, wanted: Sequence[WantedImage], *, registry_type: str = "", credential: str = ""
    ) -> dict[WantedImage, ImageRecord]:
        """
        Return what each image starts.

        `credential` is used for the registries that it is for, whatever their settings say. Raises InvalidError,
        UnavailableError, UpstreamTimeoutError or UpstreamError, whose one message names every image that failed with
        its containers.
        """
        explicit = self._explicit(registry_type, credential)
        deadline = asyncio.get_running_loop().time() + self._limits.request_seconds
        return await _each(wanted, lambda image: self._one(image, registry_type, explicit, deadline))

    async def test(self, image: WantedImage, *, registry_type: str = "", credential: str = "") -> ImageRecord:
        """
        Return what an image's registry says now, whatever is recorded; it is recorded then.

        Raises InvalidError, UnavailableError, UpstreamTimeoutError or UpstreamError, which say what went wrong.
        """
        explicit = self._explicit(registry_type, credential)
        deadline = asyncio.get_running_loop().time() + self._limits.request_seconds
        ask = await self._prepared(image, self._reader.name(image.reference), registry_type, explicit)
        made = replace(await self._answered(ask, self._reader.look_up, deadline), recorded=self._clock())
        await asyncio.to_thread(self._images.put, made)
        return made

    async def privileged(
        self, wanted: Sequence[WantedImage], *, registry_type: str = "", credential: str = ""
    ) -> dict[WantedImage, tuple[str, ...]]:
        """Return which programs of each image gain rights; credentials and errors are as for `find`."""
        explicit = self._explicit(registry_type, credential)
        deadline = asyncio.get_running_loop().time() + self._limits.request_seconds

        async def one(image: WantedImage) -> tuple[str, ...]:
            ask = await self._prepared(image, self._reader.name(image.reference), registry_type, explicit)
            return await self._answered(ask, self._reader.privileged, deadline)

        return await _each(wanted, one)

    async def page(self, search: str, *, offset: int, limit: int) -> tuple[list[ImageRecord], int]:
        """Return what is known of images whose reference or digest holds `search`, and how many there are."""
        return await asyncio.to_thread(self._images.page, search, offset=offset, limit=limit)

    def close(self) -> None:
        """End the threads; a look-up that is under way ends at its own deadline."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _one(
        self, image: WantedImage, registry_type: str, explicit: Credential | None, deadline: float
    ) -> ImageRecord:
        name = self._reader.name(image.reference)
        record = await asyncio.to_thread(self._recorded, name, image.architecture)
        if record is not None and (name.digest or self._is_young(record)):
            return replace(record, reference=image.reference)
        ask = await self._prepared(image, name, registry_type, explicit)
        try:
            fresh = await self._answered(ask, self._reader.look_up, deadline)
        except (UpstreamError, UpstreamTimeoutError, UnavailableError) as error:
            if record is None:
                raise
            _log.warning("image `%s` is taken from the records: %s", image.reference, error)
            note = f"record of {rfc3339(record.recorded)}, its registry could not be asked"
            return replace(record, reference=image.reference, origin=note)
        made = replace(fresh, recorded=self._clock())
        await asyncio.to_thread(self._images.put, made)
        return made

    async def _prepared(
        self, image: WantedImage, name: ImageName, registry_type: str, explicit: Credential | None
    ) -> Ask:
        registry = self._registries.of(name)
        credential = await self._opened(name, registry, explicit)
        return Ask(
            reference=image.reference,
            architecture=image.architecture,
            host=name.host,
            kind=_kind(credential, self._type(registry_type, registry, explicit, credential)),
            credential=credential,
            ca_cert=self._authority(name, registry),
            private_hosts=self._registries.hosts() | {item.host for item in self._credentials.all() if item.host},
            seconds=self._limits.request_seconds,
        )

    async def _answered(self, ask: Ask, question: Callable[[Ask], _T], deadline: float) -> _T:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise UpstreamTimeoutError(self._too_long())
        ask = replace(ask, seconds=left)
        look_up = asyncio.get_running_loop().run_in_executor(self._pool, question, ask)
        try:
            async with asyncio.timeout(left):
                return await look_up
        except TimeoutError:
            raise UpstreamTimeoutError(self._too_long()) from None

    def _recorded(self, name: ImageName, architecture: str) -> ImageRecord | None:
        if name.digest:
            return self._images.by_digest(name, architecture)
        return self._images.by_tag(name, architecture)

    def _is_young(self, record: ImageRecord) -> bool:
        return 0 <= self._clock() - record.recorded <= self._limits.tag_seconds * 1000

    def _explicit(self, registry_type: str, credential: str) -> Credential | None:
        """Return the credential that a request names, if it may be used at all."""
        if registry_type and registry_type not in VERSIONS:
            raise InvalidError(f"`registryType`: possible are {', '.join(VERSIONS)}")
        if not credential:
            return None
        try:
            found = self._credentials.one(credential)
        except MissingError as error:
            raise InvalidError(f"`registryCredentialID`: {error}, see GET /api/v1/credentials") from None
        if registry_type and found.type.is_aws != (registry_type == "aws"):
            raise InvalidError(
                f"`registryCredentialID`: credential `{found.id}` is of type `{found.type.value}`, "
                f"which a registry of type `{registry_type}` does not take"
            )
        # A definition names hosts at will: a secret that went to any of them could be fished for.
        if not (found.host or found.type.is_aws or self._registries.hosts_of(found.id)):
            raise InvalidError(
                f"`registryCredentialID`: it is not known which registry credential `{found.id}` is for: give it the "
                "registry's `url` with PUT /api/v1/credentials, or name it in POST /api/v1/settings/registry"
            )
        return found

    async def _opened(
        self, name: ImageName, registry: Registry | None, explicit: Credential | None
    ) -> OpenCredential | None:
        if explicit is not None and self._is_for(explicit, name.host):
            return await self._credentials.open(explicit.id)
        if registry is not None and registry.credential:
            return await self._credentials.open(registry.credential)
        bound = next((item for item in self._credentials.all() if item.host == name.host), None)
        return await self._credentials.open(bound.id) if bound is not None else None

    def _is_for(self, credential: Credential, host: str) -> bool:
        if credential.host:
            return credential.host == host
        if credential.type.is_aws:
            return ecr_region(host) is not None
        return host in self._registries.hosts_of(credential.id)

    @staticmethod
    def _type(
        asked: str, registry: Registry | None, explicit: Credential | None, credential: OpenCredential | None
    ) -> str:
        """Return the type of a registry: the request's counts for its own credential and for unknown registries."""
        is_explicit = explicit is not None and credential is not None and credential.credential.id == explicit.id
        if registry is None or (asked and is_explicit):
            return asked
        return registry.version

    def _authority(self, name: ImageName, registry: Registry | None) -> str:
        """Return the authority of the registry's certificate: of this specification, or of another of the same host."""
        if registry is not None and registry.ca_cert:
            return registry.ca_cert
        others = (item.ca_cert for item in self._registries.all() if item.host == name.host and item.ca_cert)
        return next(others, "")

    def _too_long(self) -> str:
        return f"the registry did not answer within the {self._limits.request_seconds:g} seconds of a request"


@dataclass(frozen=True, slots=True)
class _Failure:
    image: WantedImage
    error: ServiceError


async def _each(wanted: Sequence[WantedImage], answer: Callable[[WantedImage], Awaitable[_T]]) -> dict[WantedImage, _T]:
    """Return the answer for each image, a few at a time. Raises one error that names all that failed."""
    if len(wanted) > MOST_IMAGES:
        raise InvalidError(f"{len(wanted)} images would have to be looked up, at most {MOST_IMAGES} are possible")
    turns = asyncio.Semaphore(_AT_ONCE_OF_ONE)
    found: dict[WantedImage, _T] = {}
    failures: list[_Failure] = []

    async def one(image: WantedImage) -> None:
        async with turns:
            try:
                found[image] = await answer(image)
            except ServiceError as error:
                failures.append(_Failure(image, error))

    await asyncio.gather(*(one(image) for image in wanted))
    if failures:
        places = {image: place for place, image in enumerate(wanted)}
        raise _joined(sorted(failures, key=lambda failure: places[failure.image]))
    return found


def _kind(credential: OpenCredential | None, registry_type: str) -> str:
    if credential is None:
        return "basic"
    match credential.credential.type:
        case CredentialType.AWS | CredentialType.ECR:
            return "ecr"
        case CredentialType.JFROG:
            return "jfrog"
        case CredentialType.API_TOKEN:
            return "jfrog" if registry_type == "jfrog" else "token"
        case CredentialType.BASIC:
            return "jfrog" if registry_type == "jfrog" else "basic"


def _joined(failures: Sequence[_Failure]) -> ServiceError:
    """Return one error for all; what the user can mend comes first, for trying again would not help."""
    shown = "; ".join(_sentence(failure) for failure in failures[:_MOST_SHOWN])
    if len(failures) > _MOST_SHOWN:
        shown += f"; and {len(failures) - _MOST_SHOWN} more"
    errors = [failure.error for failure in failures]
    if any(isinstance(error, InvalidError | MissingError) for error in errors):
        return InvalidError(shown)
    busy = [error for error in errors if isinstance(error, UnavailableError)]
    if busy:
        return UnavailableError(shown, retry_after=max(error.retry_after or 0 for error in busy) or None)
    if any(isinstance(error, UpstreamTimeoutError) for error in errors):
        return UpstreamTimeoutError(shown)
    return UpstreamError(shown)


def _sentence(failure: _Failure) -> str:
    image = failure.image
    containers = ", ".join(f"`{name}`" for name in image.containers[:5])
    of = f" of container {containers}" if containers else ""
    return f"image `{image.reference}`{of} cannot be looked up: {failure.error}"
