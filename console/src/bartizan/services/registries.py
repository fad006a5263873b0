"""The registries that a Console knows: which images are theirs, what opens them, and whom to trust."""

import asyncio
import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bartizan.services.collections import Usage as CollectionUsage
from bartizan.services.credentials import Credentials, Usage
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import SettingStore
from bartizan.services.registry_hosts import DOCKER_HUB, ecr_region, registry_host

_SETTING = "registries"
MOST_REGISTRIES = 500
_MOST_PATTERNS = 100
_LONGEST_CA = 64 * 1024
# The grammar of names (distribution, `reference/regexp.go`) with `*` and `?` for any characters.
_PATTERN = re.compile(r"[a-z0-9*?](?:[a-z0-9._/*?-]{0,254})")
_TAG_PATTERN = re.compile(r"[A-Za-z0-9_*?][A-Za-z0-9._*?-]{0,127}")

VERSIONS = (
    "2",
    "aws",
    "jfrog",
    "dockerhub",
    "azure",
    "bluemix",
    "dtr",
    "gcr",
    "gitlab",
    "harbor",
    "redhat",
    "sonatype",
)
"""The vendor's types of registries (its field `version`); all but aws and jfrog are asked like `2`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    """An image reference in its parts: host[:port] (`docker.io` for Docker Hub), repository, and a tag or a digest."""

    host: str
    repository: str
    tag: str
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """
    One registry specification: the images of `host` whose repository and tag fit, and how they are asked for.

    `version` is one of `VERSIONS`. `cap`, `scanners` and `jfrog_types` are kept for scans.
    """

    version: str
    host: str = DOCKER_HUB
    url: str = ""
    namespace: str = ""
    repository: str = ""
    tag: str = ""
    os: str = "linux"
    credential: str = ""
    ca_cert: str = ""
    excluded_repositories: tuple[str, ...] = ()
    excluded_tags: tuple[str, ...] = ()
    cap: int = 0
    scanners: int = 0
    collections: tuple[str, ...] = ()
    jfrog_types: tuple[str, ...] = ()

    def covers(self, image: ImageName) -> bool:
        """Return whether an image is of this specification. An image named by digest alone fits every tag."""
        if self.host != image.host:
            return False
        repository = image.repository
        if self.namespace and not repository.startswith(f"{self.namespace}/"):
            return False
        names = (repository, repository.removeprefix("library/"), repository.removeprefix(f"{self.namespace}/"))
        fits = not self.repository or any(fnmatch.fnmatchcase(name, self.repository) for name in names)
        fits = fits and (not self.tag or bool(image.digest) or fnmatch.fnmatchcase(image.tag, self.tag))
        excluded = any(fnmatch.fnmatchcase(name, item) for name in names for item in self.excluded_repositories)
        return fits and not (
            excluded or any(not image.digest and fnmatch.fnmatchcase(image.tag, item) for item in self.excluded_tags)
        )


CertificateCheck = Callable[[str], None]
"""Raises ValueError for a text that is not PEM certificates."""


class Registries:
    """The specifications in their order; the first that covers an image tells how it is asked for."""

    def __init__(
        self, settings: SettingStore, credentials: Credentials, *, check_certificates: CertificateCheck
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._check_certificates = check_certificates
        stored = settings.get(_SETTING)
        self._all = msgspec.json.decode(stored, type=tuple[Registry, ...]) if stored else ()
        credentials.add_user(self._usages)

    def all(self) -> tuple[Registry, ...]:
        """Return all specifications."""
        return self._all

    def of(self, image: ImageName) -> Registry | None:
        """Return the specification that covers an image."""
        return next((registry for registry in self._all if registry.covers(image)), None)

    def hosts(self) -> frozenset[str]:
        """Return the hosts that somebody named here."""
        return frozenset(registry.host for registry in self._all)

    def hosts_of(self, credential: str) -> frozenset[str]:
        """Return the hosts whose specifications name a credential."""
        return frozenset(registry.host for registry in self._all if registry.credential == credential)

    async def replace(self, registries: Sequence[Registry]) -> None:
        """Replace all specifications, whole or not at all. Raises InvalidError that names the one that will not do."""
        async with self._credentials.held():
            await self._save(tuple(registries))

    async def add(self, registry: Registry) -> None:
        """Add a specification behind the others; an equal one changes nothing. Raises InvalidError."""
        async with self._credentials.held():
            if registry not in self._all:
                await self._save((*self._all, registry))

    def users_of_collection(self, name: str) -> list[CollectionUsage]:
        """Return the registries whose specifications name a collection."""
        hosts = dict.fromkeys(registry.host for registry in self._all if name in registry.collections)
        return [CollectionUsage(kind="registryScan", name=host) for host in hosts]

    async def _save(self, registries: tuple[Registry, ...]) -> None:
        if len(registries) > MOST_REGISTRIES:
            raise InvalidError(f"`specifications`: at most {MOST_REGISTRIES} are possible")
        for index, registry in enumerate(registries):
            try:
                self._check(registry)
            except (InvalidError, MissingError) as error:
                raise InvalidError(f"`specifications[{index}]`: {error}") from None
        await asyncio.to_thread(self._settings.put, _SETTING, msgspec.json.encode(registries).decode())
        self._all = registries

    def _check(self, registry: Registry) -> None:
        check(registry)
        if "PRIVATE KEY" in registry.ca_cert:
            raise InvalidError("`caCert`: it holds a private key, give the certificates alone")
        if registry.ca_cert:
            try:
                self._check_certificates(registry.ca_cert)
            except ValueError:
                raise InvalidError("`caCert`: not a certificate in PEM form") from None
        if not registry.credential:
            return
        credential = self._credentials.one(registry.credential)
        if credential.host and credential.host != registry.host:
            raise InvalidError(
                f"`credentialID`: credential `{credential.id}` is for `{credential.host}`, not for `{registry.host}`"
            )
        if credential.type.is_aws != (registry.version == "aws"):
            raise InvalidError(
                f"`credentialID`: credential `{credential.id}` is of type `{credential.type.value}`, "
                f"which a registry of version `{registry.version}` does not take"
            )

    def _usages(self, credential: str) -> list[Usage]:
        used = dict.fromkeys(registry.host for registry in self._all if registry.credential == credential)
        return [Usage(type="Registry Scan", description=f"settings of registry `{host}`") for host in used]


def check(registry: Registry) -> None:
    """Raise InvalidError for a specification that cannot be right."""
    if registry.version not in VERSIONS:
        raise InvalidError(f"`version`: `{registry.version[:64]}` is not supported, possible are {', '.join(VERSIONS)}")
    if registry.version == "aws" and ecr_region(registry.host) is None:
        raise InvalidError(
            "`registry`: with version `aws` it is the registry's own host, such as "
            "`123456789012.dkr.ecr.eu-central-1.amazonaws.com`"
        )
    if registry.version == "dockerhub" and registry.host != DOCKER_HUB:
        raise InvalidError("`registry`: with version `dockerhub` it is left empty")
    if registry.os not in {"", "linux", "linuxARM64"}:
        raise InvalidError("`os`: possible are linux, linuxARM64")
    for name, patterns, grammar in (
        ("namespace", (registry.namespace,), _PATTERN),
        ("repository", (registry.repository,), _PATTERN),
        ("tag", (registry.tag,), _TAG_PATTERN),
        ("excludedRepositories", registry.excluded_repositories, _PATTERN),
        ("excludedTags", registry.excluded_tags, _TAG_PATTERN),
    ):
        if len(patterns) > _MOST_PATTERNS:
            raise InvalidError(f"`{name}`: at most {_MOST_PATTERNS} are possible")
        if not all(grammar.fullmatch(pattern) for pattern in patterns if pattern or len(patterns) > 1):
            raise InvalidError(f"`{name}`: not a name that a registry can have, `*` stands for any characters")
    if len(registry.ca_cert) > _LONGEST_CA:
        raise InvalidError(f"`caCert`: at most {_LONGEST_CA} characters")


def host_of_registry(url: str) -> str:
    """Return the host[:port] of a specification's `registry`; an empty one is Docker Hub. Raises InvalidError."""
    return registry_host(url, where="registry") if url else DOCKER_HUB
