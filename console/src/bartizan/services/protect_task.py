"""A task definition comes in over the API and goes out protected."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bartizan.services.bundles import Bundles
from bartizan.services.image_lookup import ImageLookUp, ImageRecord, WantedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectRequest:
    """What the transform is told beside the definition; `version` is that of Console and Defender."""

    install_bundle: str
    ws_address: str
    defender_image: str
    version: str
    image_pull_secret: str | None
    filesystem_monitoring: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpRequest:
    """How images are to be looked up: a type of registry and a credential, both may be empty."""

    registry_type: str = ""
    credential: str = ""


class Embedder(Protocol):
    """The transform. Both refuse with InvalidError and the reason."""

    def needed_images(self, definition: bytes, request: ProtectRequest) -> Sequence[WantedImage]:
        """Return the images whose configuration says what containers start."""
        ...

    def protect(self, definition: bytes, request: ProtectRequest, images: Mapping[WantedImage, ImageRecord]) -> bytes:
        """Return the protected definition, in the syntax of the one given."""
        ...


class ProtectTask:
    """Protects task definitions with this Console's install bundle."""

    def __init__(
        self, bundles: Bundles, embedder: Embedder, image_lookup: ImageLookUp, *, defender_image: str, version: str
    ) -> None:
        self._bundles = bundles
        self._embedder = embedder
        self._image_lookup = image_lookup
        self.defender_image = defender_image
        self._version = version

    async def protect(
        self,
        definition: bytes,
        *,
        console: str,
        defender_image: str | None,
        image_pull_secret: str | None,
        filesystem_monitoring: bool,
        look_up: LookUpRequest | None,
    ) -> bytes:
        """
        Return the protected definition; images are looked up only with `look_up`.

        Raises InvalidError with the reason for a refusal, and what `ImageLookUp.find` raises.
        """
        bundle = self._bundles.install_bundle(console)
        request = ProtectRequest(
            install_bundle=bundle.text,
            ws_address=bundle.ws_address,
            defender_image=defender_image or self.defender_image,
            version=self._version,
            image_pull_secret=image_pull_secret,
            filesystem_monitoring=filesystem_monitoring,
        )
        images: Mapping[WantedImage, ImageRecord] = {}
        if look_up is not None:
            wanted = await asyncio.to_thread(self._embedder.needed_images, definition, request)
            images = await self._image_lookup.find(
                wanted, registry_type=look_up.registry_type, credential=look_up.credential
            )
        return await asyncio.to_thread(self._embedder.protect, definition, request, images)
