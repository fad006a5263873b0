"""A Dockerfile comes in over the API, and an archive with the new one and the Defender goes out."""

import asyncio
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.dockerfile import DockerfileProtection, DockerfileSettings, needed_image, protect, write_archive
from bartizan.embed.dockerfile.options import ARCHITECTURES, Architecture
from bartizan.embed.options import FailMode
from bartizan.services.bundles import Bundles
from bartizan.services.errors import InvalidError, MissingError

BaseImages = Callable[[str], ImageConfig | None]
"""Says what a base image starts; None when it is not known. Raises ServiceError when it could not be asked."""


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


def nothing_known(_reference: str) -> ImageConfig | None:
    """Know no base image."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileRequest:
    """What is to be protected, and how. `image` is what the base image starts, if the client says so."""

    dockerfile: str
    app_id: str
    console: str
    data_folder: str
    filesystem_monitoring: bool = False
    fail_mode: FailMode = "open"
    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    architecture: Architecture | None = None
    image: ImageConfig | None = None


class EmbedDockerfile:
    """Puts the Defender into Dockerfiles, with this Console's install bundle and binaries."""

    def __init__(
        self, bundles: Bundles, binaries: Mapping[str, Path], *, version: str, base_images: BaseImages = nothing_known
    ) -> None:
        self._bundles = bundles
        self._binaries = binaries
        self._version = version
        self._base_images = base_images

    async def embed(self, request: DockerfileRequest) -> bytes:
        """Return the archive (ZIP). Raises InvalidError with the reason for a refusal, MissingError without binary."""
        bundle = self._bundles.install_bundle(request.console)
        try:
            settings = DockerfileSettings(
                app_id=request.app_id,
                ws_address=bundle.ws_address,
                install_bundle=bundle.text,
                version=self._version,
                data_folder=request.data_folder,
                filesystem_monitoring=request.filesystem_monitoring,
                fail_mode=request.fail_mode,
                target=request.target,
                build_args=request.build_args,
                architecture=request.architecture,
            )
            return await asyncio.to_thread(self._archive, request, settings)
        except EmbedError as error:
            raise InvalidError(f"the Dockerfile is not protected: {error}") from None

    def _archive(self, request: DockerfileRequest, settings: DockerfileSettings) -> bytes:
        image = request.image
        reference = needed_image(request.dockerfile, settings=settings)
        if reference is not None and image is None:
            image = self._base_images(reference)
        protection = protect_for(request.dockerfile, image=image, settings=settings, available=self._binaries)
        return write_archive(protection, binaries=self._read_binaries(protection))

    def _read_binaries(self, protection: DockerfileProtection) -> dict[str, bytes]:
        read = {}
        for architecture in protection.architectures:
            path = self._binaries.get(architecture)
            if path is None or not path.is_file():
                raise MissingError(f"this Console has no Defender for {architecture}, name its file in the settings")
            read[architecture] = path.read_bytes()
        return read
