"""Protecting definitions: the transforms, and the registries that they ask."""

from functools import cached_property

from bartizan import pki
from bartizan.app.base import Base
from bartizan.services.bundles import Bundles
from bartizan.services.credentials import Credentials
from bartizan.services.embed_dockerfile import EmbedDockerfile
from bartizan.services.image_lookup import Ask, ImageLookUp, ImageRecord, LookUpLimits, RegistryReader
from bartizan.services.protect_task import Embedder, ProtectTask
from bartizan.services.registries import ImageName, Registries
from bartizan.store import SqlCredentials, SqlImages


class Embedding:
    """Credentials, registries, the look-up of images, and the two transforms that the API offers."""

    def __init__(self, base: Base, bundles: Bundles, embedder: Embedder) -> None:
        settings, clock = base.settings, base.clock
        box = pki.SecretBox(base.directory / "secrets.key")
        self.credentials = Credentials(SqlCredentials(base.database), box, box_error=pki.SealError, clock=clock)
        self.registries = Registries(base.stored, self.credentials, check_certificates=pki.check_certificates)
        self.image_lookup = ImageLookUp(
            SqlImages(base.database),
            self.registries,
            self.credentials,
            _LateReader(),
            limits=LookUpLimits(request_seconds=settings.look_up_seconds, tag_seconds=settings.image_tag_seconds),
            clock=clock,
        )
        self.protect_task = ProtectTask(
            bundles, embedder, self.image_lookup, defender_image=settings.defender_image, version=settings.version
        )
        self.embed_dockerfile = EmbedDockerfile(bundles, base.binaries, self.image_lookup, version=settings.version)

    def close(self) -> None:
        """End the threads that ask registries."""
        self.image_lookup.close()


class _LateReader:
    """Implements `RegistryReader`; what talks to registries is imported when the first image is asked for."""

    def name(self, reference: str) -> ImageName:
        """Return a reference in its parts. Raises InvalidError."""
        return self._reader.name(reference)

    def look_up(self, ask: Ask) -> ImageRecord:
        """Return what a registry says of an image. Raises ServiceError."""
        return self._reader.look_up(ask)

    def privileged(self, ask: Ask) -> tuple[str, ...]:
        """Return the programs of an image that gain rights. Raises ServiceError."""
        return self._reader.privileged(ask)

    @cached_property
    def _reader(self) -> RegistryReader:
        from bartizan.registry import reader  # noqa: PLC0415 - keeps the start quick

        return reader.RegistryReader()
