"""A task definition comes in over the API and goes out protected."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bartizan.embed import TaskChoices, privileged_warning
from bartizan.services.bundles import Bundles
from bartizan.services.image_lookup import ImageLookUp, ImageRecord, WantedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectRequest:
    """What the transform is told beside the definition; `version` is that of Console and Defender."""

    install_bundle: str
    ws_address: str
    defender_image: str
    version: str
    choices: TaskChoices


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedTask:
    """A protected definition, what people are warned of, and the wrapped containers with the images they run."""

    text: bytes
    warnings: tuple[str, ...] = ()
    containers: tuple[tuple[str, str], ...] = ()


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

    def protect(
        self, definition: bytes, request: ProtectRequest, images: Mapping[WantedImage, ImageRecord]
    ) -> ProtectedTask:
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
        choices: TaskChoices,
        look_up: LookUpRequest | None = None,
        find_privileged: LookUpRequest | None = None,
    ) -> ProtectedTask:
        """
        Return the protected definition.

        Images are asked what they start with `look_up`, and looked through for programs that gain rights with
        `find_privileged`; what is found is among the warnings.
        Raises InvalidError with the reason for a refusal, and what `ImageLookUp.find` raises.
        """
        bundle = self._bundles.install_bundle(console)
        request = ProtectRequest(
            install_bundle=bundle.text,
            ws_address=bundle.ws_address,
            defender_image=defender_image or self.defender_image,
            version=self._version,
            choices=choices,
        )
        images: Mapping[WantedImage, ImageRecord] = {}
        if look_up is not None:
            wanted = await asyncio.to_thread(self._embedder.needed_images, definition, request)
            images = await self._image_lookup.find(
                wanted, registry_type=look_up.registry_type, credential=look_up.credential
            )
        protected = await asyncio.to_thread(self._embedder.protect, definition, request, images)
        # Whoever chose the compat tier for some knows of it.
        if find_privileged is None or choices.compat:
            return protected
        return replace(protected, warnings=(*protected.warnings, *await self._privileged(protected, find_privileged)))

    async def _privileged(self, protected: ProtectedTask, how: LookUpRequest) -> list[str]:
        users: dict[str, list[str]] = {}
        for container, image in protected.containers:
            users.setdefault(image, []).append(container)
        wanted = [WantedImage(reference=image, containers=tuple(names)) for image, names in users.items()]
        found = await self._image_lookup.privileged(wanted, registry_type=how.registry_type, credential=how.credential)
        programs = {image.reference: listed for image, listed in found.items() if listed}
        return [
            privileged_warning(container, programs[image])
            for container, image in protected.containers
            if image in programs
        ]
