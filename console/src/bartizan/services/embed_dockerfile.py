"""A Dockerfile comes in over the API, and an archive with the new one and the Defender goes out."""

import asyncio
import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.dockerfile import (
    DockerfileChoices,
    DockerfileProtection,
    DockerfileSettings,
    needed_image,
    protect,
    settings_of,
    write_archive,
)
from bartizan.embed.dockerfile.options import ARCHITECTURES
from bartizan.embed.limits import LARGEST_LINES
from bartizan.services.bundles import Bundles
from bartizan.services.errors import InvalidError, MissingError, ServiceError, TooLargeError
from bartizan.services.image_lookup import ImageLookUp, WantedImage
from bartizan.services.protect_task import LookUpRequest


def archive_name(app_id: str) -> str:
    """Return the file name that the vendor's tool gives the archive; what does not fit into a name becomes `_`."""
    return f"app_embedded_embed_{re.sub('[^A-Za-z0-9._-]', '_', app_id)[:200]}.zip"


def protect_for(
    text: str, *, image: ImageConfig | None, settings: DockerfileSettings, available: Iterable[str]
) -> DockerfileProtection:
    """
    Protect a Dockerfile; one that may be built for more machines than there are Defenders for is protected for those.

    Raises EmbedError.
    """
    protection = protect(text, image=image, settings=settings)
    left = [name for name in ARCHITECTURES if name in set(available) & set(protection.architectures)]
    if len(left) == 1 < len(protection.architectures):
        return protect(text, image=image, settings=dataclasses.replace(settings, architecture=left[0]))
    return protection


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileRequest:
    """
    What is to be protected, and how.

    `image` is what the base image starts, if the client says so; otherwise it is looked up, if `look_up` says how.
    """

    dockerfile: str
    console: str
    choices: DockerfileChoices
    image: ImageConfig | None = None
    look_up: LookUpRequest | None = None


class EmbedDockerfile:
    """Puts the Defender into Dockerfiles, with this Console's install bundle and binaries."""

    def __init__(
        self, bundles: Bundles, binaries: Mapping[str, Path], image_lookup: ImageLookUp, *, version: str
    ) -> None:
        self._bundles = bundles
        self._binaries = binaries
        self._image_lookup = image_lookup
        self._version = version

    async def embed(self, request: DockerfileRequest) -> bytes:
        """
        Return the archive (ZIP).

        Raises InvalidError with the reason for a refusal, MissingError without a binary, and what `ImageLookUp.find`
        raises.
        """
        if len(request.dockerfile.encode("utf-8", "surrogatepass")) > LARGEST_LINES:
            raise TooLargeError(f"the Dockerfile is larger than the {LARGEST_LINES:,} bytes that are read")
        try:
            settings = self._settings(request)
            reference = await asyncio.to_thread(needed_image, request.dockerfile, settings=settings)
            if reference is None or request.image is not None or request.look_up is None:
                return await asyncio.to_thread(self._archive, request.dockerfile, request.image, settings)
            return await self._with_look_up(reference, request.dockerfile, settings, request.look_up)
        except EmbedError as error:
            raise InvalidError(f"the Dockerfile is not protected: {error}") from None

    async def _with_look_up(
        self, reference: str, dockerfile: str, settings: DockerfileSettings, how: LookUpRequest
    ) -> bytes:
        """Return the archive; an image that cannot be looked up matters only if the file cannot do without it."""
        try:
            image = await self._looked_up(reference, settings, how)
        except ServiceError as failure:
            try:
                return await asyncio.to_thread(self._archive, dockerfile, None, settings)
            except EmbedError:
                raise failure from None
        return await asyncio.to_thread(self._archive, dockerfile, image, settings)

    def _settings(self, request: DockerfileRequest) -> DockerfileSettings:
        bundle = self._bundles.install_bundle(request.console)
        return settings_of(request.choices, bundle=bundle.text, ws_address=bundle.ws_address, version=self._version)

    async def _looked_up(self, reference: str, settings: DockerfileSettings, how: LookUpRequest) -> ImageConfig:
        wanted = WantedImage(reference=reference, architecture=settings.architecture or ARCHITECTURES[0])
        found = await self._image_lookup.find([wanted], registry_type=how.registry_type, credential=how.credential)
        record = found[wanted]
        return ImageConfig(
            entrypoint=record.entrypoint,
            cmd=record.cmd,
            user=record.user,
            shell=record.shell,
            origin=record.origin,
            digest=record.digest,
        )

    def _archive(self, dockerfile: str, image: ImageConfig | None, settings: DockerfileSettings) -> bytes:
        protection = protect_for(dockerfile, image=image, settings=settings, available=self._binaries)
        return write_archive(protection, binaries=self._read_binaries(protection))

    def _read_binaries(self, protection: DockerfileProtection) -> dict[str, bytes]:
        read = {}
        for architecture in protection.architectures:
            path = self._binaries.get(architecture)
            if path is None or not path.is_file():
                raise MissingError(f"this Console has no Defender for {architecture}, name its file in the settings")
            read[architecture] = path.read_bytes()
        return read
